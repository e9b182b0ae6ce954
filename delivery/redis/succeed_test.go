package redis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// twins are two stores of which one always starts as a copy of the other. Outcomes are written
// by both, and by the second with complete.lua alone.
type twins struct {
	*testing.T
	first, second *Store
	webhooks      []*delivery.Webhook
	random        *rand.Rand
	old           []delivery.Outcome // written before
}

// TestSucceed writes random outcomes, of which some are odd, and expects succeed.lua to leave
// just what complete.lua leaves.
func TestSucceed(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	tw := &twins{T: t, first: open(t, options()), second: open(t, options()), random: rand.New(rand.NewPCG(seed, 0))}
	for _, tenant := range []string{"a", "a", "a", "b", "c"} {
		tw.webhooks = append(tw.webhooks, addWebhook(t, tw.first, tenant))
	}
	// The scripts may number types in another order.
	tw.first.client().HSet(t.Context(), tw.first.keys.base(0)+"types", "one", 1, "two", 2, "three", 3)
	for range 25 {
		outcomes := tw.outcomes()
		tw.pause(tw.webhooks[tw.random.IntN(len(tw.webhooks))])
		tw.copy()
		if err := errors.Join(tw.first.Complete(t.Context(), outcomes)...); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(tw.completeOnly(outcomes)...); err != nil {
			t.Fatal(err)
		}
		tw.wantSame()
		tw.old = append(tw.old, outcomes...)
	}
}

// completeOnly writes outcomes to the second store.
func (tw *twins) completeOnly(outcomes []delivery.Outcome) []error {
	w := tw.second.newWriting(outcomes)
	for i := range outcomes {
		p, err := tw.second.at(outcomes[i].Request.Tenant)
		if err != nil {
			tw.Fatal(err)
		}
		w.addOther(p, i)
	}
	w.run(tw.Context())
	return w.errs
}

// outcomes emits events, and returns how their first attempts ended. Some are odd.
func (tw *twins) outcomes() (all []delivery.Outcome) {
	for _, w := range tw.webhooks {
		call := newCall(tw.first, w, 1+tw.random.IntN(20), 10, true)
		for i := range call.Events {
			call.Events[i].Type = []string{"one", "two", "three"}[tw.random.IntN(3)]
		}
		accepted := mustAccept(tw.T, tw.first, call)
		for i := range call.Events {
			o := success(tw.first, w, &call.Events[i], &accepted)
			o.Request.ResponseBody = []string{"", "thanks"}[tw.random.IntN(2)]
			if tw.random.IntN(4) > 0 {
				o = begunAfter(time.Duration(tw.random.IntN(300))*time.Millisecond, o)
			}
			all = append(all, o)
		}
	}
	tw.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, w := range tw.webhooks { // so that some webhooks have nothing odd
		if tw.random.IntN(2) == 0 {
			tw.spoil(all, w)
		}
	}
	if len(tw.old) > 0 {
		all = append(all, tw.old[tw.random.IntN(len(tw.old))])
	}
	return all
}

// spoil makes something odd about a webhook, or about some of its outcomes.
func (tw *twins) spoil(all []delivery.Outcome, w *delivery.Webhook) {
	kind := tw.random.IntN(5)
	if kind == 0 {
		tw.makeSlow(w)
		return
	}
	for i := range all {
		o := &all[i]
		if o.Request.WebhookID != w.ID || tw.random.IntN(4) > 0 {
			continue
		}
		switch kind {
		case 1:
			o.LeaseEnd++ // it was lost
		case 2:
			o.Request.Status, o.RetryAt = delivery.RequestFailed, tw.first.Now().Add(time.Hour)
			o.Slow = tw.random.IntN(2) == 0
		case 3:
			asRerun(o)
		case 4: // a re-run has changed the state before
			rerun := *o
			asRerun(&rerun)
			rerun.Request.ID, rerun.Request.Status = delivery.NewID(tw.first.Now()), delivery.RequestFailed
			if err := errors.Join(tw.first.Complete(tw.Context(), []delivery.Outcome{rerun})...); err != nil {
				tw.Fatal(err)
			}
		}
	}
}

func asRerun(o *delivery.Outcome) {
	o.LeaseEnd, o.Request.Attempt, o.Request.Trigger = 0, 0, delivery.TriggerRerun
}

