package text

import (
	"strings"
	"testing"
)

func TestFirst(t *testing.T) {
	long := strings.Repeat("x", 3*window)
	for in, want := range map[string]int{
		"": 0, "abc": 3, "\n": 0, "a\r\n": 1, "ab\n\r": 2,
		long: len(long), long + "\r" + long + "\n": len(long), long + "\n\r": len(long),
		long[:window-1] + "\r": window - 1, long[:window] + "\n": window,
	} {
		if got := First([]byte(in), '\n', '\r'); got != want {
			t.Errorf("First(%q) = %d, want %d", in, got, want)
		}
	}
}
