package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

// token is that of emitters and admins.
const token = "token-of-the-chaos-tests"

// callTimeout is more than the product takes to answer, whatever happens to its store.
const callTimeout = 20 * time.Second

// client keeps a connection for each emitter. A call whose connection breaks is not
// repeated: its outcome is unknown, and whoever made it decides.
var client = &http.Client{
	Timeout:   callTimeout,
	Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
}

type reply struct {
	status int
	header http.Header
	body   []byte
}

// do makes a call to the API at a URL.
func do(ctx context.Context, method, url, tenant string, body []byte) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	req.GetBody = nil // net/http would send it again
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Tenant", tenant)
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, text}, err
}

// want reads the reply into v if it has the status.
func (r reply) want(status int, v any) error {
	if r.status != status {
		return fmt.Errorf("the API answered %d, not %d: %s", r.status, status, r.body)
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(r.body, v)
}

// receipt is what the API says of one event that it was given.
type receipt struct {
	EventID    uuid.UUID `json:"event_id"`
	Deliveries int       `json:"deliveries"`
	Duplicate  bool      `json:"duplicate"`
}

// answer is what an emit came to.
type answer struct {
	outcome  outcome
	receipts []receipt // in the order of the events, if they were acknowledged
	wrong    string    // what is wrong with the answer, or ""
}

// emit emits events in one call.
func emit(ctx context.Context, api, tenant string, ids []uuid.UUID) answer {
	r, err := do(ctx, http.MethodPost, api+"/events", tenant, eventsBody(ids))
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return answer{outcome: refused} // nobody got it
		}
		return answer{outcome: unknown}
	}
	return readAnswer(r, ids)
}

func eventsBody(ids []uuid.UUID) []byte {
	var b []byte
	for i, id := range ids {
		separator := byte(',')
		if i == 0 {
			separator = '['
		}
		b = append(b, separator)
		b = fmt.Appendf(b, `{"event_type":"alert_active","event_id":"%s","data":{"text":"%s"}}`, id, strings.Repeat("x", int(id[1+len(id)/2])))
	}
	return append(b, ']')
}

func readAnswer(r reply, ids []uuid.UUID) answer {
	switch r.status {
	case http.StatusAccepted:
		var receipts []receipt
		if err := json.Unmarshal(r.body, &receipts); err != nil || len(receipts) != len(ids) {
			return answer{outcome: unknown, wrong: fmt.Sprintf("a 202 for %d events said %s", len(ids), r.body)}
		}
		return answer{outcome: acknowledged, receipts: receipts}
	case http.StatusTooManyRequests:
		return answer{outcome: refused}
	case http.StatusServiceUnavailable:
		a := answer{outcome: refused}
		if saysUnknown(r) {
			a.outcome = unknown
		}
		if r.header.Get("Retry-After") == "" {
			a.wrong = "a 503 has no Retry-After"
		}
		return a
	default:
		return answer{outcome: unknown, wrong: fmt.Sprintf("an emit was answered %d: %s", r.status, r.body)}
	}
}

// saysUnknown reports whether a 503 says that the events may be stored, or says nothing that
// can be read. Any other 503 promises that they are not.
func saysUnknown(r reply) bool {
	var problem struct{ Type string }
	return json.Unmarshal(r.body, &problem) != nil || strings.HasSuffix(problem.Type, "#outcome-unknown")
}

// delivery and storedEvent are what GET api/events/{id} says.
type delivery struct {
	WebhookID uuid.UUID `json:"webhook_id"`
	Status    string    `json:"status"`
	Attempts  int       `json:"attempts"`
}

type storedEvent struct {
	Deliveries []delivery `json:"deliveries"`
}

// row is a row of the log.
type row struct {
	ID         uuid.UUID `json:"id"`
	WebhookID  uuid.UUID `json:"webhook_id"`
	EventID    uuid.UUID `json:"event_id"`
	Status     string    `json:"status"`
	StatusCode *int      `json:"status_code"`
}

// readLog reads a tenant's log, as far as the query lets it through.
func readLog(ctx context.Context, api, tenant, query string) (rows []row, err error) {
	for cursor := ""; ; {
		var page struct {
			Data []row  `json:"data"`
			Next string `json:"next_cursor"`
		}
		r, err := do(ctx, http.MethodGet, api+"/requests?limit=200"+query+cursor, tenant, nil)
		if err != nil {
			return nil, err
		}
		if err := r.want(http.StatusOK, &page); err != nil {
			return nil, err
		}
		rows = append(rows, page.Data...)
		if page.Next == "" {
			return rows, nil
		}
		cursor = "&cursor=" + page.Next
	}
}

func tenantName(i int) string { return fmt.Sprintf("tenant-%d", i) }
