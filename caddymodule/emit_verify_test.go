package caddymodule_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
)

// TestEmitVerified makes events of what others send, once it is known to be theirs, whichever of the
// two directives comes first in the Caddyfile.
func TestEmitVerified(t *testing.T) {
	const verifies = "webhook_verify github {\nsecret " + verifySecret + "\n}\n"
	const emits = "webhooks_emit device_created {\ndata request\nid \"github/{http.webhook.id}\"\n}\n"
	s := startEmitSite(t, product(t), "", "handle /first {\n"+verifies+emits+"reverse_proxy $product\n}\nhandle /second {\n"+emits+verifies+"reverse_proxy $product\n}\n")
	before := s.counted()
	for _, path := range []string{"/first", "/second"} {
		body, id := `{"from": "`+path+`"}`, "id-of-"+path[1:]
		headers := github(verifySecret, id, body)
		s.do(http.MethodPost, path, body, github("another secret", id, body)...).wantUnverified(t, path)
		s.do(http.MethodPost, path, body, headers...).want(t, http.StatusOK, nil)
		want := uuid.NewSHA1(uuid.NameSpaceURL, []byte("default/github/"+id))
		if ev := s.event(); string(ev.Data) != body || ev.ID != want {
			t.Errorf("%s: got %s %s, want %s %s", path, ev.ID, ev.Data, want, body)
		}
		s.do(http.MethodPost, path, body, headers...).wantUnverified(t, path+", again")
	}
	s.requests("", 2)
	if n := s.counted()["emitted"] - before["emitted"]; n != 2 {
		t.Errorf("%v events were emitted", n)
	}
}

// TestEmitVerifiedStrictly has no event stored: the sender may repeat the message, which counts as
// received only with its event.
func TestEmitVerifiedStrictly(t *testing.T) {
	s := startEmitSite(t, product(t), "", `
		webhooks_emit /hook from_header {
			strict
		}
		webhook_verify /hook github {
			secret `+verifySecret+`
		}
		reverse_proxy $product
	`)
	headers := github(verifySecret, "7", "{}")
	s.do(http.MethodPost, "/hook", "{}", append(headers, "X-Set-Webhook-Event", "nonsense")...).wantProblem(t, http.StatusBadGateway)
	s.do(http.MethodPost, "/hook", "{}", append(headers, "X-Set-Webhook-Event", "device_created")...).want(t, http.StatusOK, nil)
	s.event()
}
