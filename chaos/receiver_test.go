package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"
)

// receiver has the endpoints of all webhooks. It notes what arrives.
type receiver struct {
	server *httptest.Server
	ledger func(event uuid.UUID) *ledger // the one that has the event; nil if it is closed
}

func startReceiver(t *testing.T, ledger func(uuid.UUID) *ledger) *receiver {
	t.Helper()
	r := &receiver{ledger: ledger}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

// url is the endpoint of a tenant's webhook.
func (r *receiver) url(tenant, webhook int) string {
	return fmt.Sprintf("%s/%d/%d", r.server.URL, tenant, webhook)
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	if err != nil {
		return // the sender has broken it off
	}
	var tenant, webhook int
	var envelope struct {
		ID uuid.UUID `json:"event_id"`
	}
	if _, err := fmt.Sscanf(req.URL.Path, "/%d/%d", &tenant, &webhook); err != nil {
		http.NotFound(w, req)
		return
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	status := http.StatusNoContent
	if l := r.ledger(envelope.ID); l != nil {
		status = l.arrived(envelope.ID, tenant, webhook)
	}
	w.WriteHeader(status)
}
