package main

import (
	"strings"
	"testing"
)

func TestSummarize(t *testing.T) {
	tests := []struct {
		name, in, want string
		ok             bool
	}{
		{
			name: "passing tests are counted and their output dropped",
			in: `{"Action":"output","Package":"p","Test":"A","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"A"}
{"Action":"pass","Package":"p","Test":"A/sub"}
{"Action":"pass","Package":"p","Elapsed":1.25}`,
			want: "ok  \tp\t1.2s\n2 passed, 0 failed, 0 skipped\n",
			ok:   true,
		},
		{
			name: "a failing test shows its output",
			in: `{"Action":"output","Package":"p","Test":"A","Output":"    a_test.go:1: wrong\n"}
{"Action":"fail","Package":"p","Test":"A"}
{"Action":"fail","Package":"p","Elapsed":0.1}`,
			want: "    a_test.go:1: wrong\nFAIL\tp\t0.1s\n0 passed, 1 failed, 0 skipped\n",
		},
		{
			name: "a package that does not build is one failure",
			in: `{"ImportPath":"p","Action":"build-output","Output":"p.go:1: syntax error\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","Elapsed":0,"FailedBuild":"p"}`,
			want: "p.go:1: syntax error\nFAIL\tp [build failed]\nFAIL\tp\t0.0s\n0 passed, 1 failed, 0 skipped\n",
		},
		{
			name: "a test that never ended shows what it said",
			in: `{"Action":"output","Package":"p","Test":"B","Output":"    waiting\n"}
{"Action":"output","Package":"p","Test":"A","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"p","Elapsed":600}`,
			want: "panic: test timed out\n    waiting\nFAIL\tp\t600.0s\n0 passed, 1 failed, 0 skipped\n",
		},
		{
			name: "a skip is told with its reason at the end",
			in: `{"Action":"output","Package":"p","Test":"A","Output":"=== RUN   A\n"}
{"Action":"output","Package":"p","Test":"A","Output":"    a_test.go:1: envoy is missing\n"}
{"Action":"output","Package":"p","Test":"A","Output":"--- SKIP: A (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"A"}
{"Action":"pass","Package":"p","Test":"B"}
{"Action":"pass","Package":"p","Elapsed":0}`,
			want: "ok  \tp\t0.0s\nSKIP\tp A: a_test.go:1: envoy is missing\n1 passed, 0 failed, 1 skipped\n",
			ok:   true,
		},
		{
			name: "a package without tests is not mentioned",
			in:   `{"Action":"skip","Package":"p","Elapsed":0}` + "\n" + `{"Action":"pass","Package":"q","Test":"A"}`,
			want: "1 passed, 0 failed, 0 skipped\n",
			ok:   true,
		},
		{
			name: "what is no event is copied",
			in:   "go: downloading x\n" + `{"Action":"pass","Package":"p","Test":"A"}`,
			want: "go: downloading x\n1 passed, 0 failed, 0 skipped\n",
			ok:   true,
		},
		{
			name: "no test at all is a failure",
			in:   "",
			want: "0 passed, 0 failed, 0 skipped\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			sum, err := summarize(strings.NewReader(tt.in), &out)
			if err != nil {
				t.Fatal(err)
			}
			if got := out.String(); got != tt.want {
				t.Errorf("printed\n%q, want\n%q", got, tt.want)
			}
			if sum.ok() != tt.ok {
				t.Errorf("ok = %v, want %v", sum.ok(), tt.ok)
			}
		})
	}
}
