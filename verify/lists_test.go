package verify_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/verify"
)

// stripeEvent is the body that Stripe's library is tested with.
const stripeEvent = `{
  "id": "evt_123",
  "object": "event",
  "account": "acct_123",
  "api_version": "2017-05-25",
  "created": 1533204620,
  "data": {
    "object": {
      "id": "cus_123",
      "object": "customer",
      "created": 123456789,
      "email": "test@stripe.com",
      "livemode": false,
      "metadata": {}
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {
    "id": "req_123",
    "idempotency_key": "idempotency-key-123"
  },
  "type": "customer.created"
}
`

// TestLists has signatures beside the right one that are none: senders may add others, and their own
// libraries pass over those. Standard Webhooks says of its list that one has to match; the tests of
// Stripe's libraries have v1=bad_signature; the tests of those of Standard Webhooks have v2.
func TestLists(t *testing.T) {
	for _, v := range vectors {
		if v.scheme == "github" || v.scheme == "slack" {
			continue // one signature
		}
		for name, with := range listsOf(v.scheme) {
			for what, other := range with {
				for _, list := range []string{"%s%s", "%[2]s%[1]s"} {
					h := header(v.header)
					right := h.Get(name)
					h.Set(name, strings.Trim(fmt.Sprintf(list, right, other), " ,"))
					if v.scheme == "level" {
						h.Set(name, other)
						h.Set(name+"-Previous", right)
						if len(v.header) > 1 {
							h.Set(name+"-Previous", v.header[name+"-Previous"])
						}
					}
					if _, err := check(newVerifier(t, v.scheme, v.secret), h, time.Unix(v.at, 0), v.body); err != nil {
						t.Errorf("%s, with %s: %v: %q", v.name, what, err, h)
					}
				}
			}
		}
	}
}

// listsOf are what stands beside a signature of a scheme, by its header and by what it is.
func listsOf(scheme string) map[string]map[string]string {
	return map[string]map[string]map[string]string{
		"standard": {"webhook-signature": {
			"another version": " v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= ", "no version": " Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= ",
			"no base64": " v1,dawfeoifkpqwoekfpqoekf ", "another length": " v1,AAAA ", "nothing": " v1, ", "no comma": " v1 ", "spaces": "   ",
		}},
		"stripe": {"Stripe-Signature": {
			"no hex": ",v1=bad_signature,", "another length": ",v1=abcd,", "nothing": ",v1=,", "no sign": ",v1,", "another version": ",v2=bad,", "commas": ",,",
		}},
		"level": {"X-Level-Signature": {
			"no hex": "sha256=bad_signature", "another length": "sha256=abcd", "another kind": "sha512=abcd",
		}},
	}[scheme]
}

// TestManySignatures looks at no more than 16 signatures, of whatever a header of the largest size
// has; those that are none do not count.
func TestManySignatures(t *testing.T) {
	sum := strings.Repeat("ab", sha256.Size)
	standard := "v1," + base64.StdEncoding.EncodeToString(make([]byte, sha256.Size)) + " "
	now := time.Unix(1700000000, 0)
	for _, c := range []struct {
		scheme, name, list string
		want               verify.ReasonError
	}{
		{"stripe", "Stripe-Signature", "t=1700000000" + strings.Repeat(",v1="+sum, 10_000), verify.ErrMalformed},
		{"stripe", "Stripe-Signature", "t=1700000000" + strings.Repeat(",v1=x", 10_000), verify.ErrMalformed},
		{"stripe", "Stripe-Signature", "t=1700000000" + strings.Repeat(",v1=x", 10_000) + ",v1=" + sum, verify.ErrForged},
		{"standard", "webhook-signature", strings.Repeat(standard, 10_000), verify.ErrMalformed},
		{"standard", "webhook-signature", strings.Repeat("v1,x ", 10_000), verify.ErrMalformed},
		{"standard", "webhook-signature", strings.Repeat("v1,x ", 10_000) + standard, verify.ErrForged},
	} {
		h := header(map[string]string{"webhook-id": "a", "webhook-timestamp": "1700000000", c.name: c.list})
		v := newVerifier(t, c.scheme, "secret")
		if _, err := check(v, h, now, "{}"); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.list[:40], err, c.want)
		}
	}
}
