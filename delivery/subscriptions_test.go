package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

// shelf is what a store has of webhooks: pages of three, and the last five changes.
type shelf struct {
	Store

	of             map[string]*shelved
	err            error
	read           func(tenant string) // called before each page
	mu             sync.Mutex          // guards how often it was asked
	pages, changes int
}

type shelved struct {
	webhooks []*Webhook // in the order of their ids
	version  int64
	changed  []uuid.UUID
}

func newShelf() *shelf { return &shelf{of: make(map[string]*shelved)} }

func (s *shelf) tenant(name string) *shelved {
	if s.of[name] == nil {
		s.of[name] = new(shelved)
	}
	return s.of[name]
}

// put adds or replaces a webhook, or removes it.
func (s *shelf) put(w *Webhook, exists bool) {
	of := s.tenant(w.Tenant)
	of.webhooks = slices.DeleteFunc(of.webhooks, func(other *Webhook) bool { return other.ID == w.ID })
	if exists {
		of.webhooks = append(of.webhooks, w)
		slices.SortFunc(of.webhooks, func(a, b *Webhook) int { return slices.Compare(a.ID[:], b.ID[:]) })
	}
	of.version += 7
	of.changed = append(of.changed, w.ID)
}

func (s *shelf) WebhookPage(_ context.Context, tenant, after string) (WebhookPage, error) {
	if s.read != nil {
		s.read(tenant)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages++
	of := s.tenant(tenant)
	page := WebhookPage{Version: of.version}
	for _, w := range of.webhooks {
		if string(w.ID[:]) <= after {
			continue
		}
		if len(page.Webhooks) == 3 {
			page.Next = string(page.Webhooks[2].ID[:])
			break
		}
		page.Webhooks = append(page.Webhooks, w)
	}
	return page, s.err
}

func (s *shelf) WebhookChanges(_ context.Context, tenant string, since int64) (WebhookChanges, error) {
	s.changes++
	of := s.tenant(tenant)
	changes := WebhookChanges{Version: of.version}
	n := (of.version - since) / 7
	if n < 0 || n > min(5, int64(len(of.changed))) {
		return changes, s.err
	}
	changes.Known = true
	ids := slices.Clone(of.changed[len(of.changed)-int(n):])
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	for _, id := range slices.Compact(ids) {
		i := slices.IndexFunc(of.webhooks, func(w *Webhook) bool { return w.ID == id })
		if i < 0 {
			changes.Deleted = append(changes.Deleted, id)
		} else {
			changes.Webhooks = append(changes.Webhooks, of.webhooks[i])
		}
	}
	return changes, s.err
}

func (s *shelf) WebhooksOf(context.Context, string, []uuid.UUID) ([]*Webhook, int64, error) {
	panic("not asked for")
}

var theTime = time.Date(2026, 3, 13, 18, 30, 0, 0, time.UTC)

// subscribed makes a webhook that wants types.
func subscribed(tenant string, types ...string) *Webhook {
	return &Webhook{Tenant: tenant, ID: uuid.New(), CreatedAt: theTime, Enabled: true, EventTypes: types}
}

// known are subscriptions that must be there.
func known(t *testing.T, m *subscriptionMemory, tenant string, types ...string) *subscriptions {
	t.Helper()
	of, err := m.get(t.Context(), tenant, types, newReads())
	if err != nil {
		t.Fatal(err)
	}
	return of
}

func idsWanting(of *subscriptions, eventType string) (ids []uuid.UUID) {
	for _, w := range of.wanting(eventType) {
		ids = append(ids, w.id)
	}
	return ids
}

func TestSubscriptionsAreRemembered(t *testing.T) {
	s := newShelf()
	a, b := subscribed("a", "x"), subscribed("b", "x")
	s.put(a, true)
	s.put(b, true)
	m := newSubscriptionMemory(s, defaultSubscriptionLimits)
	for _, step := range []struct {
		tenant, changed, stale string
		want                   *Webhook
		pages, changes         int // in all
	}{
		{"a", "", "", a, 1, 0},
		{"a", "", "", a, 1, 0},
		{"b", "", "", b, 2, 0},
		{"a", "nobody", "", a, 2, 0},
		{"a", "a", "", a, 2, 1}, // nothing has changed
		{"a", "", "a", a, 3, 2}, // and yet it was refused: all is read
		{"b", "a", "", b, 3, 2},
		{"a", "", "", a, 3, 3},
	} {
		if step.changed != "" {
			m.changed(step.changed)
		}
		if step.stale != "" {
			m.stale(step.stale, s.tenant(step.stale).version)
			m.stale(step.stale, s.tenant(step.stale).version) // another emit
		}
		got := known(t, m, step.tenant)
		if !slices.Equal(idsWanting(got, "x"), []uuid.UUID{step.want.ID}) || s.pages != step.pages || s.changes != step.changes {
			t.Errorf("%+v: got version %d, read %d pages and %d times changes", step, got.version, s.pages, s.changes)
		}
	}
	before := known(t, m, "a")
	m.stale("a", before.version-1) // of an emit from before
	if known(t, m, "a") != before || s.changes != 3 {
		t.Error("what refers to an old version has the new one read again")
	}
}

func TestSubscriptionErrorsAreNotRemembered(t *testing.T) {
	s := newShelf()
	w := subscribed("a", "x")
	s.put(w, true)
	m := newSubscriptionMemory(s, defaultSubscriptionLimits)
	s.err = ErrUnavailable
	for range 2 {
		if _, err := m.get(t.Context(), "a", nil, newReads()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	}
	if len(m.tenants) > 0 || m.used.Len() > 0 {
		t.Error("a tenant is remembered of which nothing is known")
	}
	s.err = nil
	before := known(t, m, "a")
	s.err = ErrUnavailable
	m.changed("a")
	if _, err := m.get(t.Context(), "a", nil, newReads()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	s.err = nil
	if got := known(t, m, "a"); got != before {
		t.Error("what did not change was read again")
	}
}

func TestWanting(t *testing.T) {
	x, xy, all := subscribed("a", "x"), subscribed("a", "x", "y"), subscribed("a", "*")
	disabled := subscribed("a", "*")
	disabled.Enabled = false
	s := newShelf()
	for i, w := range []*Webhook{x, disabled, xy, all} {
		w.CreatedAt = theTime.Add(time.Duration(i) * time.Second)
		s.put(w, true)
	}
	of := known(t, newSubscriptionMemory(s, defaultSubscriptionLimits), "a")
	for range 2 { // the second answer comes from memory
		for eventType, want := range map[string][]uuid.UUID{
			"x": {x.ID, xy.ID, all.ID}, "y": {xy.ID, all.ID}, "z": {all.ID},
		} {
			if got := idsWanting(of, eventType); !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", eventType, got, want)
			}
		}
	}
}

// With event_types *, emitters can use any number of names.
func TestWantingIsBounded(t *testing.T) {
	s := newShelf()
	all := subscribed("a", "*")
	s.put(all, true)
	m := newSubscriptionMemory(s, defaultSubscriptionLimits)
	for i := range 10 * maxRememberedTypes {
		of := known(t, m, "a")
		if got := idsWanting(of, strings.Repeat("long", 100)+fmt.Sprint(i)); !slices.Equal(got, []uuid.UUID{all.ID}) {
			t.Fatalf("type %d: got %v", i, got)
		}
		if len(of.byType) > maxRememberedTypes || of.listed.Load() > 8*listsPerWebhook*(1+maxRememberedTypes) {
			t.Fatalf("%d types are remembered, in %d bytes", len(of.byType), of.listed.Load())
		}
	}
	if known(t, m, "a"); m.size < 10_000 {
		t.Errorf("the lists do not count: %d bytes", m.size)
	}
}

// What was used last is remembered, and no more than there is room for.
func TestSubscriptionMemoryIsBounded(t *testing.T) {
	s := newShelf()
	m := newSubscriptionMemory(s, subscriptionLimits{all: 100_000, records: 10_000, types: 10_000})
	add := func(tenant string, n int) {
		for range n {
			w := subscribed(tenant, "x")
			w.URL = strings.Repeat("u", 500)
			s.put(w, true)
		}
		known(t, m, tenant)
	}
	add("favourite", 5)
	pages := s.pages
	for i := range 200 {
		add(fmt.Sprint(i), 1+i%20)
		known(t, m, "favourite")
		if m.size > m.limits.all {
			t.Fatalf("%d bytes are remembered", m.size)
		}
	}
	size := 0
	for _, r := range m.tenants {
		size += r.size
		if r.of.records && r.of.size > 15_000 || r.of.size > m.limits.most(r.of.list.length) {
			t.Errorf("of one tenant %d bytes are remembered", r.of.size)
		}
	}
	if size != m.size || m.used.Len() != len(m.tenants) || len(m.tenants) < 10 {
		t.Errorf("it counts %d bytes of %d tenants, but there are %d of %d", m.size, m.used.Len(), size, len(m.tenants))
	}
	s.pages = pages
	if known(t, m, "favourite"); s.pages != pages {
		t.Error("what was used all the time was forgotten")
	}
}

// limitsOfAllKinds have everything remembered, no records, or hardly any types.
var limitsOfAllKinds = []subscriptionLimits{
	defaultSubscriptionLimits,
	{all: 1 << 20, types: 1 << 20},
	{all: 1 << 20, types: 200},
	{all: 1 << 20, records: 3000, types: 300},
}

// Whatever changes, also while pages are read, what is chosen is what the version has.
func TestSubscriptionsFollowChanges(t *testing.T) {
	for i, limits := range limitsOfAllKinds {
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			s := newShelf()
			m := newSubscriptionMemory(s, limits)
			change := func() {
				w := subscribed("a", "type "+fmt.Sprint(r.IntN(30)), strings.Repeat("long", r.IntN(10)))
				of := s.tenant("a").webhooks
				if len(of) > 0 && r.IntN(3) > 0 {
					w.ID = of[r.IntN(len(of))].ID
				}
				w.Enabled = r.IntN(4) > 0
				if r.IntN(10) == 0 {
					w.EventTypes = []string{AllEventTypes}
				}
				s.put(w, len(of) < 20 || r.IntN(3) > 0)
			}
			s.read = func(string) {
				for range r.IntN(3) {
					change()
				}
			}
			for range 100 {
				for range r.IntN(8) {
					change()
				}
				m.changed("a")
				eventType := "type " + fmt.Sprint(r.IntN(30))
				compareChoice(t, s, known(t, m, "a", eventType), eventType)
			}
		}
	}
}

// compareChoice compares who wants a type with the webhooks that there are, if the version is the
// present one.
func compareChoice(t *testing.T, s *shelf, got *subscriptions, eventType string) {
	t.Helper()
	of := s.tenant("a")
	if got.version != of.version {
		t.Fatalf("version %d is remembered, and there is %d", got.version, of.version)
	}
	var want []*Webhook
	for _, w := range of.webhooks {
		if w.Wants(eventType) {
			want = append(want, w)
		}
	}
	slices.SortFunc(want, OldestFirst)
	wanting := got.wanting(eventType)
	same := func(of *subscription, w *Webhook) bool {
		return of.id == w.ID && (of.record == w || of.record == nil && !got.records)
	}
	if !slices.EqualFunc(wanting, want, same) {
		t.Fatalf("%s: %d webhooks want it, should be %d", eventType, len(wanting), len(want))
	}
}

// When more changes than the store remembers, reading begins anew, but not for ever.
func TestSubscriptionsBeginAnew(t *testing.T) {
	s := newShelf()
	for range 10 {
		s.put(subscribed("a", "x"), true)
	}
	m := newSubscriptionMemory(s, defaultSubscriptionLimits)
	storms := 2
	s.read = func(string) {
		if storms > 0 && s.pages%3 == 1 {
			storms--
			for range 10 {
				s.put(subscribed("a", "x"), true)
			}
		}
	}
	compareChoice(t, s, known(t, m, "a"), "x")
	if storms > 0 {
		t.Error("nothing has changed meanwhile")
	}
	storms = 1000
	m = newSubscriptionMemory(s, defaultSubscriptionLimits)
	if _, err := m.get(t.Context(), "a", nil, newReads()); !errors.Is(err, ErrStale) {
		t.Errorf("changes without end: %v", err)
	}
}

// All who need the same subscriptions wait for one read of them, and nobody else does.
func TestSubscriptionsAreReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.put(subscribed("a", "x"), true)
		s.put(subscribed("b", "x"), true)
		s.read = func(tenant string) {
			if tenant == "a" {
				time.Sleep(time.Second)
			}
		}
		m := newSubscriptionMemory(s, defaultSubscriptionLimits)
		began := time.Now()
		var answered atomic.Int64
		for range 100 {
			go func() {
				known(t, m, "a")
				answered.Add(1)
			}()
		}
		synctest.Wait()
		known(t, m, "b")
		if time.Since(began) > 0 || answered.Load() > 0 {
			t.Error("one tenant waits for another")
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := m.get(impatient, "a", nil, newReads()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who does not wait any longer gets %v", err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if s.pages != 2 || answered.Load() != 100 {
			t.Errorf("%d pages were read, want 2; %d have an answer", s.pages, answered.Load())
		}
	})
}

