package chaos

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestJudge holds the judge to what it must notice: a suite that sees nothing proves nothing.
func TestJudge(t *testing.T) {
	t.Parallel()
	first, second := uuid.New(), uuid.New()
	code := 204
	begin := time.Now().Add(-time.Minute)
	good := func() (*event, *storedEvent, []row) {
		e := &event{first: begin, acknowledged: begin, accepted: 1, receipt: receipt{Deliveries: 2}, arrivals: []arrival{
			{webhook: 0, at: begin, status: 204}, {webhook: 1, at: begin, status: 204},
		}}
		stored := &storedEvent{Deliveries: []delivery{{WebhookID: first, Status: "success"}, {WebhookID: second, Status: "success"}}}
		rows := []row{{WebhookID: first, Status: "success", StatusCode: &code}, {WebhookID: second, Status: "success", StatusCode: &code}}
		return e, stored, rows
	}
	crash := fault{effects: repeats | forgets, begin: begin.Add(time.Second), end: begin.Add(2 * time.Second)}
	again := func(e *event) {
		e.arrivals = append(e.arrivals, arrival{webhook: 1, at: begin.Add(20 * time.Second), status: 204})
	}
	for _, c := range []struct {
		name   string
		change func(j *judge, e *event, stored **storedEvent, rows *[]row)
		wrong  string // part of what is said, or "" if all is well
		lost   int
		twice  int
	}{
		{"all is well", func(*judge, *event, **storedEvent, *[]row) {}, "", 0, 0},
		{"not stored", func(_ *judge, _ *event, s **storedEvent, r *[]row) { *s, *r = nil, nil }, "is not stored", 1, 0},
		{"not stored, as the store may", func(j *judge, _ *event, s **storedEvent, r *[]row) { j.mayLose, *s, *r = true, nil, nil }, "", 1, 0},
		{"pending for ever", func(_ *judge, _ *event, s **storedEvent, _ *[]row) { (*s).Deliveries[1].Status = "pending" }, "still pending", 1, 0},
		{"never arrived", func(_ *judge, e *event, _ **storedEvent, r *[]row) { e.arrivals, *r = e.arrivals[:1], (*r)[:1] }, "never arrived", 1, 0},
		{"no delivery", func(_ *judge, e *event, s **storedEvent, _ *[]row) { e.receipt.Deliveries, (*s).Deliveries = 0, nil }, "0 deliveries", 1, 0},
		{"accepted twice", func(_ *judge, e *event, _ **storedEvent, _ *[]row) { e.accepted = 2 }, "accepted 2 times", 0, 0},
		{"refused and sent", func(_ *judge, e *event, _ **storedEvent, _ *[]row) { e.acknowledged = time.Time{} }, "was refused", 0, 0},
		{"a row is missing", func(_ *judge, _ *event, _ **storedEvent, r *[]row) { *r = (*r)[:1] }, "has 0 rows", 0, 0},
		{"a row too many", func(_ *judge, _ *event, _ **storedEvent, r *[]row) { *r = append(*r, (*r)[0]) }, "has 2 rows", 0, 0},
		{"sent twice", func(_ *judge, e *event, _ **storedEvent, r *[]row) { again(e); *r = append(*r, (*r)[1]) }, "nothing explains", 0, 1},
		{"sent twice after a crash", func(j *judge, e *event, _ **storedEvent, _ *[]row) { again(e); j.faults = []fault{crash} }, "", 0, 1},
		{"forgiven", func(j *judge, _ *event, s **storedEvent, r *[]row) { j.forgiven, *s, *r = begin, nil, nil }, "", 0, 0},
	} {
		j := &judge{webhooks: map[uuid.UUID]int{first: 0, second: 1}, fanOut: 2}
		e, stored, rows := good()
		c.change(j, e, &stored, &rows)
		j.event(uuid.New(), e, stored, rows)
		said := strings.Join(j.wrong, "\n")
		if c.wrong == "" && said != "" || !strings.Contains(said, c.wrong) || j.lost != c.lost || j.duplicates != c.twice {
			t.Errorf("%s: %d lost, %d duplicates: %q", c.name, j.lost, j.duplicates, said)
		}
	}
}

func TestOutage(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	at := func(seconds float64, tenant int, o outcome) call {
		end := begin.Add(time.Duration(seconds * float64(time.Second)))
		return call{tenant, end.Add(-time.Millisecond), end, o}
	}
	calls := []call{
		at(1, 0, acknowledged), at(2, 0, refused), at(3, 0, acknowledged), at(3.5, 0, acknowledged),
		at(0.5, 1, acknowledged), at(1.5, 1, acknowledged), at(2.5, 1, acknowledged), at(3.5, 1, acknowledged), at(4.5, 1, acknowledged),
	}
	end := begin.Add(5500 * time.Millisecond)
	if got := outage(calls, 0, begin, end); got != 4*time.Second { // from 1 to 3, and from 3.5 on
		t.Errorf("tenant 0 was without service for %s", got)
	}
	if got := outage(calls, 1, begin, end); got != 0 {
		t.Errorf("tenant 1 was without service for %s", got)
	}
}
