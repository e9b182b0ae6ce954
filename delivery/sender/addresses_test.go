package sender

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func addresses(list string) (addrs []netip.Addr) {
	for value := range strings.FieldsSeq(list) {
		addrs = append(addrs, netip.MustParseAddr(value))
	}
	return addrs
}

func TestAlternate(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                "",
		"192.0.2.1":                       "192.0.2.1",
		"192.0.2.1 192.0.2.2":             "192.0.2.1 192.0.2.2",
		"::1 ::2 ::3 192.0.2.1":           "::1 192.0.2.1 ::2 ::3",
		"192.0.2.1 192.0.2.2 ::1 ::2 ::3": "192.0.2.1 ::1 192.0.2.2 ::2 ::3",
	} {
		if got := alternate(addresses(in)); !slices.Equal(got, addresses(want)) {
			t.Errorf("%s: got %v", in, got)
		}
	}
}

// dialled is a connection to an address that took its time.
type dialled struct {
	addr  string
	after time.Duration
}

// Each address has its share of the time, whatever becomes of the others, and no
// connection that is made too late is left open.
func TestDialAny(t *testing.T) {
	t.Parallel()
	const (
		delay = 300 * time.Millisecond
		never = time.Hour
	)
	errRefused, errNoRoute := errors.New("refused"), errors.New("no route")
	type address struct {
		takes time.Duration
		err   error
		late  bool // it does not notice that it is not needed any more
	}
	for _, tc := range []struct {
		name      string
		addresses []address
		want      dialled
		err       error
		discarded int
	}{
		{"one", []address{{takes: time.Second}}, dialled{"192.0.2.0", time.Second}, nil, 0},
		{"one that refuses", []address{{takes: time.Second, err: errRefused}}, dialled{}, errRefused, 0},
		{"the first in time", []address{{takes: delay - 1}, {takes: 0}}, dialled{"192.0.2.0", delay - 1}, nil, 0},
		{"the first refuses", []address{{takes: time.Millisecond, err: errRefused}, {takes: time.Millisecond}}, dialled{"192.0.2.1", 2 * time.Millisecond}, nil, 0},
		{"the first drops packets", []address{{takes: never}, {takes: time.Millisecond}}, dialled{"192.0.2.1", delay + time.Millisecond}, nil, 0},
		{"all but the last drop packets", []address{{takes: never}, {takes: never}, {takes: never}, {takes: 0}}, dialled{"192.0.2.3", 3 * delay}, nil, 0},
		{"the first is slow, the second slower", []address{{takes: 2 * delay}, {takes: 2 * delay}}, dialled{"192.0.2.0", 2 * delay}, nil, 0},
		{"all refuse", []address{{takes: time.Millisecond, err: errNoRoute}, {takes: time.Millisecond, err: errRefused}}, dialled{}, errNoRoute, 0},
		{"one refuses, one drops packets", []address{{takes: 0, err: errRefused}, {takes: never}}, dialled{}, context.DeadlineExceeded, 0},
		{"all drop packets", []address{{takes: never}, {takes: never}}, dialled{}, context.DeadlineExceeded, 0},
		{"the first is too late", []address{{takes: 2 * delay, late: true}, {}}, dialled{"192.0.2.1", delay}, nil, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
				defer cancel()
				addrs := addresses("192.0.2.0 192.0.2.1 192.0.2.2 192.0.2.3")[:len(tc.addresses)]
				began, discarded := time.Now(), 0
				got, err := dialAny(ctx, addrs, delay, func(ctx context.Context, addr netip.Addr) (dialled, error) {
					a := tc.addresses[addr.As4()[3]]
					if a.late {
						ctx = context.WithoutCancel(ctx)
					}
					select {
					case <-time.After(a.takes):
						return dialled{addr.String(), time.Since(began)}, a.err
					case <-ctx.Done():
						return dialled{}, ctx.Err()
					}
				}, func(dialled) { discarded++ })
				if tc.err != nil {
					got = dialled{}
				}
				if got != tc.want || !errors.Is(err, tc.err) || discarded != tc.discarded {
					t.Errorf("got %+v, %v; discarded %d", got, err, discarded)
				}
			})
		})
	}
}
