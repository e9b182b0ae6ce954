package caddymodule

import (
	"encoding/binary"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// The brake. The first pause is short enough for people who mistype, and doubles.
const (
	wrongTokens    = 10  // different ones, from one address, before the first pause
	wrongCalls     = 100 // the same for calls that repeat a wrong token, which guess nothing
	firstPause     = 10 * time.Second
	longestPause   = 5 * time.Minute
	forgottenAfter = 10 * time.Minute // since the last wrong token that was looked at

	maxAddresses = 4096 // some 200 bytes each
	sampled      = 16   // addresses of which the one that has been quiet for longest is forgotten for a new one

	tellEvery = time.Minute
)

// brake answers those who show wrong tokens with 429, for pauses that grow. It is by
// address, and holds up wrong tokens alone. Many may share an address, behind a NAT or a
// proxy that Caddy was not told to trust: none of them must be able to lock out the others,
// such as the application or a health check. So it does not keep anyone from trying tokens;
// that they cannot be guessed does. It says that somebody tries, and has clients with a token
// that is no longer valid come less often. Calls with a right token do not come here.
//
// It counts what this process sees, across reloads.
type brake struct {
	first time.Duration // the first pause

	mu        sync.Mutex
	addresses map[netip.Addr]*attempts
	told      time.Time // when the log was last told
}

// attempts are those of an address.
type attempts struct {
	wrong     [wrongTokens]uint64 // beginnings of the hashes of different ones
	different int
	calls     int
	pause     time.Duration // the last one; 0 for none yet
	until     time.Time     // end of the pause
	last      time.Time     // when a wrong token was last looked at
}

// theBrake is that of all handlers.
var theBrake = newBrake(firstPause)

func newBrake(first time.Duration) *brake {
	return &brake{first: first, addresses: make(map[netip.Addr]*attempts)}
}

// wrongToken notes a wrong token, and says for how long the address must wait; 0 if it is
// answered as usual. It says to tell the log when pauses begin, but not too often.
func (b *brake) wrongToken(from netip.Addr, hash tokenHash) (wait time.Duration, tell bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	a := b.attemptsOf(from, now)
	if wait := a.until.Sub(now); wait > 0 {
		return wait, false
	}
	a.last = now
	if a.note(hash); a.different < wrongTokens && a.calls < wrongCalls {
		return 0, false
	}
	tell = a.pause == 0 && now.Sub(b.told) >= tellEvery
	if tell {
		b.told = now
	}
	a.pause = min(max(2*a.pause, b.first), longestPause)
	a.until = now.Add(a.pause)
	return 0, tell
}

func (a *attempts) note(hash tokenHash) {
	a.calls++
	beginning := binary.NativeEndian.Uint64(hash[:])
	if a.different < len(a.wrong) && !slices.Contains(a.wrong[:a.different], beginning) {
		a.wrong[a.different] = beginning
		a.different++
	}
}

// attemptsOf finds what is known of an address, or makes room for it.
func (b *brake) attemptsOf(from netip.Addr, now time.Time) *attempts {
	a := b.addresses[from]
	switch {
	case a == nil:
		if len(b.addresses) >= maxAddresses {
			delete(b.addresses, b.quietest())
		}
		a = new(attempts)
		b.addresses[from] = a
	case now.Sub(a.last) >= forgottenAfter:
		*a = attempts{}
	}
	return a
}

// quietest is the one of some addresses, which Go chooses at random.
func (b *brake) quietest() (quietest netip.Addr) {
	seen := 0
	for from, a := range b.addresses {
		if seen == 0 || a.last.Before(b.addresses[quietest].last) {
			quietest = from
		}
		if seen++; seen == sampled {
			break
		}
	}
	return quietest
}

// addressOf is the address that a call comes from, as Caddy sees it by trusted_proxies. A
// network that one customer of a provider gets counts as one; so do all whose address is
// not known, such as those who come by a Unix socket.
func addressOf(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	address = address.Unmap().WithZone("")
	if address.Is6() {
		const customers = 64 // bits
		network, err := address.Prefix(customers)
		if err == nil {
			return network.Addr()
		}
	}
	return address
}
