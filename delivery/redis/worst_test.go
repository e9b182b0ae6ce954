package redis

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// BenchmarkWorst has of each kind as much stored as makes an operation long, and reports for how
// long its longest command or script has Redis's only thread, by Redis's SLOWLOG, and which time
// of the processor its scripts take. It takes the run with the least: on a busy machine, others
// take the thread away.
func BenchmarkWorst(b *testing.B) {
	s := open(b, Options{Addresses: []string{redistest.Start(b).Addr}, KeyPrefix: "worst"})
	watch := worstWatch{b, s}
	types := newWorstLog(b, s, "types", delivery.MaxEventTypes, 14)
	legacy := newWorstLog(b, s, "legacy", 60_000, 1)
	since := s.Now().Add(-13 * 24 * time.Hour)
	for name, filter := range map[string]delivery.RequestFilter{
		"first":       {Limit: 50},
		"long":        {Limit: delivery.MaxPage},
		"middle":      {Limit: 50, Until: since.Add(150 * time.Hour)},
		"webhook":     {Limit: 50, WebhookID: types.webhook.ID},
		"status":      {Limit: 50, Status: delivery.RequestFailed},
		"empty days":  {Limit: 50, Since: s.Now().Add(time.Minute), Until: s.Now().Add(24 * time.Hour)},
		"q":           {Limit: 50, Text: "nobody has this"},
		"long, empty": {Limit: 50, Until: s.Now().Add(-13*24*time.Hour + time.Minute)},
	} {
		b.Run("Requests/"+name, func(b *testing.B) { watch.requests(b, "types", filter) })
	}
	b.Run("Requests/60000 types", func(b *testing.B) { watch.requests(b, "legacy", delivery.RequestFilter{Limit: 50}) })
	b.Run("Requests/60000 types, long", func(b *testing.B) {
		watch.requests(b, "legacy", delivery.RequestFilter{Limit: delivery.MaxPage})
	})
	for name, of := range map[string]worstLog{"1000 types": types, "60000 types": legacy} {
		b.Run("WebhookRequests/"+name, func(b *testing.B) {
			watch.longest(b, func() error {
				_, err := s.WebhookRequests(b.Context(), of.webhook.Tenant, []uuid.UUID{of.webhook.ID}, s.Now().Add(-23*time.Hour))
				return err
			})
		})
	}
	b.Run("RequestCounts", func(b *testing.B) {
		watch.longest(b, func() error {
			_, err := s.RequestCounts(b.Context(), "types", s.Now().Add(-delivery.StatsKept))
			return err
		})
	})
	b.Run("Deliveries", func(b *testing.B) { watch.deliveries(b, types.webhook.Tenant) })
	watch.history(b)
	b.Run("MarkReceived", func(b *testing.B) {
		mark := delivery.ReceivedMark{Message: uuid.New(), Guards: make([]delivery.Guard, delivery.MaxGuards), Token: uuid.New(), As: delivery.Receiving, For: time.Hour}
		for i := range mark.Guards {
			mark.Guards[i][0] = byte(i)
		}
		watch.longest(b, func() error { return s.MarkReceived(b.Context(), &mark) })
	})
	b.Run("Requests/event", func(b *testing.B) { watch.reruns(b) })
	b.Run("Requests/deleted", func(b *testing.B) {
		if err := s.DeleteWebhook(b.Context(), types.webhook.Ref()); err != nil {
			b.Fatal(err)
		}
		watch.requests(b, "types", delivery.RequestFilter{Limit: 1})
	})
	b.Run("Sweep", func(b *testing.B) {
		watch.longest(b, func() error {
			_, err := s.Sweep(b.Context(), testRetention)
			return err
		})
	})
}

// worstWatch watches Redis's thread.
type worstWatch struct {
	b *testing.B
	s *Store
}

