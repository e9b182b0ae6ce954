package sender

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

// ownAddresses gives this machine other addresses until the test ends, or none that can be
// found out. Tests that use it do not run beside others.
func ownAddresses(t *testing.T, err error, addrs ...string) {
	t.Helper()
	list := func() (all []net.Addr, _ error) {
		for _, addr := range addrs {
			all = append(all, &net.IPNet{IP: net.ParseIP(addr), Mask: net.CIDRMask(24, 32)})
		}
		return all, err
	}
	set := func(list func() ([]net.Addr, error)) {
		thisServer.mu.Lock()
		defer thisServer.mu.Unlock()
		thisServer.list, thisServer.lookedAt = list, time.Time{}
	}
	before := thisServer.list
	set(list)
	t.Cleanup(func() { set(before) })
}

const ownRefused = "the host's address is this server's own, and not allowed by the configuration: ask the operator of this server"

func TestOwnAddresses(t *testing.T) {
	own := []string{"127.0.0.1", "1.2.3.4", "2a00:1450::1"}
	ownAddresses(t, nil, own...)
	for _, tc := range []struct{ addr, allow, want string }{
		{"1.2.3.4", "", ownRefused},
		{"::ffff:1.2.3.4", "", ownRefused},
		{"64:ff9b::1.2.3.4", "", ownRefused},
		{"2a00:1450::5efe:1.2.3.4", "", ownRefused},
		{"2a00:1450::1", "", ownRefused},
		{"2a00:1450::1%eth0", "", ownRefused},
		{"127.0.0.1", "", notPublic},
		{"1.2.3.5", "", ""},
		{"2a00:1450::2", "", ""},
		{"1.2.3.4", "1.2.3.4/32", ""},
		{"64:ff9b::1.2.3.4", "1.2.3.4/32", ""},
		{"2a00:1450::5efe:1.2.3.4", "1.2.3.4/32", ""},
		{"2a00:1450::1", "1.2.3.4/32", ownRefused},
	} {
		d := Destinations{}
		if tc.allow != "" {
			d.Allow = prefixes(tc.allow)
		}
		addr := netip.MustParseAddr(tc.addr)
		switch err := d.checkAddr("", addr); {
		case tc.want != "":
			wantRefused(t, err, tc.want, addr)
		case err != nil:
			t.Errorf("%+v: got %v", tc, err)
		}
	}
	if err := new(Destinations).CheckURL("https://1.2.3.4/"); err == nil || err.Error() != ownRefused {
		t.Errorf("in a URL: %v", err)
	}
	dnsZone(t, map[string][]string{"site.example": {"1.2.3.4"}})
	newSender(t).Send(t.Context(), message("https://site.example/")).want(t, Response{Failure: ownRefused})
	named := Destinations{AllowHosts: hosts(t, "site.example")}
	if err := named.checkAddr("site.example", netip.MustParseAddr("1.2.3.4")); err != nil {
		t.Errorf("a host that is allowed: %v", err)
	}
}

// A machine gets other addresses while it runs.
func TestOwnAddressesChange(t *testing.T) {
	var (
		addrs []net.Addr
		fault error
		looks int
	)
	o := ownAddrs{list: func() ([]net.Addr, error) { looks++; return addrs, fault }}
	one, other := netip.MustParseAddr("1.2.3.4"), netip.MustParseAddr("1.2.3.5")
	addrs = []net.Addr{&net.IPNet{IP: one.AsSlice()}}
	for range 100 {
		if !o.has(one) || o.has(other) {
			t.Fatal("not the addresses that it has")
		}
	}
	if looks != 1 {
		t.Errorf("it looked %d times", looks)
	}
	later := func() { o.lookedAt = o.lookedAt.Add(-lookAgainAfter) }
	addrs, fault = nil, errors.New("not permitted")
	later()
	if !o.has(one) || !errors.Is(o.err, fault) {
		t.Errorf("it forgot its addresses when it could not look again: %v", o.err)
	}
	addrs, fault = []net.Addr{&net.IPNet{IP: other.AsSlice()}}, nil
	later()
	if o.has(one) || !o.has(other) || o.err != nil {
		t.Errorf("it has %v, %v", o.all, o.err)
	}
}

// The machine that this runs on has at least loopback.
func TestOwnAddressesAreThisMachines(t *testing.T) {
	if err := OwnAddrsError(); err != nil || !thisServer.has(netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("got %v, %v", thisServer.all, err)
	}
}

func BenchmarkOwnAddresses(b *testing.B) {
	addr := netip.MustParseAddr("1.2.3.4")
	b.Run("known", func(b *testing.B) {
		for b.Loop() {
			thisServer.has(addr)
		}
	})
	b.Run("look", func(b *testing.B) {
		for b.Loop() {
			thisServer.mu.Lock()
			thisServer.lookedAt = time.Time{}
			thisServer.mu.Unlock()
			thisServer.has(addr)
		}
	})
}
