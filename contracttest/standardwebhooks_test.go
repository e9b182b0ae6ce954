package contracttest

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// signatures are secrets, and how a receiver gives each to the specification's own
// library.
var signatures = []struct {
	name, secret string
	verifier     func(secret string) (*standardwebhooks.Webhook, error)
}{
	{"of the specification", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", standardwebhooks.NewWebhook},
	{"of 64 bytes", "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 64)), standardwebhooks.NewWebhook},
	{"padded", "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of 25 bytes long")), standardwebhooks.NewWebhook},
	{"any other", "any other secret, é", raw},
	{"base64 without the prefix", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", raw},
	{"the prefix elsewhere", "Xwhsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", raw},
	{"the prefix in capitals", "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", raw},
}

func raw(secret string) (*standardwebhooks.Webhook, error) {
	return standardwebhooks.NewWebhookRaw([]byte(secret))
}

// sendInEachWay has an event, its retry, a re-run and a test sent to a webhook, and
// returns what arrived. A second passes between the first two, so that their timestamps
// differ.
func sendInEachWay(t *testing.T, c client, more ...string) []received {
	t.Helper()
	r := receive(t, func(n int, w http.ResponseWriter) {
		if n == 1 {
			began := time.Now().Unix()
			for time.Now().Unix() == began {
				time.Sleep(pollEvery)
			}
			w.WriteHeader(500)
		}
	})
	w := c.webhook(t, r.URL, more...)
	c.emit(t)
	first := c.awaitRequests(t, "", 2)[0]
	c.must(t, 200, "POST", "/api/requests/"+text(first["id"])+"/rerun", "")
	c.must(t, 200, "POST", "/api/webhooks/"+text(w["id"])+"/test", "{}")
	return r.await(t, 4)
}

// wantHeadersInLog checks that the log has the headers that were received, with the
// signatures hidden.
func wantHeadersInLog(t *testing.T, c client, got []received) {
	t.Helper()
	rows := c.awaitRequests(t, "", len(got))
	for i := range got {
		want := object{}
		for name, values := range got[i].header {
			switch name {
			case "Content-Length": // not beside the body
			case "X-Level-Signature":
				want[name] = "sha256=********"
			case "Webhook-Signature":
				want[name] = "v1,********"
			default:
				want[name] = values[0]
			}
		}
		row := c.request(t, rows[i])
		if quote(row["request_headers"]) != quote(want) {
			t.Errorf("the log has the headers %v for a %v, want %v", row["request_headers"], row["trigger"], want)
		}
	}
}

// TestStandardWebhooks verifies what arrives as a receiver would, with the
// specification's own library.
func TestStandardWebhooks(t *testing.T) {
	t.Parallel()
	other, err := raw("another secret")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range signatures {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := fast.admin()
			got := sendInEachWay(t, c, `"secret":`+quote(test.secret))
			verifier, err := test.verifier(test.secret)
			if err != nil {
				t.Fatal(err)
			}
			for i, way := range []string{"event", "retry", "rerun", "test"} {
				if err := verifier.Verify([]byte(got[i].body), got[i].header); err != nil {
					t.Errorf("%s: %v", way, err)
				}
				if err := verifier.Verify([]byte(got[i].body+" "), got[i].header); !errors.Is(err, standardwebhooks.ErrNoMatchingSignature) {
					t.Errorf("%s, with another body: %v", way, err)
				}
				if err := other.Verify([]byte(got[i].body), got[i].header); !errors.Is(err, standardwebhooks.ErrNoMatchingSignature) {
					t.Errorf("%s, with another secret: %v", way, err)
				}
				level := "sha256=" + hex.EncodeToString(mac([]byte(test.secret), got[i].body))
				if v := got[i].header.Get("X-Level-Signature"); v != level {
					t.Errorf("%s: X-Level-Signature is %q, want %q, made with the whole secret", way, v, level)
				}
			}
			wantOwnStamps(t, got)
			wantHeadersInLog(t, c, got)
		})
	}
}

// TestStandardSecretsThatAreNone has secrets that the specification's own library would
// refuse at the receiver.
func TestStandardSecretsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"whsec_", "whsec_not base64!", "whsec_-_-_-_-_"} {
		a := fast.admin().call(t, "POST", "/api/webhooks", `{"url":"https://example.com/","secret":`+quote(secret)+`}`)
		a.want(t, 422)
		if verifier, err := standardwebhooks.NewWebhook(secret); err == nil && secret != "whsec_" {
			t.Errorf("the library takes %s for a secret, and makes a %T of it", secret, verifier)
		}
	}
}

// wantOwnStamps checks that the event keeps its id, and that each later attempt has a
// timestamp of its own.
func wantOwnStamps(t *testing.T, got []received) {
	t.Helper()
	value := func(i int, name string) string { return got[i].header.Get(name) }
	var stamps []int64
	for i := range got {
		stamp, err := strconv.ParseInt(value(i, "Webhook-Timestamp"), 10, 64)
		if err != nil {
			t.Errorf("webhook-timestamp: %v", err)
		}
		stamps = append(stamps, stamp)
	}
	for i := 1; i <= 2; i++ {
		if got[i].body != got[0].body || value(i, "Webhook-Id") != value(0, "Webhook-Id") {
			t.Error("the same event came with another id or body")
		}
		if stamps[i] <= stamps[0] {
			t.Errorf("a later attempt has the timestamp %d, the first %d", stamps[i], stamps[0])
		}
	}
	if value(3, "Webhook-Id") == value(0, "Webhook-Id") {
		t.Error("a test event has the id of another event")
	}
}

func TestStandardWebhooksWithoutSecret(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	all := sendInEachWay(t, c)
	wantHeadersInLog(t, c, all)
	for _, got := range all {
		for _, name := range []string{"Webhook-Id", "Webhook-Timestamp"} {
			if len(got.header[name]) != 1 {
				t.Errorf("%s: %q", name, got.header[name])
			}
		}
		for _, name := range []string{"Webhook-Signature", "X-Level-Signature"} {
			if v, ok := got.header[name]; ok {
				t.Errorf("%s without a secret: %q", name, v)
			}
		}
	}
}
