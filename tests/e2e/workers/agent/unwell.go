package main

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

// unwell is what an agent does that is not well, for ever.
func unwell(how string) {
	mcp, auth, err := server()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	switch how {
	case "denied": // does not take no for an answer
		again(mcp, auth, tool("delete_everything"))
	case "same": // makes one call, and again
		again(mcp, auth, tool("echo"))
	case "memory": // takes more than it may have
		var all [][]byte
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			all = append(all, b)
			fmt.Println(len(all), "MiB")
		}
	}
}

func again(mcp, auth, body string) {
	for {
		call(http.MethodPost, mcp, auth, body)
		time.Sleep(100 * time.Millisecond)
	}
}
