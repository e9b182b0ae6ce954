package redis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// earlier writes what versions before slots did, which kept rows and response bodies in
// buckets.
type earlier struct {
	*testing.T
	s *Store
	w *delivery.Webhook
}

// earlierRecord is the record of a request that failed.
const earlierRecord = "\x8f\x01lalert_active\x1ai\xb4W\xa8\x00eevent\x01\x03\x19\x01\xf4x\x18https://example.com/hook" +
	"x\x1aThe endpoint answered 500.\x19.\xe0\xf4a\x01a\x01\xf4"

// earlierBucket is a bucket as text.
func earlierBucket(t time.Time, id uuid.UUID) string {
	return fmt.Sprintf("%d:%x", t.Unix()/3600, id[15]%16)
}

// fail writes the first request of an event's delivery, and leaves the delivery with a status.
func (e *earlier) fail(event uuid.UUID, received, started time.Time, status string) uuid.UUID {
	e.Helper()
	id := delivery.NewID(started)
	base, none := e.s.keys.base(0), strings.Repeat("\x00", 16)
	day := fmt.Sprint(started.Unix() / 86400)
	webhook := string(e.w.ID[:])
	pipe := e.s.client().TxPipeline()
	pipe.HSet(e.Context(), base+"requests:"+earlierBucket(started, id), string(id[:]),
		none+none[:8]+webhook+string(event[:])+"0"+earlierRecord)
	pipe.HSet(e.Context(), base+"bodies:"+earlierBucket(started, id), string(id[:]), "no")
	pipe.HSet(e.Context(), base+"deliveries:"+earlierBucket(received, event), string(event[:])+webhook,
		status+"\x00\x01"+none[:8]+string(id[:]))
	pipe.ZAdd(e.Context(), base+"hours", hourMember("requests", started, 0), hourMember("deliveries", received, 1))
	pipe.HSet(e.Context(), base+"types", "alert_active", 1)
	pipe.ZAdd(e.Context(), base+"days", redis.Z{Score: float64(started.Unix() / 86400), Member: day})
	for _, name := range []string{e.w.Tenant, e.w.Tenant + ":" + e.w.ID.String()} {
		pipe.SAdd(e.Context(), base+"logs:"+day, name)
		pipe.ZAdd(e.Context(), base+"log:"+name+":"+day, redis.Z{Member: "\x00\x010" + string(id[:])})
	}
	if _, err := pipe.Exec(e.Context()); err != nil {
		e.Fatal(err)
	}
	return id
}

func hourMember(kind string, t time.Time, extra int64) redis.Z {
	hour := t.Unix() / 3600
	return redis.Z{Score: float64(hour + extra), Member: fmt.Sprintf("%s:%d", kind, hour)}
}

// newEarlier makes a store with two events. The first has a request of an earlier version, and
// its delivery the given status; the second has a request of this one.
func newEarlier(t *testing.T, status string) (e *earlier, call delivery.AcceptCall, requests []uuid.UUID) {
	t.Helper()
	s := open(t, options())
	e = &earlier{T: t, s: s, w: addWebhook(t, s, testTenant)}
	call = newCall(s, e.w, 2, 10, true)
	accepted := mustAccept(t, s, call)
	first, second := &call.Events[0], &call.Events[1]
	requests = append(requests, e.fail(first.ID, accepted.At, accepted.At, status))
	pending := s.keys.base(0) + "pending:" + testTenant + ":" + e.w.ID.String()
	if status == "p" {
		s.client().ZAdd(t.Context(), pending, redis.Z{Score: 1, Member: string(first.ID[:])})
		s.client().ZAdd(t.Context(), s.keys.base(0)+"due", redis.Z{Score: 1, Member: refText(e.w.Ref())})
	} else {
		s.client().ZRem(t.Context(), pending, string(first.ID[:]))
	}
	o := success(s, e.w, second, &accepted)
	o.Request.ResponseBody = "thanks"
	e.complete(o)
	return e, call, append(requests, o.Request.ID)
}

func (e *earlier) complete(o delivery.Outcome) {
	e.Helper()
	if err := errors.Join(e.s.Complete(e.Context(), []delivery.Outcome{o})...); err != nil {
		e.Fatal(err)
	}
}

// wantLog checks the ids of a page, the newest of which comes last.
func wantLog(t *testing.T, s *Store, filter delivery.RequestFilter, want ...uuid.UUID) {
	t.Helper()
	filter.Limit = 10
	page, err := s.Requests(t.Context(), testTenant, filter)
	var got []uuid.UUID
	for _, r := range slices.Backward(page.Requests) {
		got = append(got, r.ID)
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("the log by %+v is %v, %v, want %v", filter, got, err, want)
	}
}

// keysLeft counts the keys of rows and bodies.
func (e *earlier) keysLeft() (n int) {
	base := e.s.keys.base(0)
	for _, key := range e.s.client().Keys(e.Context(), base+"*").Val() {
		if strings.HasPrefix(key, base+"requests:") || strings.HasPrefix(key, base+"bodies:") {
			n++
		}
	}
	return n
}

