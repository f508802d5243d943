// Command testsum reads the events of `go test -json` and prints what a person
// wants to know: each package as it ends, the output of what failed, every
// skipped test with its reason, and last "N passed, N failed, N skipped".
//
//	go test -json ./... | testsum
//
// It exits with 1 when anything failed, when a package did not build, or when
// no test ran at all.
package main

import (
	"fmt"
	"os"
)

func main() {
	sum, err := summarize(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
	if !sum.ok() {
		os.Exit(1)
	}
}