// makeSlow makes a webhook slow that has deliveries in flight.
func (tw *twins) makeSlow(w *delivery.Webhook) {
	key, client := stateKey(tw.first.keys.base(0)), tw.first.client()
	state := client.HGet(tw.Context(), key, refText(w.Ref())).Val()
	if err := client.HSet(tw.Context(), key, refText(w.Ref()), state[:1]+slowMark).Err(); err != nil {
		tw.Fatal(err)
	}
}

// pause pauses a webhook or resumes it.
func (tw *twins) pause(w *delivery.Webhook) {
	changed := *w
	changed.Enabled = tw.random.IntN(2) == 0
	if err := tw.first.UpdateWebhook(tw.Context(), &changed, version(tw.first, w.Tenant)); err != nil {
		tw.Fatal(err)
	}
}

// copy makes the second store a copy of the first.
func (tw *twins) copy() {
	from, to := tw.first.keys.base(0), tw.second.keys.base(0)
	client := tw.first.client().(*redis.Client)
	for _, key := range client.Keys(tw.Context(), to+"*").Val() {
		client.Del(tw.Context(), key)
	}
	for _, key := range client.Keys(tw.Context(), from+"*").Val() {
		if err := client.Copy(tw.Context(), key, to+strings.TrimPrefix(key, from), 0, true).Err(); err != nil {
			tw.Fatal(err)
		}
	}
}

func (tw *twins) wantSame() {
	tw.Helper()
	first, second := tw.contents(tw.first), tw.contents(tw.second)
	for key, value := range first {
		if !reflect.DeepEqual(value, second[key]) {
			tw.Errorf("%q is\n%q, and by complete.lua\n%q", key, value, second[key])
		}
		delete(second, key)
	}
	for key, value := range second {
		tw.Errorf("%q is not there, and by complete.lua %q", key, value)
	}
}

// contents are those of all keys, without the clock, and without the order of rows in the
// stream.
func (tw *twins) contents(s *Store) map[string]any {
	base := s.keys.base(0)
	client := s.client().(*redis.Client)
	all := make(map[string]any)
	for _, key := range client.Keys(tw.Context(), base+"*").Val() {
		var value any
		switch client.Type(tw.Context(), key).Val() {
		case "hash":
			value = client.HGetAll(tw.Context(), key).Val()
		case "zset":
			members := client.ZRangeWithScores(tw.Context(), key, 0, -1).Val()
			for i := range members {
				if members[i].Score > 0 && members[i].Score <= float64(time.Now().UnixMilli()) && strings.HasPrefix(key, base+"due") {
					members[i].Score = 0 // it is due
				}
			}
			slices.SortFunc(members, func(a, b redis.Z) int { return strings.Compare(fmt.Sprint(a.Member), fmt.Sprint(b.Member)) })
			value = members
		case "set":
			members := client.SMembers(tw.Context(), key).Val()
			slices.Sort(members)
			value = members
		case "stream":
			value = streamed(client.XRange(tw.Context(), key, "-", "+").Val())
		default:
			continue // a string is an event or the clock
		}
		all[strings.TrimPrefix(key, base)] = value
	}
	return all
}

// streamed counts the ids in a stream.
func streamed(entries []redis.XMessage) map[string]int {
	counts := make(map[string]int)
	for _, entry := range entries {
		for tenant, ids := range entry.Values {
			for id := range slices.Chunk([]byte(fmt.Sprint(ids)), 16) {
				counts[tenant+" "+string(id)]++
			}
		}
	}
	return counts
}

// TestSucceedMost writes as many outcomes as a script may, of one webhook and in one bucket.
func TestSucceedMost(t *testing.T) {
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	call := newCall(s, w, maxEventsPerScript, 10, true)
	for i := range call.Events {
		call.Events[i].ID[15] &= 0xf0
	}
	accepted := mustAccept(t, s, call)
	outcomes := make([]delivery.Outcome, len(call.Events))
	for i := range outcomes {
		outcomes[i] = success(s, w, &call.Events[i], &accepted)
		outcomes[i].Request.ResponseBody = "thanks"
		outcomes[i].Request.ID[15] &= 0xf0
	}
	if err := errors.Join(s.Complete(t.Context(), outcomes)...); err != nil {
		t.Fatal(err)
	}
	pending, err := s.WebhookPending(t.Context(), testTenant, []uuid.UUID{w.ID})
	counts, countErr := s.RequestCounts(t.Context(), testTenant, s.Now().Add(-time.Hour))
	if err != nil || countErr != nil || pending[0] != 0 || len(counts) != 1 || counts[0].N != maxEventsPerScript {
		t.Errorf("%v are pending, %v; counted are %v, %v", pending, err, counts, countErr)
	}
}
