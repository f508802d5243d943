package dockerd

import (
	"io"
	"net"
)

// Relay passes connections that l takes to an address, until l is closed: from
// the engine's network namespace to the machine.
func Relay(l net.Listener, to string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go relay(c, to)
	}
}

func relay(c net.Conn, to string) {
	defer c.Close()
	up, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer up.Close()
	go func() { _, _ = io.Copy(up, c) }() // either end's end is both's
	_, _ = io.Copy(c, up)
}
