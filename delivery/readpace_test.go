package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

const (
	bulky     = 300 // webhooks of the tenant who reads
	stepTakes = 2 * time.Millisecond
)

// slowReads is a store whose reads take their time.
type slowReads struct {
	mu   sync.Mutex
	busy time.Duration // in all
}

func (s *slowReads) enter(op string) error {
	switch op {
	case "WebhookPage", "WebhooksOf", "WebhookPending", "WebhookRequests", "RequestCounts", "Requests", "Event":
		s.mu.Lock()
		s.busy += stepTakes
		s.mu.Unlock()
		time.Sleep(stepTakes)
	}
	return nil
}

// readALot runs a test with a tenant who has more webhooks than are remembered.
func readALot(t *testing.T, test func(t *testing.T, r *running, s *slowReads, ids []uuid.UUID)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		r.RememberLittle(10_000, 0)
		ids := make([]uuid.UUID, bulky)
		for i := range ids {
			ids[i] = r.webhook(fmt.Sprintf("https://%d.example/", i)).ID
		}
		for _, known := range []string{tenant, "other"} {
			if err := r.emitFor(known, 1); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		s := new(slowReads)
		r.store.Fail(s.enter)
		test(t, r, s, ids)
	})
}

// Whatever reads much rests for as long as it reads, also if several calls do at once, and others
// wait for none of it.
func TestReadersRest(t *testing.T) {
	for name, read := range map[string]func(r *running, ids []uuid.UUID) error{
		"a page of webhooks": func(r *running, _ []uuid.UUID) error {
			_, err := r.FindWebhooks(r.t.Context(), tenant, delivery.WebhookFilter{}, delivery.WebhookPlace{}, bulky)
			return err
		},
		"webhooks by URL": func(r *running, _ []uuid.UUID) error {
			_, err := r.FindWebhooks(r.t.Context(), tenant, delivery.WebhookFilter{Sort: delivery.SortURL}, delivery.WebhookPlace{}, bulky)
			return err
		},
		"some webhooks": func(r *running, ids []uuid.UUID) error {
			return r.EachWebhook(r.t.Context(), tenant, ids, func(*delivery.Webhook) {})
		},
		"how webhooks fare": func(r *running, _ []uuid.UUID) error {
			_, err := r.WebhookStats(r.t.Context(), tenant)
			return err
		},
		"how a tenant fares": func(r *running, _ []uuid.UUID) error {
			_, err := r.TenantStats(r.t.Context(), tenant, delivery.Period{Slices: 12, Length: delivery.StatsSlice})
			return err
		},
		"the log": func(r *running, _ []uuid.UUID) error {
			_, err := r.Requests(r.t.Context(), tenant, delivery.RequestFilter{Limit: 1})
			return err
		},
		"an event": func(r *running, ids []uuid.UUID) error {
			if _, _, err := r.Event(r.t.Context(), tenant, ids[0]); !errors.Is(err, delivery.ErrNotFound) {
				return fmt.Errorf("%w, not ErrNotFound", err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			readALot(t, func(t *testing.T, r *running, s *slowReads, ids []uuid.UUID) {
				began := time.Now()
				var readers sync.WaitGroup
				for range 4 {
					readers.Go(func() {
						for range 5 {
							if err := read(r, ids); err != nil {
								t.Error(err)
							}
						}
					})
				}
				readers.Go(func() {
					time.Sleep(10 * time.Millisecond)
					emitted := time.Now()
					if err := r.emitFor("other", 1); err != nil || time.Since(emitted) > 0 {
						t.Errorf("another tenant's emit: %v after %s", err, time.Since(emitted))
					}
				})
				readers.Wait()
				// What may be done at once, and the first steps, of which nobody knew how long they take.
				const slack = 10*time.Millisecond + 4*2*stepTakes
				if took := time.Since(began); took < 2*s.busy-slack || took > 2*s.busy+slack {
					t.Errorf("what takes %s took %s, with rests", s.busy, took)
				}
			})
		})
	}
}

// Who reads little never rests.
func TestShortReadsDoNotRest(t *testing.T) {
	readALot(t, func(t *testing.T, r *running, s *slowReads, _ []uuid.UUID) {
		for range 5 {
			began, busy := time.Now(), s.busy
			if _, err := r.FindWebhooks(t.Context(), tenant, delivery.WebhookFilter{}, delivery.WebhookPlace{}, delivery.MaxWebhookPage); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != s.busy-busy || took == 0 {
				t.Errorf("a page took %s in place of %s", took, s.busy-busy)
			}
			time.Sleep(time.Second)
		}
	})
}

// Who gives up waits no longer, and what was not read is not counted.
func TestReadersGiveUp(t *testing.T) {
	readALot(t, func(t *testing.T, r *running, s *slowReads, ids []uuid.UUID) {
		all := func(ctx context.Context) error {
			return r.EachWebhook(ctx, tenant, ids, func(*delivery.Webhook) {})
		}
		if err := all(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		busy, began := s.busy, time.Now()
		for range 100 {
			if err := all(ctx); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if s.busy != busy || time.Since(began) > 0 {
			t.Errorf("who has gone read for %s, and waited for %s", s.busy-busy, time.Since(began))
		}
		if err := all(t.Context()); err != nil || time.Since(began) > 100*time.Millisecond {
			t.Errorf("%v, after %s", err, time.Since(began))
		}
	})
}

// sizedReads is a store that notes how many webhooks are read at a time.
type sizedReads struct {
	delivery.Store
	steps []int
}

func (s *sizedReads) WebhooksOf(ctx context.Context, tenant string, ids []uuid.UUID) ([]*delivery.Webhook, int64, error) {
	s.steps = append(s.steps, len(ids))
	return s.Store.WebhooksOf(ctx, tenant, ids)
}

// Large webhooks are read in smaller steps.
func TestLargeWebhooksAreReadInSmallSteps(t *testing.T) {
	for _, test := range []struct{ bytes, most int }{{10, delivery.MaxWebhookPage}, {6000, 10}, {100_000, 10}} {
		synctest.Test(t, func(t *testing.T) {
			store := flaky.New()
			s := &sizedReads{Store: store}
			r := runOn(t, s, store, newEndpoints(ok))
			defer r.stop()
			r.RememberLittle(10_000, 0)
			for range 100 {
				r.webhook("https://example.com/" + strings.Repeat("u", test.bytes))
			}
			for name, read := range map[string]func() error{
				"a page": func() error {
					_, err := r.FindWebhooks(t.Context(), tenant, delivery.WebhookFilter{}, delivery.WebhookPlace{}, 200)
					return err
				},
				"all": func() error {
					_, err := r.FindWebhooks(t.Context(), tenant, delivery.WebhookFilter{Sort: delivery.SortURL}, delivery.WebhookPlace{}, 1)
					return err
				},
			} {
				s.steps = nil
				if err := read(); err != nil {
					t.Fatal(err)
				}
				if most := slices.Max(s.steps); most != test.most || test.bytes > 10_000 && s.steps[1] != 1 {
					t.Errorf("of %d bytes, %s reads %v at a time, not %d", test.bytes, name, s.steps, test.most)
				}
			}
		})
	}
}

// fiftyLarge makes webhooks that are as large as some are, and says how many bytes they are.
func fiftyLarge(r *running) (bytes int, last delivery.WebhookRef) {
	for i := range 50 {
		w := r.webhook(fmt.Sprintf("https://%d.example/%s", i, strings.Repeat("u", 100_000)))
		bytes, last = bytes+len(w.URL), w.Ref()
	}
	return bytes, last
}

// webhookReads read or change webhooks of some 400 KB each time.
var webhookReads = map[string]func(r *running, ref delivery.WebhookRef) error{
	"lists": func(r *running, _ delivery.WebhookRef) error {
		_, err := r.FindWebhooks(r.t.Context(), tenant, delivery.WebhookFilter{}, delivery.WebhookPlace{}, 200)
		return err
	},
	"some": func(r *running, ref delivery.WebhookRef) error {
		return r.EachWebhook(r.t.Context(), tenant, slices.Repeat([]uuid.UUID{ref.ID}, 50), func(*delivery.Webhook) {})
	},
	"statistics": func(r *running, _ delivery.WebhookRef) error {
		for range 100 { // for each of which a webhook counts for 1 KiB
			if _, err := r.WebhookStats(r.t.Context(), tenant); err != nil {
				return err
			}
		}
		return nil
	},
	"changes": func(r *running, ref delivery.WebhookRef) error {
		for range 25 {
			if _, err := r.ChangeWebhook(r.t.Context(), ref, func(w *delivery.Webhook) { w.Enabled = !w.Enabled }); err != nil {
				return err
			}
		}
		return nil
	},
}

// However large a tenant's webhooks are, so many bytes of them are read and changed in a second at
// most, by all of its calls together.
func TestWebhooksAreReadAtARate(t *testing.T) {
	const rate = 8 << 20
	for name, read := range webhookReads {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, flaky.New(), newEndpoints(ok))
				defer r.stop()
				bytes, ref := fiftyLarge(r)
				time.Sleep(time.Minute)
				began := time.Now()
				var readers sync.WaitGroup
				const times = 4 * 10
				for range 4 {
					readers.Go(func() {
						for range times / 4 {
							if err := read(r, ref); err != nil {
								t.Error(err)
							}
						}
					})
				}
				readers.Go(func() {
					time.Sleep(5 * time.Second)
					emitted := time.Now()
					for _, emitter := range []string{tenant, "other"} {
						if err := r.emitFor(emitter, 1); err != nil || time.Since(emitted) > 0 {
							t.Errorf("an emit of %s: %v after %s", emitter, err, time.Since(emitted))
						}
					}
				})
				readers.Wait()
				// A second's worth may be read at once, and nobody waits for the last steps.
				most := time.Duration(times*bytes) * time.Second / rate
				least := most - time.Second - 4*time.Duration(bytes)*time.Second/rate
				if took := time.Since(began); took < least || took > most+most/10 {
					t.Errorf("%d bytes took %s, should take %s to %s", times*bytes, took, least, most)
				}
			})
		})
	}
}

// Who gives up waiting for that is counted for nothing, and who reads little never waits.
func TestWebhooksRateOfFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		fiftyLarge(r)
		r.emit(1) // which reads all
		time.Sleep(time.Minute)
		list := func(ctx context.Context) error {
			_, err := r.FindWebhooks(ctx, tenant, delivery.WebhookFilter{}, delivery.WebhookPlace{}, 200)
			return err
		}
		began := time.Now()
		if err := list(t.Context()); err != nil || time.Since(began) > 0 {
			t.Errorf("a first list took %s, %v", time.Since(began), err)
		}
		for range 2 {
			if err := list(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		began = time.Now()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 1000 {
			if err := list(gone); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if err := list(t.Context()); err != nil || time.Since(began) > 2*time.Second {
			t.Errorf("a list took %s after others that gave up, %v", time.Since(began), err)
		}
	})
}
