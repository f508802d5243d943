// Command wasmlink turns a plugin binary of the Go toolchain into one that
// Higress and Envoy both load, and fails when they would not:
//
//	wasmlink -o dist/gate.wasm bin/gate.raw.wasm
//
// With -interface FILE the module's imports and exports must be those in FILE;
// with -update they are written there. With -flow the module may be any of the Go
// toolchain's: its functions get their control flow back, and nothing else changes.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"keyward/tools/wasmlink/link"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "wasmlink:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("wasmlink", flag.ContinueOnError)
	out := flags.String("o", "", "write the linked module to this `file`")
	golden := flags.String("interface", "", "`file` with the imports and exports that the module must have")
	flowOnly := flags.Bool("flow", false, "restore control flow alone, of a module that need be no plugin")
	update := flags.Bool("update", false, "write the -interface file instead of comparing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *out == "" {
		return errors.New("want -o FILE and one module")
	}
	in := flags.Arg(0)
	wasm, err := readFile(in)
	if err != nil {
		return err
	}
	change := link.Link
	if *flowOnly {
		change = link.Restructure
	}
	linked, err := change(wasm)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	if *golden != "" {
		if err := compare(linked, *golden, *update); err != nil {
			return fmt.Errorf("%s: %w", in, err)
		}
	}
	if err := replace(*out, linked); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%x  %s\n", sha256.Sum256(linked), *out)
	return err
}

// readFile reads a module within the bound.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	wasm, err := io.ReadAll(io.LimitReader(f, link.MaxBytes+1))
	if err != nil {
		return nil, err
	}
	return wasm, nil
}

// compare holds the module's interface against what is written down.
func compare(wasm []byte, name string, update bool) error {
	face, err := link.Read(wasm)
	if err != nil {
		return err
	}
	if update {
		return os.WriteFile(name, []byte(face.String()), 0o644)
	}
	want, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading the interface it should have (-update writes it): %w", err)
	}
	if !bytes.Equal(want, []byte(face.String())) {
		return fmt.Errorf("imports or exports differ from %s; if they should, run wasmlink with -update and commit the file:\n%s", name, face.Diff(string(want)))
	}
	return nil
}

// replace writes a file whole or not at all, so that a build which is broken
// off leaves no half a plugin behind.
func replace(name string, b []byte) error {
	tmp := name + ".tmp"
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}
