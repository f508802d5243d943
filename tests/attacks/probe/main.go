// Command probe is run as a Worker and tries to get out: to others on the
// network, to the kernel, to the host's files, and beyond its limits. It says on
// standard output, as JSON, what it tried and what succeeded. It is a static
// binary for an empty image.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// A World says what there is to be reached. It is the program's one argument.
type World struct {
	Gateway string   // URL; the one thing that must be reachable
	Hosts   []string // addresses of the host, on its bridges and elsewhere
	Ports   []int    // on which something listens there
	Others  []string // addresses of other containers; a Worker listens on 7777
	Names   []string // that no resolver may know
	Secret  string   // SHA-256 of another Worker's token, in hex
	Pids    int      // limits that must hold
	Memory  int64    // MiB
	Files   uint64
	Tmp     int64 // MiB
	Real    *Real // nil: the gateway answers GET / and decides nothing
}

// An Attempt is one way out.
type Attempt struct {
	Name      string `json:"name"`
	Succeeded bool   `json:"succeeded"`
	Detail    string `json:"detail"`
}

// A Report is what the program writes, as one line.
type Report struct {
	Control  string    `json:"control"` // empty: the gateway answers
	Attempts []Attempt `json:"attempts"`
}

// A way out; nil: it is open.
type way struct {
	name string
	try  func(w World) error
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "child" {
		os.Exit(child(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "wait" {
		wait()
	}
	var w World
	if len(os.Args) != 2 || json.Unmarshal([]byte(os.Args[1]), &w) != nil {
		fmt.Fprintln(os.Stderr, "usage: probe WORLD | probe wait")
		os.Exit(2)
	}
	r := Report{}
	list := [][]way{networkWays, kernelWays, fileWays, limitWays}
	if w.Real == nil {
		r.Control = control(w)
	} else {
		r.Control, list = controlThrough(w), [][]way{networkWays, fileWays, throughWays}
	}
	for _, ways := range list {
		for _, way := range ways {
			r.Attempts = append(r.Attempts, attempt(way, w))
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		os.Exit(1)
	}
	wait()
}

func attempt(way way, w World) (a Attempt) {
	a.Name = way.name
	defer func() {
		if v := recover(); v != nil {
			a.Detail = fmt.Sprint("panic: ", v)
		}
	}()
	err := way.try(w)
	a.Succeeded = err == nil
	if err != nil {
		a.Detail = err.Error()
	}
	return a
}

// wait keeps the container until it is stopped, and answers whoever gets here.
func wait() {
	serve()
	for {
		time.Sleep(time.Hour)
	}
}
