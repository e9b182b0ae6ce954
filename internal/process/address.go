package process

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
)

// Ports are given from below those that systems give to connections and to whoever
// asks for any port: else one of these might take a port before the program that it
// is meant for does, or while that is started again.
const (
	firstPort = 15_000
	ports     = 15_000
	maxTries  = 100
)

// nextPort begins anywhere, since other processes look for ports at the same time.
var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(ports)) }

// FreeAddress is a loopback address with a port that nobody listens on, another one
// with each call.
func FreeAddress() (address string, err error) {
	for range maxTries {
		port := firstPort + nextPort.Add(1)%ports
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("no free port: %w", err)
}
