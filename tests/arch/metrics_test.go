package arch

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var (
	usedMetric  = regexp.MustCompile(`keyward_[a-z0-9_]+`)
	namedMetric = regexp.MustCompile(`"(keyward_[a-z0-9_]+)"|(?:count|health)\("([a-z0-9_]+)"`)
)

// TestDashboardsAndAlertsShowMetricsThatExist: a renamed metric would otherwise
// silence its alert.
func TestDashboardsAndAlertsShowMetricsThatExist(t *testing.T) {
	there := map[string]bool{}
	for _, folder := range []string{"manager", "tools"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			for _, m := range namedMetric.FindAllStringSubmatch(string(b), -1) {
				there[m[1]] = true
				there["keyward_matrix_"+m[2]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for file, parse := range map[string]func([]byte, any) error{
		"deploy/grafana/keyward.json":          json.Unmarshal,
		"deploy/prometheus/keyward.rules.yaml": yaml.Unmarshal,
	} {
		b := read(t, file)
		var any map[string]any
		if err := parse(b, &any); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		used := usedMetric.FindAllString(string(b), -1)
		if len(used) == 0 {
			t.Errorf("%s: uses no metric", file)
		}
		for _, name := range used {
			if !there[strings.TrimSuffix(name, "_bucket")] {
				t.Errorf("%s uses %s, which nothing counts", file, name)
			}
		}
	}
}
