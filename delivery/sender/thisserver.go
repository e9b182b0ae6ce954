package sender

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// lookAgainAfter is for how long this server is taken to have the addresses that it had.
const lookAgainAfter = 10 * time.Second

// thisServer knows the addresses of the machine that this process runs on.
var thisServer = ownAddrs{list: net.InterfaceAddrs}

// OwnAddrsError says why this machine's own addresses cannot be told from others, nil if
// they can.
func OwnAddrsError() error {
	thisServer.mu.Lock()
	defer thisServer.mu.Unlock()
	thisServer.look(time.Now())
	return thisServer.err
}

// ownAddrs are the addresses of a machine's interfaces. Addresses by which a router or a
// cloud leads to the machine are not among them.
type ownAddrs struct {
	list func() ([]net.Addr, error)

	mu       sync.Mutex
	all      map[netip.Addr]bool
	lookedAt time.Time
	err      error // of the last look
}

// has says whether an address is among them, as of a few seconds ago.
func (o *ownAddrs) has(addr netip.Addr) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.look(time.Now())
	return o.all[addr]
}

// look looks again if that is due. If it fails, the addresses stay what they were. The
// caller has the lock.
func (o *ownAddrs) look(now time.Time) {
	if !o.lookedAt.IsZero() && now.Sub(o.lookedAt) < lookAgainAfter {
		return
	}
	o.lookedAt = now
	addrs, err := o.list()
	if o.err = err; err != nil {
		return
	}
	o.all = make(map[netip.Addr]bool, len(addrs))
	for _, addr := range addrs {
		if ipNet, ok := addr.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(ipNet.IP); ok {
				o.all[ip.Unmap()] = true
			}
		}
	}
}