// longest runs an operation some times, and reports the longest command of the run in which that
// is the shortest, and how many commands and scripts the run has.
func (w worstWatch) longest(b *testing.B, do func() error) {
	b.Helper()
	client := w.s.client()
	if err := client.ConfigSet(b.Context(), "slowlog-log-slower-than", "300").Err(); err != nil {
		b.Fatal(err)
	}
	least, leastCPU, scripts := time.Hour, time.Hour, int64(0)
	for range 5 {
		if err := client.SlowLogReset(b.Context()).Err(); err != nil {
			b.Fatal(err)
		}
		before, cpu := calls(b, w.s, "evalsha"), serverCPU(b, w.s)
		if err := do(); err != nil {
			b.Fatal(err)
		}
		leastCPU = min(leastCPU, serverCPU(b, w.s)-cpu)
		scripts = calls(b, w.s, "evalsha") - before
		logs, err := client.SlowLogGet(b.Context(), -1).Result()
		if err != nil {
			b.Fatal(err)
		}
		most := time.Duration(0)
		for _, l := range logs {
			most = max(most, l.Duration)
		}
		least = min(least, most)
	}
	b.ReportMetric(float64(least.Microseconds())/1000, "longest-ms")
	b.ReportMetric(float64(scripts), "scripts")
	b.ReportMetric(float64(leastCPU.Microseconds())/1000/float64(max(scripts, 1)), "cpu-ms/script")
	b.ReportMetric(0, "ns/op")
}

// calls is how often Redis has run a command, also in scripts.
func calls(t testing.TB, s *Store, command string) int64 {
	t.Helper()
	info, err := s.client().Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, stats, _ := strings.Cut(info, "cmdstat_"+command+":calls=")
	count, _, _ := strings.Cut(stats, ",")
	n, _ := strconv.ParseInt(count, 10, 64) // none before the first call
	return n
}

func (w worstWatch) requests(b *testing.B, tenant string, filter delivery.RequestFilter) {
	b.Helper()
	w.longest(b, func() error {
		_, err := w.s.Requests(b.Context(), tenant, filter)
		return err
	})
}

// reruns reads the requests of an event that was sent again and again to each of 10 webhooks.
func (w worstWatch) reruns(b *testing.B) {
	b.Helper()
	const webhooks = 10
	call := newCall(w.s, addWebhook(b, w.s, "reruns"), 1, 10, false)
	call.Events[0].Targets = nil
	var hooks []*delivery.Webhook
	for range webhooks {
		hook := addWebhook(b, w.s, "reruns")
		hooks = append(hooks, hook)
		call.Events[0].Targets = append(call.Events[0].Targets, delivery.Target{Webhook: hook.ID})
	}
	call.Version = version(w.s, "reruns")
	accepted := mustAccept(b, w.s, call)
	for _, hook := range hooks {
		outcomes := make([]delivery.Outcome, delivery.MaxRequestsOfDelivery)
		for i := range outcomes {
			outcomes[i] = success(w.s, hook, &call.Events[0], &accepted)
			outcomes[i].LeaseEnd, outcomes[i].Request.Trigger, outcomes[i].Request.Attempt = 0, delivery.TriggerRerun, 0
		}
		if err := errors.Join(w.s.Complete(b.Context(), outcomes)...); err != nil {
			b.Fatal(err)
		}
	}
	w.requests(b, "reruns", delivery.RequestFilter{Limit: 50, EventID: call.Events[0].ID})
}

// worstLog is a log with as many ranges as there can be.
type worstLog struct{ webhook *delivery.Webhook }

// newWorstLog writes a success and a failure of each of some event types, on each of some days.
func newWorstLog(b testing.TB, s *Store, tenant string, types, days int) worstLog {
	b.Helper()
	l := worstLog{addWebhook(b, s, tenant)}
	call := newCall(s, l.webhook, 1, 10, true)
	accepted := mustAccept(b, s, call)
	const chunk = 500
	for day := range days {
		for first := 0; first < types; first += chunk {
			outcomes := make([]delivery.Outcome, 0, 2*chunk)
			for i := first; i < min(first+chunk, types); i++ {
				for _, status := range []delivery.RequestStatus{delivery.RequestSuccess, delivery.RequestFailed} {
					o := success(s, l.webhook, &call.Events[0], &accepted)
					o.LeaseEnd, o.Request.Trigger, o.Request.Status = 0, delivery.TriggerRerun, status
					o.Request.EventType = fmt.Sprint(tenant, " ", i)
					o.Request.ID = delivery.NewID(s.Now().Add(-time.Duration(day)*24*time.Hour - time.Duration(i)*time.Second/100))
					outcomes = append(outcomes, o)
				}
			}
			if err := errors.Join(s.Complete(b.Context(), outcomes)...); err != nil {
				b.Fatal(err)
			}
		}
	}
	return l
}
