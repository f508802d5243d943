package testenv

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestFiguresOfManyAreAllKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dist", "figures.json")
	const writers = 16
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() { addFigures(t, path, map[string]int{fmt.Sprint(i): i}) })
	}
	all.Wait()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	if err := json.Unmarshal(b, &got); err != nil || len(got) != writers {
		t.Errorf("%s, %v; want %d figures", b, err, writers)
	}
}