func TestSingleRecordsAreBounded(t *testing.T) {
	c := recordCache{most: 10_000}
	record := &Webhook{URL: strings.Repeat("u", 1000)}
	first := new(subscription)
	c.put(first, record)
	for range 100 {
		c.put(new(subscription), record)
		if c.get(first) != record {
			t.Fatal("what was used last is forgotten")
		}
	}
	if c.size > c.most || c.used.Len() != len(c.of) || len(c.of) != c.most/recordSize(record) {
		t.Errorf("%d bytes, %d and %d records are remembered", c.size, c.used.Len(), len(c.of))
	}
	c.put(first, record)
	if c.size > c.most {
		t.Error("what is put again counts twice")
	}
}

// Tenants with more webhooks than a page are read few at a time; others do not wait for them.
func TestLargeReadsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tenants = 3 * maxLargeReads
		s := newShelf()
		for i := range tenants {
			for range 10 {
				s.put(subscribed(fmt.Sprint("large", i), "x"), true)
			}
		}
		s.put(subscribed("small", "x"), true)
		s.read = func(tenant string) {
			if tenant != "small" {
				time.Sleep(time.Second)
			}
		}
		m, reads := newSubscriptionMemory(s, defaultSubscriptionLimits), newReads()
		began := time.Now()
		var answered sync.WaitGroup
		for i := range tenants {
			answered.Go(func() {
				if of, err := m.get(t.Context(), fmt.Sprint("large", i), nil, reads); err != nil || of.list.length != 10 {
					t.Errorf("got %v, %v", of, err)
				}
			})
		}
		time.Sleep(1500 * time.Millisecond) // until the first pages are read
		if n := len(reads.large); n != maxLargeReads {
			t.Errorf("%d are read at a time", n)
		}
		if _, err := m.get(t.Context(), "small", nil, reads); err != nil || time.Since(began) > 1500*time.Millisecond {
			t.Errorf("who has few webhooks waits for others: %s, %v", time.Since(began), err)
		}
		answered.Wait()
		if len(reads.large) > 0 || reads.running.Load() != 0 {
			t.Error("reads go on for nobody")
		}
	})
}
