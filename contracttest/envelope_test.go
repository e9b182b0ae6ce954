package contracttest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// tokens are the tokens of a JSON text, with its members in their order and its numbers
// digit for digit.
func tokens(t testing.TB, text string) (all []any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		all = append(all, token)
	}
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`{}`,
		`{"z":1,"a":2,"m":{"y":1,"b":[1,{"d":1,"c":2}]}}`,
		`{"n":[1.0,1.10,0.1e1,1E400,-0,-0.0,12345678901234567890123,9007199254740993,1e-7,0.30000000000000004]}`,
		`{"s":"<script>&\u2028\u00e9\"\\\/é😀","":null,"true":[true,false,null],"e":{},"l":[]}`,
		"{ \"spaced\" : [ 1 ,\n\t2 ] }",
	} {
		t.Run(data, func(t *testing.T) {
			c := fast.admin()
			r := receive(t, status(500, 200))
			c.webhook(t, r.URL)
			id := uuid.NewString()
			// The members are emitted in another order than they are sent in.
			c.must(t, 202, "POST", "/api/events", `{"data":`+data+`,"occurred_at":"2026-01-02T05:04:05+02:00","event_id":"`+id+`","event_type":"alert_active"}`)
			requests := c.awaitRequests(t, "", 2)
			c.must(t, 200, "POST", "/api/requests/"+text(requests[0]["id"])+"/rerun", "")
			got := r.await(t, 3)
			body := got[0].body
			start := `{"event_type":"alert_active","event_id":"` + id + `","occurred_at":"2026-01-02T03:04:05Z","data":{`
			if !strings.HasPrefix(body, start) {
				t.Errorf("envelope is %s", body)
			}
			all := tokens(t, body)
			// The envelope's first 8 tokens are its brace, three members, and the name of
			// the fourth.
			if want := tokens(t, data); !slices.Equal(all[8:len(all)-1], want) {
				t.Errorf("data is\n%v, was\n%v", all[8:len(all)-1], want)
			}
			if got[1].body != body || got[2].body != body {
				t.Errorf("the bytes differ between requests:\n%s\n%s\n%s", body, got[1].body, got[2].body)
			}
			for _, q := range c.requests(t, "") {
				if full := c.request(t, q); full["request_body"] != body {
					t.Errorf("request_body is %v", full["request_body"])
				}
			}
			var event struct{ Data json.RawMessage }
			a := c.call(t, "GET", "/api/events/"+id, "")
			if err := json.Unmarshal([]byte(a.body), &event); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(tokens(t, string(event.Data)), tokens(t, data)) {
				t.Errorf("GET gives %s", event.Data)
			}
		})
	}
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	raw := []byte("0123456789abcdef01234567")
	for _, test := range []struct {
		name, secret string
		standardKey  []byte
	}{
		{"no secret", "", nil},
		{"any secret", "any secret, é", []byte("any secret, é")},
		{"whsec", "whsec_" + base64.StdEncoding.EncodeToString(raw), raw},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := fast.admin()
			r := receive(t, status(500, 200))
			if test.secret == "" {
				c.webhook(t, r.URL)
			} else {
				c.webhook(t, r.URL, `"secret":`+quote(test.secret))
			}
			event := c.emit(t)
			for _, got := range r.await(t, 2) {
				if ct := got.header.Get("Content-Type"); ct != "application/json" {
					t.Errorf("Content-Type: %s", ct)
				}
				if got.header.Get("User-Agent") == "" || strings.HasPrefix(got.header.Get("User-Agent"), "Go-http-client") {
					t.Errorf("User-Agent: %s", got.header.Get("User-Agent"))
				}
				if got.header.Get("Webhook-Id") != event["event_id"] {
					t.Errorf("webhook-id: %s", got.header.Get("Webhook-Id"))
				}
				stamp := got.header.Get("Webhook-Timestamp")
				seconds, err := strconv.ParseInt(stamp, 10, 64)
				if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 2*deadline {
					t.Errorf("webhook-timestamp: %s", stamp)
				}
				level, standard := "", ""
				if test.secret != "" {
					level = "sha256=" + hex.EncodeToString(mac([]byte(test.secret), got.body))
					standard = "v1," + base64.StdEncoding.EncodeToString(mac(test.standardKey, text(event["event_id"])+"."+stamp+"."+got.body))
				}
				if v := got.header.Get("X-Level-Signature"); v != level {
					t.Errorf("X-Level-Signature: %q, want %q", v, level)
				}
				if v := got.header.Get("Webhook-Signature"); v != standard {
					t.Errorf("webhook-signature: %q, want %q", v, standard)
				}
			}
		})
	}
}

func TestHeadersByOption(t *testing.T) {
	t.Parallel()
	c := slow.admin() // has another signature_header and no standard_webhooks
	r := receive(t, nil)
	c.webhook(t, r.URL, `"secret":"s"`)
	c.emit(t)
	got := r.await(t, 1)[0]
	if v := got.header.Get("X-Other-Signature"); v != "sha256="+hex.EncodeToString(mac([]byte("s"), got.body)) {
		t.Errorf("X-Other-Signature: %q", v)
	}
	for _, name := range []string{"X-Level-Signature", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} {
		if got.header.Get(name) != "" {
			t.Errorf("%s: %q", name, got.header.Get(name))
		}
	}
}
