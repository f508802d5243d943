package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

var kernelWays = []way{
	{"mount a tmpfs", func(World) error { return unix.Mount("none", "/tmp", "tmpfs", 0, "") }},
	{"mount proc anew", func(World) error { return unix.Mount("proc", "/tmp", "proc", 0, "") }},
	{"mount the cgroup tree", func(World) error { return unix.Mount("none", "/tmp", "cgroup", 0, "memory") }},
	{"make the root writable", func(World) error { return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, "") }},
	{"unmount /proc/sys", func(World) error { return unix.Unmount("/proc/sys", unix.MNT_DETACH) }},
	{"a new user namespace", unshare(unix.CLONE_NEWUSER)},
	{"a new mount namespace", unshare(unix.CLONE_NEWNS)},
	{"a new network namespace", unshare(unix.CLONE_NEWNET)},
	{"a new PID namespace", unshare(unix.CLONE_NEWPID)},
	{"a child in a new user namespace", cloned},
	{"another namespace of PID 1", enter},
	{"change the root", func(World) error { return unix.Chroot("/tmp") }},
	{"exchange the root", func(World) error { return unix.PivotRoot("/tmp", "/tmp") }},
	{"a kernel key", func(World) error {
		_, err := unix.KeyctlInt(unix.KEYCTL_GET_KEYRING_ID, unix.KEY_SPEC_USER_KEYRING, 1, 0, 0)
		return err
	}},
	{"store a kernel key", func(World) error {
		_, err := unix.AddKey("user", "probe", []byte("x"), unix.KEY_SPEC_USER_KEYRING)
		return err
	}},
	{"load a BPF program", call(unix.SYS_BPF, 5, 0, 0)},
	{"count events of the kernel", call(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0)},
	{"load a kernel module", call(unix.SYS_INIT_MODULE, 0, 0, 0)},
	{"load a kernel module from a file", call(unix.SYS_FINIT_MODULE, 0, 0, 0)},
	{"load another kernel", call(unix.SYS_KEXEC_LOAD, 0, 0, 0)},
	// Invalid magic numbers: the machine goes on even where the call is let through.
	{"reboot", call(unix.SYS_REBOOT, 1, 2, 3)},
	{"swap to a file", call(unix.SYS_SWAPON, 0, 0, 0)},
	{"set the clock", func(World) error {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
			return err
		}
		return unix.ClockSettime(unix.CLOCK_REALTIME, &now)
	}},
	{"set the host's name", func(World) error { return unix.Sethostname([]byte("probe")) }},
	{"set the domain's name", func(World) error { return unix.Setdomainname([]byte("probe")) }},
	{"read the kernel's log", func(World) error {
		_, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, make([]byte, 64))
		return err
	}},
	{"open a file by its handle", call(unix.SYS_OPEN_BY_HANDLE_AT, 0, 0, 0)},
	{"ports of the hardware", call(unix.SYS_IOPL, 3, 0, 0)},
	{"account processes into a file", call(unix.SYS_ACCT, 0, 0, 0)},
	{"queues into the kernel", call(unix.SYS_IO_URING_SETUP, 0, 0, 0)},
	{"user faults in the kernel", call(unix.SYS_USERFAULTFD, 1<<30, 0, 0)},
	{"become root", func(World) error { return unix.Setuid(0) }},
	{"become root's group", func(World) error { return unix.Setgid(0) }},
	{"more groups", func(World) error { return unix.Setgroups([]int{0}) }},
	{"root through a setuid program", setuid},
	{"any capability", capabilities},
	{"take a capability", takeCapability},
	{"privileges at exec", func(World) error {
		v, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
		if err != nil || v == 1 {
			return errors.Join(err, errors.New("no_new_privs is set"))
		}
		return nil
	}},
	{"system calls without a filter", func(World) error {
		b, err := os.ReadFile("/proc/self/status")
		if err != nil || strings.Contains(string(b), "Seccomp:\t2") {
			return errors.Join(err, errors.New("a filter is set"))
		}
		return nil
	}},
	{"trace a process of somebody else", traced},
	{"signal a process of somebody else", signalled},
	{"run before all others", func(World) error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -20) }},
	{"run in real time", realTime},
}

// call makes a system call with senseless arguments: where it is let through, the
// kernel complains of those.
func call(nr, a, b, c uintptr) func(World) error {
	return func(World) error {
		_, _, errno := unix.Syscall(nr, a, b, c)
		switch errno {
		case unix.EPERM, unix.EACCES, unix.ENOSYS:
			return errno
		default:
			return nil
		}
	}
}

func unshare(flags int) func(World) error {
	return func(World) error {
		return run(&exec.Cmd{Path: "/proc/self/exe", Args: []string{"probe", "child", "unshare", fmt.Sprint(flags)}})
	}
}

func run(c *exec.Cmd) error {
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func cloned(World) error {
	c := &exec.Cmd{Path: "/proc/self/exe", Args: []string{"probe", "child", "true"}}
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	return run(c)
}

func enter(World) error {
	fd, err := unix.Open("/proc/1/ns/mnt", unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Setns(fd, 0)
}

// setuid runs the copy of this program in the image that is root's and setuid.
func setuid(World) error {
	out, err := exec.Command("/suid", "child", "uid").Output()
	if err != nil {
		return err
	}
	if s := strings.TrimSpace(string(out)); s != "0" {
		return fmt.Errorf("it runs as %q", s)
	}
	return nil
}

func capabilities(World) error {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		if name, v, ok := strings.Cut(line, ":\t"); ok && strings.HasPrefix(name, "Cap") && strings.Trim(v, "0\n") != "" {
			return nil
		}
	}
	return errors.New("all sets are empty")
}

func takeCapability(World) error {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	d := [2]unix.CapUserData{{Effective: 1 << unix.CAP_NET_ADMIN, Permitted: 1 << unix.CAP_NET_ADMIN}}
	return unix.Capset(&h, &d[0])
}

// foreign lists processes that are no descendants of this container's init.
func foreign() ([]int, error) {
	dir, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var list []int
	own := os.Getpid()
	for _, e := range dir {
		var pid int
		if _, err := fmt.Sscan(e.Name(), &pid); err == nil && pid != 1 && pid != own {
			list = append(list, pid)
		}
	}
	return list, nil
}

func traced(World) error {
	list, err := foreign()
	if err != nil {
		return err
	}
	for _, pid := range list {
		if unix.PtraceAttach(pid) == nil {
			return nil
		}
	}
	return fmt.Errorf("none of %d", len(list))
}

func signalled(World) error {
	for pid := 2; pid < 70000; pid++ {
		if pid != os.Getpid() && unix.Kill(pid, 0) == nil && !ownThread(pid) {
			return nil
		}
	}
	return errors.New("there is nobody else")
}

func ownThread(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", pid))
	return err == nil
}

func realTime(World) error {
	param := int32(1)
	_, _, errno := unix.Syscall(unix.SYS_SCHED_SETSCHEDULER, 0, 1 /* SCHED_FIFO */, uintptr(unsafe.Pointer(&param)))
	if errno != 0 {
		return errno
	}
	return nil
}
