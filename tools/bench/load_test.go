package main

import (
	"strings"
	"testing"
)

func TestLoadReachesTheUpstreamAsWanted(t *testing.T) {
	const answer = `{"ok":true}`
	tests := []struct {
		name    string
		want    map[string]string
		answer  int // bytes that the client expects
		wantErr string
	}{
		{name: "all is as wanted", want: map[string]string{"authorization": "Bearer k", "x-absent": ""}, answer: len(answer)},
		{name: "a header is not there", want: map[string]string{"x-bench": "edited"}, answer: len(answer), wantErr: "another x-bench"},
		{name: "a header is there that should not", want: map[string]string{"authorization": ""}, answer: len(answer), wantErr: "another authorization"},
		{name: "the answer has another size", answer: 3, wantErr: "answer has 11 bytes, want 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, err := serve(answer)
			if err != nil {
				t.Fatal(err)
			}
			defer u.close()
			u.expect(tt.want)
			const n = 100
			c := newCall("/mcp", [][2]string{{"authorization", "Bearer k"}}, "{}", tt.answer)
			took, err := load(t.Context(), u.addr, c, 3, n)
			if err == nil {
				err = u.check(n)
			}
			switch {
			case tt.wantErr == "" && err != nil:
				t.Fatal(err)
			case tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)):
				t.Fatalf("error = %v, want one with %q", err, tt.wantErr)
			}
			if len(took) != n {
				t.Errorf("%d latencies, want %d", len(took), n)
			}
		})
	}
}

func TestLoadRefusesAnswersThatAreNotOK(t *testing.T) {
	u, err := serve("{}")
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	u.expect(nil)
	c := call{wire: []byte("POST / HTTP/1.1\r\nhost: x\r\nexpect: nonsense\r\ncontent-length: 0\r\n\r\n")}
	if _, err := load(t.Context(), u.addr, c, 1, 1); err == nil || !strings.Contains(err.Error(), "417") {
		t.Errorf("error = %v, want one with the status", err)
	}
}

func TestUpstreamCountsRequests(t *testing.T) {
	u := &upstream{}
	u.expect(nil)
	if err := u.check(1); err == nil {
		t.Error("a request that never came was not missed")
	}
}
