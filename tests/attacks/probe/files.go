package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

var fileWays = []way{
	{"a file in the root", write("/probe-was-here")},
	{"the users", write("/etc/passwd")},
	{"the names of hosts", write("/etc/hosts")},
	{"the resolver", write("/etc/resolv.conf")},
	{"its own token", write("/run/keyward/token")},
	{"a file beside its token", write("/run/keyward/other")},
	{"its own program", write("/probe")},
	{"a program of its own making, in /tmp", runFrom("/tmp")},
	{"a program of its own making, in /dev/shm", runFrom("/dev/shm")},
	{"a device", func(World) error { return unix.Mknod("/tmp/mem", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 1))) }},
	{"a disk", func(World) error { return unix.Mknod("/tmp/disk", unix.S_IFBLK|0o600, int(unix.Mkdev(254, 0))) }},
	{"the memory of the machine", read("/dev/mem")},
	{"the kernel's messages", read("/dev/kmsg")},
	{"any disk in /dev", disks},
	{"the memory of the kernel", read("/proc/kcore")},
	{"the kernel's keys", read("/proc/keys")},
	{"the kernel's timers", read("/proc/timer_list")},
	{"the program for core dumps", write("/proc/sys/kernel/core_pattern")},
	{"the program for modules", write("/proc/sys/kernel/modprobe")},
	{"the host's memory settings", write("/proc/sys/vm/overcommit_memory")},
	{"forwarding of packets", write("/proc/sys/net/ipv4/ip_forward")},
	{"the system request key", write("/proc/sysrq-trigger")},
	{"handlers of interrupts", write("/proc/irq/default_smp_affinity")},
	{"a handler of binaries", write("/proc/sys/fs/binfmt_misc/register")},
	{"safety from the OOM killer", func(World) error { return os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0) }},
	{"a map of users", func(World) error { return os.WriteFile("/proc/self/uid_map", []byte("0 0 1"), 0) }},
	{"a helper of the kernel", write("/sys/kernel/uevent_helper")},
	{"the firmware", readDir("/sys/firmware")},
	{"the kernel's debugger", readDir("/sys/kernel/debug")},
	{"security settings", write("/sys/kernel/security/apparmor/.remove")},
	{"a release agent", cgroup("release_agent")},
	{"its own limit of processes", cgroup("pids.max")},
	{"its own limit of memory", cgroup("memory.limit_in_bytes")},
	{"a cgroup of its own", newCgroup},
	{"the root of the host through PID 1", func(World) error { return readable("/proc/1/root/etc/shadow") }},
	{"another process's environment", environs},
	{"another Worker's token in any file", searched},
}

func write(path string) func(World) error {
	return func(World) error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		return f.Close() // being allowed to is enough; nothing is written
	}
}

func read(path string) func(World) error { return func(World) error { return readable(path) } }

func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := f.Read(make([]byte, 64))
	if n == 0 {
		return errors.Join(err, errors.New("it is empty"))
	}
	return nil
}

func readDir(path string) func(World) error {
	return func(World) error {
		list, err := os.ReadDir(path)
		if err == nil && len(list) == 0 {
			err = errors.New("it is empty")
		}
		return err
	}
}

// runFrom copies this program into a folder and runs it from there.
func runFrom(dir string) func(World) error {
	return func(World) error {
		b, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			return err
		}
		path := filepath.Join(dir, "program")
		if err := os.WriteFile(path, b, 0o755); err != nil {
			return err
		}
		defer os.Remove(path)
		return run(exec.Command(path, "child", "true"))
	}
}

func disks(World) error {
	list, err := os.ReadDir("/dev")
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Type()&fs.ModeDevice != 0 && e.Type()&fs.ModeCharDevice == 0 {
			return nil
		}
	}
	return errors.New("there is none")
}

// cgroup tries a file of any controller.
func cgroup(name string) func(World) error {
	return func(w World) error {
		found, _ := filepath.Glob("/sys/fs/cgroup/*/" + name)
		for _, path := range append(found, "/sys/fs/cgroup/"+name) {
			if err := write(path)(w); err == nil {
				return nil
			}
		}
		return fmt.Errorf("none of %d", len(found)+1)
	}
}

func newCgroup(World) error {
	found, _ := filepath.Glob("/sys/fs/cgroup/*")
	for _, path := range append(found, "/sys/fs/cgroup") {
		if os.Mkdir(path+"/probe", 0o755) == nil {
			return nil
		}
	}
	return errors.New("nowhere")
}

func environs(World) error {
	list, err := foreign()
	if err != nil {
		return err
	}
	for _, pid := range list {
		if readable(fmt.Sprintf("/proc/%d/environ", pid)) == nil {
			return nil
		}
	}
	return fmt.Errorf("none of %d", len(list))
}

var tokens = regexp.MustCompile(`kwt_[0-9A-Za-z]+`)

// searched looks for another Worker's token in all that can be read.
func searched(w World) error {
	seen := 0
	err := filepath.WalkDir("/", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipDir
		}
		if strings.HasPrefix(path, "/sys/") || path == "/proc/kcore" {
			return fs.SkipDir
		}
		if !e.Type().IsRegular() || path == "/probe" || path == "/suid" || strings.HasPrefix(path, "/proc/sys") {
			return nil
		}
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return nil
		}
		f := os.NewFile(uintptr(fd), path)
		defer f.Close()
		b := make([]byte, 1<<20)
		n, _ := f.Read(b)
		seen++
		for _, t := range tokens.FindAll(bytes.TrimSpace(b[:max(n, 0)]), -1) {
			if sum := sha256.Sum256(t); hex.EncodeToString(sum[:]) == w.Secret {
				return errFound
			}
		}
		return nil
	})
	if errors.Is(err, errFound) {
		return nil
	}
	return fmt.Errorf("not in %d files: %v", seen, err)
}

var errFound = errors.New("found")