// TestEarlierRead reads rows of an earlier version beside others, and runs one again.
func TestEarlierRead(t *testing.T) {
	e, call, requests := newEarlier(t, "f")
	event := call.Events[0].ID
	wantLog(t, e.s, delivery.RequestFilter{}, requests...)
	wantLog(t, e.s, delivery.RequestFilter{Status: delivery.RequestFailed}, requests[0])
	wantLog(t, e.s, delivery.RequestFilter{WebhookID: e.w.ID}, requests...)
	wantLog(t, e.s, delivery.RequestFilter{EventID: event}, requests[0])
	rows, err := (&source{store: e.s, partition: (*e.s.partitions.Load())[0]}).Rows(t.Context(), testTenant, requests)
	if err != nil || len(rows) != 2 || rows[0].ID != requests[0] {
		t.Errorf("the rows are %+v, %v", rows, err)
	}
	for i, body := range []string{"no", "thanks"} {
		r, err := e.s.Request(t.Context(), testTenant, requests[i])
		if err != nil || r.ResponseBody != body || len(r.RequestBody) != 10 {
			t.Fatalf("the request is %+v, %v", r, err)
		}
	}

	again := success(e.s, e.w, &call.Events[0], &delivery.Accepted{At: delivery.IDTime(requests[0])})
	asRerun(&again)
	e.complete(again)
	wantLog(t, e.s, delivery.RequestFilter{EventID: event}, requests[0], again.Request.ID)
	_, deliveries, err := e.s.Event(t.Context(), testTenant, event)
	if err != nil || len(deliveries) != 1 || deliveries[0].Status != delivery.DeliverySuccess || deliveries[0].Attempts != 1 {
		t.Errorf("the deliveries are %+v, %v", deliveries, err)
	}
}

// TestEarlierRetry claims a delivery whose first attempt has a row of an earlier version.
func TestEarlierRetry(t *testing.T) {
	e, call, requests := newEarlier(t, "p")
	jobs := claim(t, e.s)
	if len(jobs) != 1 || jobs[0].Attempt != 2 {
		t.Fatalf("the jobs are %+v", jobs)
	}
	o := success(e.s, e.w, &call.Events[0], &delivery.Accepted{At: jobs[0].Event.ReceivedAt, LeaseEnd: jobs[0].LeaseEnd})
	o.Request.Attempt = 2
	e.complete(o)
	wantLog(t, e.s, delivery.RequestFilter{EventID: call.Events[0].ID}, requests[0], o.Request.ID)
	if err := countJobs(claim(t, e.s), 0); err != nil {
		t.Error(err)
	}
}

// TestEarlierRemoved removes rows of an earlier version beside others: those of a deleted
// webhook, and those that are older than the retention.
func TestEarlierRemoved(t *testing.T) {
	t.Run("deleted", func(t *testing.T) {
		e, _, _ := newEarlier(t, "f")
		if err := e.s.DeleteWebhook(t.Context(), e.w.Ref()); err != nil {
			t.Fatal(err)
		}
		wantLog(t, e.s, delivery.RequestFilter{})
		sweepAll(t, e.s)
		if n := e.keysLeft(); n > 0 {
			t.Errorf("%d keys are left", n)
		}
	})
	t.Run("old", func(t *testing.T) {
		e, call, requests := newEarlier(t, "f")
		old := e.s.Now().Add(-testRetention - 2*time.Hour)
		e.fail(uuid.New(), old, old, "f")
		o := success(e.s, e.w, &call.Events[1], &delivery.Accepted{At: old})
		asRerun(&o)
		o.Request.ID, o.Request.ResponseBody = delivery.NewID(old), "thanks"
		e.complete(o)
		sweepAll(t, e.s)
		wantLog(t, e.s, delivery.RequestFilter{}, requests...)
		if n := e.keysLeft(); n != 4 {
			t.Errorf("%d keys are left, want 4", n)
		}
	})
}

// TestEarlierCopy copies rows of an earlier version, and passes over those that are there.
func TestEarlierCopy(t *testing.T) {
	e, call, requests := newEarlier(t, "f")
	to := open(t, options())
	before := e.keysLeft()
	mustCopy(t, e.s, to)
	mustCopy(t, to, e.s)
	if n := e.keysLeft(); n != before {
		t.Errorf("there are %d keys in place of %d", n, before)
	}
	wantLog(t, to, delivery.RequestFilter{}, requests...)
	wantLog(t, to, delivery.RequestFilter{EventID: call.Events[0].ID}, requests[0])
	for i, body := range []string{"no", "thanks"} {
		r, err := to.Request(t.Context(), testTenant, requests[i])
		if err != nil || r.ResponseBody != body {
			t.Errorf("the request is %+v, %v", r, err)
		}
	}
}

// TestEarlierUnreadable sets rows aside where they are.
func TestEarlierUnreadable(t *testing.T) {
	for name, damage := range map[string]string{"short": "x", "long": strings.Repeat("x", requestHeadSize+1)} {
		t.Run(name, func(t *testing.T) {
			e, _, requests := newEarlier(t, "f")
			id := requests[0]
			key := e.s.keys.base(0) + "requests:" + earlierBucket(delivery.IDTime(id), id)
			e.s.client().HSet(t.Context(), key, string(id[:]), damage)
			wantLog(t, e.s, delivery.RequestFilter{}, requests[1])
			if _, err := e.s.Request(t.Context(), testTenant, id); !errors.Is(err, delivery.ErrNotFound) {
				t.Errorf("the request: %v", err)
			}
			if n := e.s.client().Exists(t.Context(), key).Val(); n != 0 || e.s.SetAside() != 1 {
				t.Errorf("%d rows were set aside", e.s.SetAside())
			}
		})
	}
}
