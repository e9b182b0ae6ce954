package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// hush is in all that an erasure has to remove.
const hush = "hush, hush"

// wantHushed checks that no key has anything that was to be erased.
func wantHushed(t *testing.T, s *Store) {
	t.Helper()
	for key, value := range dump(t, s) {
		if strings.Contains(value, hush) {
			t.Errorf("%q has what was to be erased: %.200q", key, value)
		}
	}
}

// hushed emits an event, and has each of its deliveries have many requests with bodies.
func hushed(t *testing.T, s *Store, webhooks ...*delivery.Webhook) (e *delivery.AcceptEvent, last *delivery.Outcome) {
	t.Helper()
	call := newCall(s, webhooks[0], 1, 10, true)
	e = &call.Events[0]
	e.Payload, e.Targets = []byte(`{"says":"`+hush+`"}`), nil
	for _, w := range webhooks {
		e.Targets = append(e.Targets, delivery.Target{Webhook: w.ID, Lease: true})
	}
	accepted := mustAccept(t, s, call)
	for _, w := range webhooks {
		for n := range 8 {
			o := success(s, w, e, &accepted)
			o.Request.ResponseBody = fmt.Sprint(hush, n)
			if n > 0 {
				o = bodyAgain(o)
			}
			if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{o})...); err != nil {
				t.Fatal(err)
			}
			last = &o
		}
	}
	return e, last
}

// bodyAgain makes an outcome that of another request, by an admin.
func bodyAgain(o delivery.Outcome) delivery.Outcome {
	o.Request.ID, o.Request.Trigger, o.Request.Attempt, o.LeaseEnd = delivery.NewID(o.Request.StartedAt().Add(time.Millisecond)), delivery.TriggerRerun, 0, 0
	return o
}

// killed lets no script through but some first ones that erase.
type killed struct{ left int }

var errKilled = errors.New("killed")

func (k *killed) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (k *killed) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); len(args) > 1 && (args[1] == eraseScript.hash || args[1] == eraseScript.source) {
			if k.left == 0 {
				cmd.SetErr(errKilled)
				return errKilled
			}
			k.left--
		}
		return next(ctx, cmd)
	}
}

func (k *killed) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestEraseBrokenOff ends the process between each two scripts of an erasure. The next one's Sweep does the
// rest.
func TestEraseBrokenOff(t *testing.T) {
	t.Parallel()
	o := options()
	s := open(t, o)
	first, second := addWebhook(t, s, testTenant), addWebhook(t, s, testTenant)
	warm, _ := hushed(t, s, first)
	if err := s.EraseEvent(t.Context(), testTenant, warm.ID); err != nil { // from now on, Redis has the script
		t.Fatal(err)
	}
	for scripts := 0; ; scripts++ {
		e, _ := hushed(t, s, first, second)
		dying := open(t, o)
		dying.work = 10
		dying.client().AddHook(&killed{scripts})
		err := dying.EraseEvent(t.Context(), testTenant, e.ID)
		erasing := s.client().SCard(t.Context(), s.keys.base(0)+"erasing").Val()
		if err == nil {
			if erasing != 0 || scripts < 5 {
				t.Errorf("after %d scripts, %d events are being erased", scripts, erasing)
			}
			break
		}
		if want := int64(min(1, scripts)); erasing != want {
			t.Fatalf("after %d scripts, %d events are being erased, want %d", scripts, erasing, want)
		}
		sweepAll(t, s)
		if scripts == 0 {
			if err := s.EraseEvent(t.Context(), testTenant, e.ID); err != nil {
				t.Fatal(err)
			}
		}
		wantHushed(t, s)
		if n := s.client().Exists(t.Context(), s.keys.base(0)+"erasing").Val(); n != 0 {
			t.Fatal("an event is being erased after Sweep")
		}
	}
	wantHushed(t, s)
}

// TestEraseNothingLeft has Sweep find what is no event, which is set aside, or not any more.
func TestEraseNothingLeft(t *testing.T) {
	t.Parallel()
	s := open(t, options())
	key := s.keys.base(0) + "erasing"
	odd := []string{"", "0123456789abcdef", ":", ":0123456789abcdef", "tenant0123456789abcdef", "x"}
	for _, member := range odd {
		s.client().SAdd(t.Context(), key, member)
	}
	s.client().SAdd(t.Context(), key, eventField(testTenant, uuid.New()))
	sweepAll(t, s)
	if left := s.client().SMembers(t.Context(), key).Val(); len(left) != 0 {
		t.Errorf("%q are being erased", left)
	}
	var aside []string
	for _, kept := range s.client().XRange(t.Context(), s.keys.base(0)+"aside", "-", "+").Val() {
		field, _ := kept.Values["field"].(string)
		aside = append(aside, field)
	}
	if slices.Sort(aside); !slices.Equal(aside, odd) || s.SetAside() != int64(len(odd)) {
		t.Errorf("%q were set aside, and %d were counted, want %q", aside, s.SetAside(), odd)
	}
}

// TestEraseDenied has erase.lua, and complete.lua beside it, break off at each kind of key that they
// write. Their repetition leaves no body.
func TestEraseDenied(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"erasing", "events", "deliveries", "pending", "leased", "leases", "due", "bodies", "requests", "hours"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := newBreakable(t, nil)
			w := addWebhook(t, b.s, testTenant)
			e, last := hushed(t, b.s, w)
			late := bodyAgain(*last)
			b.denyKind(kind, true)
			_ = b.s.Complete(t.Context(), []delivery.Outcome{late})
			_ = b.s.EraseEvent(t.Context(), testTenant, e.ID)
			b.set("~" + b.s.keys.prefix + ":*")
			if err := b.s.EraseEvent(t.Context(), testTenant, e.ID); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(b.s.Complete(t.Context(), []delivery.Outcome{late})...); err != nil {
				t.Fatal(err)
			}
			wantHushed(t, b.s)
		})
	}
}

// TestEraseCrossed erases events while two processes work on their deliveries: whatever they write
// afterwards, no key has anything of them.
func TestEraseCrossed(t *testing.T) {
	t.Parallel()
	o := options()
	first, second := open(t, o), open(t, o)
	storetest.EraseCrossed(t, 30, hush, func() { wantHushed(t, first) }, first, second)
}
