package process

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
)

// Ports are below those that systems choose for connections, and for programs that ask for
// any port. Otherwise one of these might take a port before the program that it is meant
// for, or while that program is started again.
const (
	firstPort = 15_000
	ports     = 15_000
	maxTries  = 100
)

// nextPort begins at a random port, since other processes look for ports at the same time.
var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(ports)) }

// FreeAddress returns a loopback address with a port that nothing listens on. Each call
// returns another one.
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
