package rego

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"keyward/manager"
	"keyward/policies/compile"
)

// Load reads a policy with its tests from files and folders, as opa does. A
// module is called as its file, from the folder that was named on.
func Load(paths ...string) (manager.PolicySource, error) {
	src := manager.PolicySource{Modules: map[string]string{}}
	read, err := compile.Load(paths, true)
	if err != nil {
		return src, err
	}
	for file, text := range read.Modules {
		name := moduleName(file, paths)
		if _, twice := src.Modules[name]; twice {
			return src, fmt.Errorf("two files are called %s", name)
		}
		src.Modules[name] = text
	}
	if len(read.Data) > 0 {
		if src.Data, err = json.Marshal(read.Data); err != nil {
			return src, err
		}
	}
	return src, src.Validate()
}

// moduleName is the name of a file from the folder of paths that it is in.
func moduleName(file string, paths []string) string {
	for _, p := range paths {
		if i := strings.LastIndex(p, ":"); i >= 0 {
			p = p[i+1:]
		}
		if rel, err := filepath.Rel(p, file); err == nil && rel != "." && filepath.IsLocal(rel) {
			return filepath.ToSlash(rel)
		}
	}
	return filepath.Base(file)
}
