// Command guest is the engine as a WebAssembly module, for the benchmark to run.
// Elsewhere it does nothing.
package main

func main() {}
