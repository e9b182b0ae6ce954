package verify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/verify"
)

// vectors are requests that are signed rightly.
var vectors = []struct {
	name, scheme, secret, body string
	at                         int64 // 0 if none is signed
	header                     map[string]string
	id                         string
}{
	{ // docs.github.com, Validating webhook deliveries
		name: "GitHub's documentation", scheme: "github", secret: "It's a Secret to Everybody", body: "Hello, World!",
		header: map[string]string{"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
	},
	{
		name: "GitHub, with an id", scheme: "github", secret: "It's a Secret to Everybody", body: "Hello, World!",
		header: map[string]string{
			"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
			"X-GitHub-Delivery":   "72d3162e-cc78-11e3-81ab-4c9367dc0958", "X-GitHub-Hook-ID": "292430182",
		},
		id: "72d3162e-cc78-11e3-81ab-4c9367dc0958",
	},
	{ // docs.slack.dev, Verifying requests from Slack
		name: "Slack's documentation", scheme: "slack", secret: "8f742231b10e8888abcd99yyyzzz85a5", at: 1531420618,
		body: "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar" +
			"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2F" +
			"commands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
		header: map[string]string{
			"X-Slack-Request-Timestamp": "1531420618",
			"X-Slack-Signature":         "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
		},
	},
	{ // github.com/standard-webhooks/standard-webhooks, tests of its libraries
		name: "Standard Webhooks", scheme: "standard", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", at: 1614265330,
		body: `{"test": 2432232314}`, id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
		header: map[string]string{
			"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
			"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		},
	},
	{ // the same, among signatures of other keys and versions
		name: "Standard Webhooks, several signatures", scheme: "standard", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", at: 1614265330,
		body: `{"test": 2432232314}`, id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
		header: map[string]string{
			"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
			"webhook-signature": "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= " +
				"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
		},
	},
	{ // as in Stripe's documentation, which does not tell the secret; signed by another implementation
		name: "Stripe", scheme: "stripe", secret: "whsec_test_secret", at: 1492774577,
		body: `{"id":"evt_1","object":"event"}`,
		header: map[string]string{
			"Stripe-Signature": "t=1492774577,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd," +
				"v1=654b43d3508ecadb3f8cefc4bc7d3d2bdc5ba9e03bf2c89b2d0657a8e24e4543,v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39",
		},
	},
	{ // github.com/stripe/stripe-dotnet, tests of the library
		name: "Stripe's library", scheme: "stripe", secret: "webhook_secret", at: 1533204620, body: stripeEvent,
		header: map[string]string{
			"Stripe-Signature": "t=1533204620,v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7," +
				"v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef",
		},
	},
	{ // signed by another implementation
		name: "Level", scheme: "level", secret: "s3cret ☎", body: `{"event_type":"alert_active"}`,
		header: map[string]string{"X-Level-Signature": "sha256=f087d69473b6fc28e8277b03ab8795094ed34cb55d016e0e15a3a1b551d9bbe7"},
	},
	{
		name: "Level, with the secret before", scheme: "level", secret: "s3cret ☎", body: `{"event_type":"alert_active"}`,
		header: map[string]string{
			"X-Level-Signature":          "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
			"X-Level-Signature-Previous": "sha256=f087d69473b6fc28e8277b03ab8795094ed34cb55d016e0e15a3a1b551d9bbe7",
		},
	},
}

func header(values map[string]string) http.Header {
	h := make(http.Header)
	for name, value := range values {
		h.Set(name, value)
	}
	return h
}

// check checks a request, and returns what was found in its headers.
func check(v *verify.Verifier, h http.Header, now time.Time, body string) (*verify.Head, error) {
	head, err := v.Head(h, now)
	if err != nil {
		return nil, err
	}
	return head, v.Body(head, []byte(body))
}

func newVerifier(t *testing.T, scheme string, secrets ...string) *verify.Verifier {
	t.Helper()
	v, err := verify.New(scheme, secrets, 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestVectors takes what is signed rightly, and nothing else: with one bit changed of the body,
// of a header or of the secret, it is refused.
func TestVectors(t *testing.T) {
	for _, c := range vectors {
		t.Run(c.name, func(t *testing.T) {
			now := time.Unix(c.at, 0)
			v := newVerifier(t, c.scheme, "another", c.secret)
			head, err := check(v, header(c.header), now, c.body)
			if err != nil {
				t.Fatal(err)
			}
			if head.ID != c.id || verify.SignsTime(c.scheme) != (c.at != 0) || verify.SignsTime(c.scheme) && !head.At.Equal(now) {
				t.Errorf("the head is %+v", head)
			}
			refused := func(what string, v *verify.Verifier, h http.Header, body string) {
				t.Helper()
				if _, err := check(v, h, now, body); err == nil {
					t.Errorf("accepted with another %s", what)
				}
			}
			refused("secret", newVerifier(t, c.scheme, "another", c.secret+"BBBB"), header(c.header), c.body)
			for i := range len(c.body) {
				other := []byte(c.body)
				other[i] ^= 1
				refused("body", v, header(c.header), string(other))
			}
			refused("body", v, header(c.header), c.body+" ")
			refused("body", v, header(c.header), "")
			for name := range c.header {
				if c.scheme == "github" && strings.HasPrefix(name, "X-GitHub") || name == "X-Level-Signature" && len(c.header) > 1 {
					continue // not signed
				}
				h := header(c.header)
				h.Del(name)
				refused("missing "+name, v, h, c.body)
				h = header(c.header)
				h.Add(name, h.Get(name))
				refused("second "+name, v, h, c.body)
			}
			for _, off := range []time.Duration{5*time.Minute + time.Second, -5*time.Minute - time.Second} {
				if _, err := check(v, header(c.header), now.Add(off), c.body); verify.SignsTime(c.scheme) != errors.Is(err, verify.ErrStale) {
					t.Errorf("off by %s: %v", off, err)
				}
			}
			for _, off := range []time.Duration{5 * time.Minute, -5 * time.Minute} {
				if _, err := check(v, header(c.header), now.Add(off), c.body); err != nil {
					t.Errorf("off by %s: %v", off, err)
				}
			}
		})
	}
}

// TestOwnSignatures checks what this product signs.
func TestOwnSignatures(t *testing.T) {
	now := time.Unix(1700000000, 0)
	for _, secret := range []string{"plain", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} {
		const body, id = `{"a":1}`, "0198b7f4-7a5c-7000-8000-000000000001"
		level := newVerifier(t, "level", secret)
		if _, err := check(level, header(map[string]string{"X-Level-Signature": delivery.Signature(secret, []byte(body))}), now, body); err != nil {
			t.Errorf("level: %v", err)
		}
		standard := newVerifier(t, "standard", secret)
		if _, err := check(standard, header(map[string]string{
			"webhook-id": id, "webhook-timestamp": "1700000000", "webhook-signature": delivery.StandardSignature(secret, id, now, []byte(body)),
		}), now, body); err != nil {
			t.Errorf("standard: %v", err)
		}
	}
}

// TestRefused refuses headers that no sender makes.
func TestRefused(t *testing.T) {
	sum := strings.Repeat("ab", sha256.Size)
	base64 := strings.Repeat("A", 43) + "="
	now := time.Unix(1700000000, 0)
	for _, c := range []struct {
		scheme string
		header map[string]string
		want   verify.ReasonError
	}{
		{"github", nil, verify.ErrUnsigned},
		{"github", map[string]string{"X-Hub-Signature-256": ""}, verify.ErrUnsigned},
		{"github", map[string]string{"X-Hub-Signature": "sha1=ab"}, verify.ErrUnsigned},
		{"github", map[string]string{"X-Hub-Signature-256": sum}, verify.ErrMalformed},
		{"github", map[string]string{"X-Hub-Signature-256": "sha256=" + sum[2:]}, verify.ErrMalformed},
		{"github", map[string]string{"X-Hub-Signature-256": "sha256=" + sum + "00"}, verify.ErrMalformed},
		{"github", map[string]string{"X-Hub-Signature-256": "sha256=" + sum}, verify.ErrForged},
		{"level", map[string]string{"X-Level-Signature-Previous": "sha256=" + sum}, verify.ErrUnsigned},
		{"level", map[string]string{"X-Level-Signature": "sha256=" + sum, "X-Level-Signature-Previous": "x"}, verify.ErrForged},
		{"level", map[string]string{"X-Level-Signature": "x", "X-Level-Signature-Previous": "x"}, verify.ErrMalformed},
		{"slack", map[string]string{"X-Slack-Signature": "v0=" + sum}, verify.ErrUnsigned},
		{"slack", map[string]string{"X-Slack-Signature": "v1=" + sum, "X-Slack-Request-Timestamp": "1700000000"}, verify.ErrMalformed},
		{"slack", map[string]string{"X-Slack-Signature": "v0=" + sum, "X-Slack-Request-Timestamp": "+1700000000"}, verify.ErrMalformed},
		{"slack", map[string]string{"X-Slack-Signature": "v0=" + sum, "X-Slack-Request-Timestamp": "1700000000.0"}, verify.ErrMalformed},
		{"slack", map[string]string{"X-Slack-Signature": "v0=" + sum, "X-Slack-Request-Timestamp": "-1"}, verify.ErrMalformed},
		{"slack", map[string]string{"X-Slack-Signature": "v0=" + sum, "X-Slack-Request-Timestamp": "99999999999999999999"}, verify.ErrMalformed},
		{"slack", map[string]string{"X-Slack-Signature": "v0=" + sum, "X-Slack-Request-Timestamp": "999999999999"}, verify.ErrStale},
		{"slack", map[string]string{"X-Slack-Signature": "v0=" + sum, "X-Slack-Request-Timestamp": "0"}, verify.ErrStale},
		{"stripe", map[string]string{"Stripe-Signature": "v1=" + sum}, verify.ErrMalformed},
		{"stripe", map[string]string{"Stripe-Signature": "t=1700000000"}, verify.ErrMalformed},
		{"stripe", map[string]string{"Stripe-Signature": "t=1700000000,v0=" + sum}, verify.ErrMalformed},
		{"stripe", map[string]string{"Stripe-Signature": "t=1700000000,t=1700000000,v1=" + sum}, verify.ErrMalformed},
		{"stripe", map[string]string{"Stripe-Signature": "t=1700000000" + strings.Repeat(",v1="+sum, 17)}, verify.ErrMalformed},
		{"stripe", map[string]string{"Stripe-Signature": "t=1700000000" + strings.Repeat(",v1="+sum, 16)}, verify.ErrForged},
		{"standard", map[string]string{"webhook-id": "a", "webhook-timestamp": "1700000000"}, verify.ErrUnsigned},
		{"standard", map[string]string{"webhook-id": "a.b", "webhook-timestamp": "1700000000", "webhook-signature": "v1," + base64}, verify.ErrMalformed},
		{"standard", map[string]string{"webhook-id": "a", "webhook-timestamp": "1700000000", "webhook-signature": "v1a," + base64}, verify.ErrMalformed},
		{"standard", map[string]string{"webhook-id": "a", "webhook-timestamp": "1700000000", "webhook-signature": "v1,x"}, verify.ErrMalformed},
		{"standard", map[string]string{"webhook-id": "a", "webhook-timestamp": "1700000000", "webhook-signature": strings.Repeat("v1,"+base64+" ", 17)}, verify.ErrMalformed},
		{"standard", map[string]string{"webhook-id": "a", "webhook-timestamp": "1700000000", "webhook-signature": "v1," + base64}, verify.ErrForged},
	} {
		if _, err := check(newVerifier(t, c.scheme, "secret"), header(c.header), now, "{}"); !errors.Is(err, c.want) {
			t.Errorf("%s %v: %v, want %v", c.scheme, c.header, err, c.want)
		}
	}
}

// TestMessage tells messages from others by their ids, and by what is signed if they have none:
// whichever signatures they have.
func TestMessage(t *testing.T) {
	v := newVerifier(t, "github", "secret")
	message := func(v *verify.Verifier, values map[string]string, body string) [16]byte {
		t.Helper()
		head, err := v.Head(header(values), time.Unix(1700000000, 0))
		if err != nil {
			t.Fatal(err)
		}
		return v.Message(head, []byte(body))
	}
	hub := func(values ...string) map[string]string {
		all := map[string]string{"X-Hub-Signature-256": "sha256=" + strings.Repeat("ab", sha256.Size)}
		for i, name := range []string{"X-GitHub-Delivery", "X-GitHub-Hook-ID"}[:len(values)] {
			all[name] = values[i]
		}
		return all
	}
	if message(v, hub("a"), "1") != message(v, hub("a"), "2") {
		t.Error("the same id is another message")
	}
	upper := map[string]string{"X-Hub-Signature-256": "sha256=" + strings.Repeat("AB", sha256.Size)}
	if message(v, hub(), "1") != message(v, upper, "1") {
		t.Error("the same signature in capitals is another message")
	}
	seen := make(map[[16]byte]bool)
	for _, m := range [][16]byte{
		message(v, hub("a"), ""), message(v, hub("b"), ""), message(v, hub("a", "1"), ""), message(v, hub("a", "2"), ""),
		message(v, hub(), ""), message(v, hub(), "a"), message(newVerifier(t, "level", "secret"), map[string]string{"X-Level-Signature": hub()["X-Hub-Signature-256"]}, "a"),
	} {
		if seen[m] {
			t.Error("different messages have the same hash")
		}
		seen[m] = true
	}
	stripe := newVerifier(t, "stripe", "secret")
	at := func(seconds string) [16]byte {
		return message(stripe, map[string]string{"Stripe-Signature": "t=" + seconds + ",v1=" + strings.Repeat("ab", sha256.Size)}, "{}")
	}
	if first, again := at("1700000000"), at("1700000000"); first != again || first == at("1700000001") {
		t.Error("messages without an id are told from others by what is signed")
	}
}

// TestGuards has a guard for each secret, which depends on nothing but the secret and what it is
// for, and is no signature of anything.
func TestGuards(t *testing.T) {
	one, two := newVerifier(t, "github", "a", "b"), newVerifier(t, "github", "b")
	if g := one.Guards(""); len(g) != 2 || g[0] == g[1] || g[1] != two.Guards("")[0] || g[1] == two.Guards("x")[0] {
		t.Errorf("the guards are %x", g)
	}
	if newVerifier(t, "level", "b").Guards("")[0] == two.Guards("")[0] {
		t.Error("another scheme has the same guard")
	}
	mac := hmac.New(sha256.New, []byte("b"))
	if string(mac.Sum(nil)[:8]) == string(two.Guards("")[0][:]) {
		t.Error("a guard is the signature of an empty body")
	}
}

func TestSecrets(t *testing.T) {
	for _, c := range []struct{ scheme, secret, want string }{
		{"github", "", "is empty"},
		{"standard", "", "is empty"},
		{"standard", "whsec_", "must be padded base64"},
		{"standard", "whsec_%", "must be padded base64"},
		{"stripe", "whsec_%", ""},
		{"nonsense", "a", `there is no scheme "nonsense"`},
	} {
		_, err := verify.New(c.scheme, []string{c.secret}, time.Minute)
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s %q: %v", c.scheme, c.secret, err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	body := []byte(strings.Repeat("x", 500))
	h := header(map[string]string{"X-Level-Signature": delivery.Signature("secret", body)})
	v, err := verify.New("level", []string{"secret"}, time.Minute)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		head, err := v.Head(h, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		if err := v.Body(head, body); err != nil {
			b.Fatal(err)
		}
		v.Message(head, body)
	}
}
