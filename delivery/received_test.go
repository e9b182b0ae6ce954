package delivery

import (
	"bufio"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// An endpoint receives what the contract says, and nothing else.
func TestWhatAnEndpointReceives(t *testing.T) {
	ev := &Event{ID: uuid.MustParse("0197f3a1-89ab-7cde-8f01-23456789abcd"), Payload: []byte(`{"event_type":"a","data":{}}`)}
	at := time.Unix(1614265330, 0)
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	signature := "X-Level-Signature: " + Signature(secret, ev.Payload)
	always := []string{"Content-Length: 28", "Content-Type: application/json", "User-Agent: Caddy-Webhooks"}
	standard := []string{"Webhook-Id: 0197f3a1-89ab-7cde-8f01-23456789abcd", "Webhook-Timestamp: 1614265330"}
	for _, tc := range []struct {
		name   string
		change func(*Settings)
		secret string
		before string // the previous secret
		want   []string
	}{
		{"without a secret", func(*Settings) {}, "", "", nil},
		{"with a secret", func(*Settings) {}, secret, "", []string{signature}},
		{
			"with a header of another name", func(s *Settings) { s.SignatureHeader = "x-hub-signature-256" }, secret, "",
			[]string{"X-Hub-Signature-256: " + Signature(secret, ev.Payload)},
		},
		{"standard, without a secret", func(s *Settings) { s.StandardWebhooks = true }, "", "", standard},
		{
			"standard, with a secret", func(s *Settings) { s.StandardWebhooks = true }, secret, "",
			append([]string{signature, "Webhook-Signature: " + StandardSignature(secret, ev.ID.String(), at, ev.Payload)}, standard...),
		},
		{
			"with a previous secret", func(s *Settings) { s.SignatureHeader = "x-sig" }, secret, "old",
			[]string{"X-Sig: " + Signature(secret, ev.Payload), "X-Sig-Previous: " + Signature("old", ev.Payload)},
		},
		{
			"standard, with a previous secret", func(s *Settings) { s.StandardWebhooks = true }, secret, "old",
			append([]string{
				signature, "X-Level-Signature-Previous: " + Signature("old", ev.Payload),
				"Webhook-Signature: " + StandardSignature(secret, ev.ID.String(), at, ev.Payload) + " " + StandardSignature("old", ev.ID.String(), at, ev.Payload),
			}, standard...),
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			settings := DefaultSettings()
			tc.change(&settings)
			to := func(url string) sender.Message {
				w := &Webhook{URL: url, Secret: tc.secret, PreviousSecret: tc.before, PreviousSecretUntil: at.Add(1)}
				return prepare(&settings, w, at).message(&settings, ev, at)
			}
			want := append(slices.Clone(always), tc.want...)

			t.Run("HTTP/1.1", func(t *testing.T) { wantSentOverHTTP1(t, to, want) })
			t.Run("HTTP/2", func(t *testing.T) { wantSentOverHTTP2(t, to, want) })
		})
	}
}

// wantSentOverHTTP1 sends the message, and checks the request on the wire. Its headers
// are those in want, and Host.
func wantSentOverHTTP1(t *testing.T, to func(url string) sender.Message, want []string) {
	host, received := receiveLines(t, len(to("").Body))
	m := to("http://" + host + "/hooks?tenant=1")
	sendLocally(t, m, nil)
	got := <-received
	body, line, lines := got[len(got)-1], got[0], got[1:len(got)-1]
	if line != "POST /hooks?tenant=1 HTTP/1.1" || body != string(m.Body) {
		t.Errorf("received %q with the body %q", line, body)
	}
	wantSorted(t, lines, append(slices.Clone(want), "Host: "+host))
}

// wantSentOverHTTP2 sends the message, and checks what an HTTP/2 server receives. The
// headers are those in want.
func wantSentOverHTTP2(t *testing.T, to func(url string) sender.Message, want []string) {
	received := make(chan []string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		lines := []string{r.Method + " " + r.RequestURI + " " + r.Proto, string(body)}
		for name, values := range r.Header {
			for _, value := range values {
				lines = append(lines, name+": "+value)
			}
		}
		received <- lines
		w.WriteHeader(http.StatusNoContent)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	m := to(server.URL + "/hooks?tenant=1")
	sendLocally(t, m, server.Certificate())
	got := <-received
	if got[0] != "POST /hooks?tenant=1 HTTP/2.0" || got[1] != string(m.Body) {
		t.Errorf("received %q", got[:2])
	}
	wantSorted(t, got[2:], want)
}

// sendLocally sends a message to a server on loopback. A certificate, if there is one,
// is trusted.
func sendLocally(t *testing.T, m sender.Message, trusted *x509.Certificate) {
	t.Helper()
	c := sender.Config{Destinations: sender.Destinations{AllowHTTP: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	if trusted != nil {
		c.Destinations.TrustedCAs = x509.NewCertPool()
		c.Destinations.TrustedCAs.AddCert(trusted)
	}
	s := sender.New(&c)
	defer s.Close()
	if r := s.Send(t.Context(), m); r.Failure != "" || r.StatusCode != http.StatusNoContent {
		t.Errorf("the response is %+v", r)
	}
}

func wantSorted(t *testing.T, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// receiveLines starts a server that receives one request as it is on the wire: the
// request line, the header lines, and at last the body, whose length is known.
func receiveLines(t *testing.T, length int) (host string, received chan []string) {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	received = make(chan []string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		received <- readLines(bufio.NewReader(conn), length)
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
	}()
	return listener.Addr().String(), received
}

func readLines(r *bufio.Reader, length int) (lines []string) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return append(lines, err.Error())
		}
		if line == "\r\n" {
			break
		}
		lines = append(lines, strings.TrimSuffix(line, "\r\n"))
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return append(lines, err.Error())
	}
	return append(lines, string(body))
}
