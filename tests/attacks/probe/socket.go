package main

import (
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func tunnel(World) error {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// abstractSockets connects to all that listen in this namespace.
func abstractSockets(World) error {
	b, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return err
	}
	var names []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 7 && strings.HasPrefix(f[7], "@") {
			names = append(names, f[7])
		}
	}
	return anyOf(len(names), func(i int) error { return dialUnix(names[i]) })
}

func socket(domain, kind, proto int) func(World) error {
	return func(World) error {
		fd, err := unix.Socket(domain, kind, proto)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	}
}

// netlink sends one request and returns the kernel's answer to it.
func netlink(proto int, kind uint16, body []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, proto)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2})
	msg := make([]byte, 16, 16+len(body))
	put32(msg[0:], uint32(16+len(body)))
	msg[4], msg[5] = byte(kind), byte(kind>>8)
	flags := unix.NLM_F_REQUEST | unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	msg[6], msg[7] = byte(flags), byte(flags>>8)
	if err := unix.Sendto(fd, append(msg, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		return err
	}
	if n >= 20 {
		if errno := int32(get32(buf[16:])); errno != 0 {
			return syscall.Errno(-errno)
		}
	}
	return nil
}

func put32(b []byte, v uint32) {
	b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
}

func get32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func auditWrite(World) error { return netlink(unix.NETLINK_AUDIT, 1108, []byte("probe")) }

// newRoute routes 0.0.0.0/1 over the first interface.
func newRoute(World) error {
	body := []byte{unix.AF_INET, 1, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RT_SCOPE_LINK, unix.RTN_UNICAST, 0, 0, 0, 0}
	body = append(body, 8, 0, unix.RTA_DST, 0, 0, 0, 0, 0) // one attribute: the network
	body = append(body, 8, 0, unix.RTA_OIF, 0, 2, 0, 0, 0)
	return netlink(unix.NETLINK_ROUTE, unix.RTM_NEWROUTE, body)
}

func newAddress(World) error {
	body := []byte{unix.AF_INET, 16, 0, unix.RT_SCOPE_UNIVERSE, 2, 0, 0, 0}
	body = append(body, 8, 0, unix.IFA_LOCAL, 0, 172, 17, 0, 77)
	return netlink(unix.NETLINK_ROUTE, unix.RTM_NEWADDR, body)
}

func unixSocket(path string) func(World) error {
	return func(World) error { return dialUnix(path) }
}

func dialUnix(path string) error {
	c, err := net.DialTimeout("unix", path, patience)
	if err != nil {
		return err
	}
	return c.Close()
}
