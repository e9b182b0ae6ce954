package caddymodule

import (
	"context"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// guess is a wrong token of its own for each number.
func guess(n int) (hash tokenHash) {
	binary.LittleEndian.PutUint64(hash[:], uint64(n)+1)
	return hash
}

var guesser = netip.MustParseAddr("192.0.2.1")

// TestBrakeGrows guesses as often as it may. The pauses grow, up to the longest one, and are
// forgotten when nobody guesses for long.
func TestBrakeGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, n := newBrake(firstPause), 0
		try := func(want time.Duration) {
			t.Helper()
			n++
			if wait, _ := b.wrongToken(guesser, guess(n)); wait != want {
				t.Fatalf("guess %d must wait for %s, want %s", n, wait, want)
			}
		}
		for range 2 { // the second time, all is forgotten
			for range wrongTokens {
				try(0)
			}
			for pause := firstPause; pause < longestPause; pause = min(2*pause, longestPause) {
				try(pause)
				time.Sleep(pause - time.Second)
				try(time.Second) // trying does not make it longer
				time.Sleep(time.Second)
				try(0)
			}
			try(longestPause)
			time.Sleep(longestPause)
			try(0)
			try(longestPause)
			time.Sleep(forgottenAfter)
		}
	})
}

// TestBrakeOfOneToken repeats a wrong token, as programs do that have an old one.
func TestBrakeOfOneToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrake(firstPause)
		for i := range wrongCalls {
			if wait, _ := b.wrongToken(guesser, guess(0)); wait != 0 {
				t.Fatalf("call %d must wait for %s", i, wait)
			}
		}
		if wait, _ := b.wrongToken(guesser, guess(0)); wait != firstPause {
			t.Errorf("it must wait for %s", wait)
		}
		if wait, _ := b.wrongToken(netip.MustParseAddr("192.0.2.2"), guess(0)); wait != 0 {
			t.Errorf("another address must wait for %s", wait)
		}
	})
}

// TestBrakeTells brakes several addresses: the log is told of the first, and of another one
// a minute later.
func TestBrakeTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrake(firstPause)
		told := 0
		for last := range byte(3) {
			for n := range 2 * wrongTokens {
				if _, tell := b.wrongToken(netip.AddrFrom4([4]byte{192, 0, 2, last}), guess(n)); tell {
					told++
				}
			}
			if last == 1 {
				time.Sleep(tellEvery)
			}
		}
		if told != 2 {
			t.Errorf("the log was told %d times", told)
		}
	})
}

// TestBrakeIsBounded has more addresses guess than are remembered. Those that still guess
// are rather not forgotten.
func TestBrakeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrake(firstPause)
		for n := range maxAddresses {
			b.wrongToken(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), guess(n))
		}
		time.Sleep(time.Second)
		for n := range wrongTokens {
			b.wrongToken(guesser, guess(n))
		}
		for n := range maxAddresses / 2 { // the older half at most is gone by then
			time.Sleep(time.Millisecond)
			b.wrongToken(netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), guess(n))
		}
		if got := len(b.addresses); got != maxAddresses {
			t.Errorf("%d addresses are remembered", got)
		}
		if wait, _ := b.wrongToken(guesser, guess(0)); wait == 0 {
			t.Error("who guesses is forgotten before those who do not")
		}
	})
}

// TestAddressOf takes addresses as Caddy gives them.
func TestAddressOf(t *testing.T) {
	for client, want := range map[string]string{
		"192.0.2.1":            "192.0.2.1",
		"::ffff:192.0.2.1":     "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::",
		"fe80::1%eth0":         "fe80::",
		"":                     "invalid IP",
		"@":                    "invalid IP",
		"192.0.2.1:443":        "invalid IP",
	} {
		vars := map[string]any{caddyhttp.ClientIPVarKey: client}
		r := httptest.NewRequestWithContext(context.WithValue(t.Context(), caddyhttp.VarsCtxKey, vars), http.MethodGet, "/", nil)
		if got := addressOf(r); got.String() != want {
			t.Errorf("%q: got %s, want %s", client, got, want)
		}
	}
	if got := addressOf(httptest.NewRequest(http.MethodGet, "/", nil)); got.IsValid() {
		t.Errorf("no address: got %s", got)
	}
}
