package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

var limitWays = []way{
	{"more processes than allowed", forkBomb},
	{"more memory than allowed", memoryBomb},
	{"more open files than allowed", openBomb},
	{"raise the limit of open files", func(w World) error {
		return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: w.Files + 1, Max: w.Files + 1})
	}},
	{"dump its memory", func(World) error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}) }},
	{"more of /tmp than allowed", func(w World) error { return fill("/tmp/fill", w.Tmp+8) }},
	{"more of /dev/shm than allowed", func(World) error { return fill("/dev/shm/fill", 64) }},
	{"keep memory from being swapped", func(w World) error {
		b := make([]byte, 8<<20)
		return unix.Mlock(b)
	}},
}

// child is what the program does as a child of its own, which may not survive.
func child(args []string) int {
	switch args[0] {
	case "true":
		return 0
	case "uid":
		fmt.Println(unix.Geteuid())
		return 0
	case "sleep":
		time.Sleep(time.Minute)
		return 0
	case "unshare":
		flags, _ := strconv.Atoi(args[1])
		if err := unix.Unshare(flags); err != nil {
			fmt.Println(err)
			return 1
		}
		return 0
	case "allocate":
		mb, _ := strconv.Atoi(args[1])
		var all [][]byte
		for range mb {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			all = append(all, b)
		}
		return min(len(all), 1) - 1
	}
	return 2
}

// forkBomb counts live processes until no more can be had.
func forkBomb(w World) error {
	var all []*os.Process
	defer func() {
		for _, p := range all {
			_ = p.Kill()
			_, _ = p.Wait()
		}
	}()
	for range w.Pids + 8 {
		p, err := os.StartProcess("/proc/self/exe", []string{"probe", "child", "sleep"}, &os.ProcAttr{})
		if err != nil {
			return fmt.Errorf("after %d: %w", len(all), err)
		}
		all = append(all, p)
	}
	return nil
}

func memoryBomb(w World) error {
	c := exec.Command("/proc/self/exe", "child", "allocate", strconv.FormatInt(2*w.Memory, 10))
	return c.Run()
}

func openBomb(w World) error {
	var all []int
	defer func() {
		for _, fd := range all {
			unix.Close(fd)
		}
	}()
	for range w.Files + 8 {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
		if err != nil {
			return fmt.Errorf("after %d: %w", len(all), err)
		}
		all = append(all, fd)
	}
	return nil
}

func fill(path string, mb int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	defer f.Close()
	b := make([]byte, 1<<20)
	for i := range mb {
		if _, err := f.Write(b); err != nil {
			return fmt.Errorf("after %d MiB: %w", i, err)
		}
	}
	return errors.Join(f.Sync())
}
