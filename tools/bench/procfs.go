package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tickTime is the unit of CPU times in /proc: Linux has USER_HZ at 100 on
// every architecture that Envoy runs on.
const tickTime = 10 * time.Millisecond

// cpuTime is the user and system time that all threads of a process have used.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(stat)
}

// parseStat reads utime and stime, fields 14 and 15 of proc_pid_stat(5). The
// second field is a name in parentheses that may itself hold spaces.
func parseStat(stat []byte) (time.Duration, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const utime, stime = 14 - 3, 15 - 3 // the first field here is field 3
	if len(fields) <= stime {
		return 0, errors.New("stat: too few fields")
	}
	user, err := strconv.ParseInt(string(fields[utime]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("stat: utime: %w", err)
	}
	system, err := strconv.ParseInt(string(fields[stime]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("stat: stime: %w", err)
	}
	return time.Duration(user+system) * tickTime, nil
}

// anonymousBytes is the resident memory of a process that is backed by no
// file: heaps and linear memories, not Envoy's own code.
func anonymousBytes(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseRSSAnon(status)
}

// parseRSSAnon reads RssAnon of proc_pid_status(5), in bytes.
func parseRSSAnon(status []byte) (int64, error) {
	for line := range bytes.Lines(status) {
		value, ok := bytes.CutPrefix(line, []byte("RssAnon:"))
		if !ok {
			continue
		}
		kB, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(value), []byte("kB")))), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("status: RssAnon: %w", err)
		}
		return kB << 10, nil
	}
	return 0, errors.New("status: no RssAnon")
}
