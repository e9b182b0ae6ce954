package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestCrashInOrder kills Caddy at random moments while an endpoint fails on and off: one of two
// Caddys on one Redis, or the only one of an embedded store. Of each key of a webhook with an order,
// all that was answered 202 arrives in that order. Nothing is sent again once the next one was.
func TestCrashInOrder(t *testing.T) {
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		testCrashInOrder(t, "redis redis://"+redistest.Start(t).Addr, 2)
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		testCrashInOrder(t, "embedded "+t.TempDir(), 1)
	})
}

func testCrashInOrder(t *testing.T, store string, caddys int) {
	endpoint := newReceiver(t)
	var all []*crasher
	for range caddys {
		all = append(all, newCrasher(t, endpoint, store))
		all[len(all)-1].start()
	}
	webhook := fmt.Sprintf(`{"url":%q,"order_by":"data.key"}`, endpoint.URL)
	got, err := try(http.MethodPost, all[0].url("webhooks"), webhook, "Authorization", asAdmin)
	if err != nil {
		t.Fatal(err)
	}
	got.want(t, http.StatusCreated, nil)

	queues := &sentInOrder{accepted: make(map[string]int), arrived: make(map[string]int)}
	stop := make(chan struct{})
	var acting sync.WaitGroup
	for range emitters {
		acting.Go(func() { queues.emitUntil(stop, all) })
	}
	acting.Go(func() { failOnAndOff(stop, endpoint) })
	for range 3 {
		time.Sleep(time.Duration(100+rand.IntN(200)) * time.Millisecond) // the moment is the point
		all[0].kill()
		all[0].start()
	}
	close(stop)
	acting.Wait()
	endpoint.answer(http.StatusOK)
	eventually(t, "all acknowledged events to arrive", func() bool { return queues.haveArrived(t, endpoint) })
	t.Logf("%d keys", len(queues.accepted))
}

// failOnAndOff has an endpoint fail now and then, for less time than it takes to give a delivery up.
func failOnAndOff(stop <-chan struct{}, endpoint *receiver) {
	for {
		for _, status := range []int{http.StatusOK, http.StatusServiceUnavailable} {
			endpoint.answer(status)
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(10+rand.IntN(20)) * time.Millisecond):
			}
		}
	}
}

// sentInOrder keeps account of events by their order keys, whose n-th event has the number n.
type sentInOrder struct {
	keys     atomic.Int64
	mu       sync.Mutex
	accepted map[string]int // how many were answered 202
	arrived  map[string]int // how many have arrived, without a gap
}

// emitUntil emits one event of a key after the other, until stop is closed. When it does not know
// whether one was accepted it goes on with another key: that one may yet be.
func (q *sentInOrder) emitUntil(stop <-chan struct{}, all []*crasher) {
	key, n := "", 0
	for {
		select {
		case <-stop:
			return
		default:
		}
		if n == 0 {
			key = fmt.Sprint("key ", q.keys.Add(1))
		}
		event := fmt.Sprintf(`{"event_type":"alert_active","data":{"key":%q,"n":%d}}`, key, n+1)
		got, err := try(http.MethodPost, all[rand.IntN(len(all))].url("events"), event, "Authorization", asEmitter)
		if err != nil || got.status != http.StatusAccepted {
			n = 0
			time.Sleep(20 * time.Millisecond)
			continue
		}
		n++
		q.mu.Lock()
		q.accepted[key] = n
		q.mu.Unlock()
	}
}

// haveArrived takes what the endpoint has received, and reports whether nothing that was accepted is
// missing any more.
func (q *sentInOrder) haveArrived(t *testing.T, endpoint *receiver) bool {
	t.Helper()
	for {
		select {
		case r := <-endpoint.got:
			var envelope struct {
				Data struct {
					Key string `json:"key"`
					N   int    `json:"n"`
				} `json:"data"`
			}
			if err := json.Unmarshal(r.body, &envelope); err != nil {
				t.Fatal(err)
			}
			d, last := envelope.Data, q.arrived[envelope.Data.Key]
			if d.N != last && d.N != last+1 {
				t.Fatalf("of %s, number %d arrived after number %d", d.Key, d.N, last)
			}
			q.arrived[d.Key] = d.N
		default:
			for key, n := range q.accepted {
				if q.arrived[key] < n {
					return false
				}
			}
			return len(q.accepted) > 0
		}
	}
}
