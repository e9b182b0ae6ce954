package delivery

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestCheckHeader(t *testing.T) {
	t.Parallel()
	s := DefaultSettings()
	for _, name := range []string{"X-Site", "x", "Accept", "Cookie", "X-Level-Signatures", "X_Y", "Webhook", "Contents"} {
		if err := s.CheckHeaderName(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{
		"", " ", "X Y", "X:", "X\n", "für", "Host", "host", "HOST", "Content-Type", "content-length", "Content-", "User-Agent",
		"Connection", "Keep-Alive", "Proxy-Authorization", "proxy-x", "TE", "Trailer", "Upgrade", "Transfer-Encoding", "Expect", "HTTP2-Settings",
		"Authorization", "X-Level-Signature", "x-level-signature", "X-Level-Signature-Previous", "webhook-id", "Webhook-Anything",
	} {
		if err := s.CheckHeaderName(name); err == nil {
			t.Errorf("%q is allowed", name)
		}
	}
	for _, value := range []string{"", "a", "a b", "ü", strings.Repeat("x", 4000)} {
		if err := CheckHeaderValue(value); err != nil {
			t.Errorf("%q: %v", value, err)
		}
	}
	for _, value := range []string{"\x00", "a\r\nb", "a\tb", "\x7f", " a", "a ", "\n"} {
		if err := CheckHeaderValue(value); err == nil {
			t.Errorf("%q is allowed", value)
		}
	}
}

// TestHeaderThatIsNoLongerAllowed gives the signature the name of a header that a webhook has.
func TestHeaderThatIsNoLongerAllowed(t *testing.T) {
	t.Parallel()
	s := DefaultSettings()
	w := &Webhook{URL: "https://a.example", Secret: "s", Headers: map[string]string{"X-SITE": "a", "x-site-previous": "b", "X-Other": "c"}}
	if got := s.sentHeaders(w); len(got) != 3 {
		t.Errorf("sent are %v", got)
	}
	s.SignatureHeader = "X-Site"
	if got := slices.Collect(maps.Keys(s.sentHeaders(w))); !slices.Equal(got, []string{"X-Other"}) || len(w.Headers) != 3 {
		t.Errorf("sent are %v of %v", got, w.Headers)
	}
}

func TestCheckWebhook(t *testing.T) {
	t.Parallel()
	many := make(map[string]string)
	for i := range MaxTexts {
		many["X-"+strconv.Itoa(i)] = ""
	}
	more := maps.Clone(many)
	more["X"] = ""
	long := map[string]string{"X-": strings.Repeat("x", MaxTextsSize-2)}
	longer := map[string]string{"X-": strings.Repeat("x", MaxTextsSize-1)}
	for _, tc := range []struct {
		w    Webhook
		want string
	}{
		{Webhook{}, ""},
		{Webhook{Headers: many, Metadata: many}, ""},
		{Webhook{Headers: long, Metadata: long}, ""},
		{Webhook{Metadata: map[string]string{"a": "", "A": ""}}, ""},
		{Webhook{Headers: more}, "headers"},
		{Webhook{Metadata: more}, "metadata"},
		{Webhook{Headers: longer}, "headers"},
		{Webhook{Metadata: longer}, "metadata"},
		{Webhook{Headers: map[string]string{"X-A": "", "x-a": ""}}, "headers"},
		{Webhook{Headers: map[string]string{"X-A": ""}, Authorization: &Authorization{Type: HeaderAuthorization, Name: "x-a"}}, "authorization"},
	} {
		err := tc.w.Check()
		invalid, _ := errors.AsType[*InvalidWebhookError](err)
		if err != nil && invalid.Member != tc.want || (err == nil) != (tc.want == "") {
			t.Errorf("%v, want one about %q", err, tc.want)
		}
	}
}
