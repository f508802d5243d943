// Command unwell is a Worker that does something that is not well, for ever: which
// thing its argument says. It is a static binary for an empty image.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fail(errors.New("usage: unwell denied|same|memory"))
	}
	switch os.Args[1] {
	case "denied": // does not take no for an answer
		again("repository.delete")
	case "same": // makes one call, and again
		again("issues.read")
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

func again(tool string) {
	b, err := os.ReadFile(os.Getenv("KEYWARD_MCP_CONFIG"))
	if err != nil {
		fail(err)
	}
	var c struct {
		MCPServers map[string]struct{ URL string }
	}
	if err := json.Unmarshal(b, &c); err != nil {
		fail(err)
	}
	for {
		for _, s := range c.MCPServers {
			if err := call(s.URL, tool); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func call(url, tool string) error {
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{"repository":"acme/site","number":7}}}`, tool)
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	for k, v := range map[string]string{
		"Authorization": "Bearer " + os.Getenv("KEYWARD_TOKEN"), "Content-Type": "application/json",
		"Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2025-06-18",
	} {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16))
	return err
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
