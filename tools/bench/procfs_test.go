package main

import (
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	tests := []struct {
		name, stat string
		want       time.Duration
		wantErr    bool
	}{
		{name: "a plain name", stat: "7 (envoy) S 1 7 7 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 4 0 99", want: 1750 * time.Millisecond},
		{name: "a name with spaces and parentheses", stat: "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 1 2 0 0", want: 30 * time.Millisecond},
		{name: "too few fields", stat: "7 (envoy) S 1", wantErr: true},
		{name: "no number", stat: "7 (envoy) S 1 7 7 0 -1 4194560 1 2 3 4 x 25 0", wantErr: true},
		{name: "nothing", stat: "", wantErr: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseStat([]byte(tt.stat))
			if got != tt.want || (err != nil) != tt.wantErr {
				t.Errorf("parseStat = %v, %v; want %v, error %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

func TestParseRSSAnon(t *testing.T) {
	tests := []struct {
		name, status string
		want         int64
		wantErr      bool
	}{
		{name: "kilobytes", status: "VmRSS:\t  99 kB\nRssAnon:\t      48 kB\nRssFile:\t 1 kB\n", want: 48 << 10},
		{name: "no such line", status: "VmRSS:\t  99 kB\n", wantErr: true},
		{name: "no number", status: "RssAnon:\tmuch kB\n", wantErr: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseRSSAnon([]byte(tt.status))
			if got != tt.want || (err != nil) != tt.wantErr {
				t.Errorf("parseRSSAnon = %d, %v; want %d, error %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

func TestOwnProcessHasFigures(t *testing.T) {
	if _, err := cpuTime(os.Getpid()); err != nil {
		t.Error(err)
	}
	if n, err := anonymousBytes(os.Getpid()); err != nil || n == 0 {
		t.Errorf("anonymousBytes = %d, %v", n, err)
	}
}
