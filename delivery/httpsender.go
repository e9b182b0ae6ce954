package delivery

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"
)

const (
	maxResponseHeader = 64 << 10
	idleConnTimeout   = 90 * time.Second
	// A timeout closes a connection of HTTP/1, but one of HTTP/2 is shared and
	// goes on: that it is dead must be found out by pings.
	pingAfter   = 15 * time.Second
	pingTimeout = 5 * time.Second
)

// errStatus is what net/http lets through: a status below 100, which is none.
var errStatus = errors.New("malformed HTTP status code")

// httpSender is a Sender on net/http's Transport, which follows no redirect,
// skips 1xx answers, and sends a second time only when nothing of the first try
// was written.
type httpSender struct {
	destinations Destinations
	transport    *http.Transport
	connections  connections
}

// newHTTPSender makes a Sender that goes only where the settings let it.
func newHTTPSender(s *Settings) *httpSender {
	h := &httpSender{destinations: s.Destinations, connections: connections{open: make(map[*connection]bool)}}
	// A dial goes on when its request has timed out, for another to use: the
	// timeouts here end it.
	dialer := &net.Dialer{Timeout: s.Timeout, KeepAlive: 30 * time.Second}
	if s.Destinations.Proxy == nil {
		// The address that is really dialled, after DNS, each time.
		dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return h.destinations.CheckAddr(ap.Addr())
		}
	}
	h.transport = &http.Transport{
		DialContext:            h.connections.dialer(dialer.DialContext),
		TLSClientConfig:        &tls.Config{RootCAs: s.Destinations.TrustedCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    s.Timeout,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		DisableCompression:     true, // the log keeps what was sent, as it was sent
		MaxResponseHeaderBytes: maxResponseHeader,
		MaxIdleConns:           s.Concurrency,
		MaxIdleConnsPerHost:    s.ConcurrencyPerWebhook,
		IdleConnTimeout:        idleConnTimeout,
	}
	if proxy := s.Destinations.Proxy; proxy != nil {
		h.transport.Proxy = http.ProxyURL(proxy)
		h.transport.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
			if answer.StatusCode != http.StatusOK {
				return &proxyAnswerError{answer.StatusCode}
			}
			return nil
		}
	}
	return h
}

func (h *httpSender) Close() {
	h.transport.CloseIdleConnections()
	h.connections.close()
}

func (h *httpSender) Send(ctx context.Context, m Message) Response {
	h.connections.begin()
	defer h.connections.end()
	ctx, cancel := context.WithTimeout(ctx, m.Timeout)
	defer cancel()
	u, err := url.Parse(m.URL)
	if err != nil {
		return Response{Failure: "the webhook's URL is not one"}
	}
	if u.Scheme != "https" && !h.destinations.AllowHTTP {
		return Response{Failure: "the configuration no longer allows http URLs"}
	}
	if h.destinations.Proxy != nil {
		// The proxy makes the connection, out of the dialer's sight.
		if err := h.checkResolved(ctx, u.Hostname()); err != nil {
			return failure(err, u, m.Timeout, connecting)
		}
	}
	var at progress
	req := &http.Request{
		Method:        http.MethodPost,
		URL:           u,
		Host:          u.Host,
		Header:        m.Header,
		Body:          io.NopCloser(bytes.NewReader(m.Body)),
		ContentLength: int64(len(m.Body)),
		GetBody: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(m.Body)), nil
		},
	}
	resp, err := h.transport.RoundTrip(req.WithContext(at.watch(ctx)))
	if err != nil {
		return failure(err, u, m.Timeout, at.phase())
	}
	defer resp.Body.Close()
	if resp.StatusCode < 100 { // net/http takes any three digits
		return failure(errStatus, u, m.Timeout, waiting)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// No response but a connection, which no timeout ends.
		return Response{StatusCode: resp.StatusCode}
	}

	kept, truncated, err := readResponse(resp.Body, m.MaxResponse)
	var r Response
	if err != nil {
		r = failure(err, u, m.Timeout, reading)
	}
	r.StatusCode = resp.StatusCode
	r.Body, r.Truncated = responseText(kept, m.MaxResponse, truncated)
	return r
}

// progress follows a request. The dial may outlive it, hence the atomics.
type progress struct{ handshake, connected atomic.Bool }

func (p *progress) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeStart: func() { p.handshake.Store(true) },
		GotConn:           func(httptrace.GotConnInfo) { p.connected.Store(true) },
	})
}

func (p *progress) phase() phase {
	switch {
	case p.connected.Load():
		return waiting
	case p.handshake.Load():
		return shakingHands
	default:
		return connecting
	}
}

// checkResolved checks every address that a host has.
func (h *httpSender) checkResolved(ctx context.Context, host string) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		return h.destinations.CheckAddr(addr)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return err
	}
	for _, addr := range addrs {
		if err := h.destinations.CheckAddr(addr); err != nil {
			return err
		}
	}
	return nil
}

// readResponse reads to the end, since only a whole response is a success, and
// keeps the first limit bytes.
func readResponse(body io.Reader, limit int) (kept []byte, truncated bool, err error) {
	kept, err = io.ReadAll(io.LimitReader(body, int64(limit)))
	if err != nil {
		return kept, false, err
	}
	rest, err := io.Copy(io.Discard, body)
	return kept, rest > 0, err
}

// responseText makes text of at most limit bytes of what came. What is not UTF-8
// becomes U+FFFD, and no character is cut.
func responseText(b []byte, limit int, truncated bool) (string, bool) {
	if truncated {
		b = trimPartialRune(b)
	}
	text := strings.ToValidUTF8(string(b), string(utf8.RuneError))
	if len(text) <= limit {
		return text, truncated
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut], true
}

// trimPartialRune takes off the beginning of a character that was cut.
func trimPartialRune(b []byte) []byte {
	for i := len(b) - 1; i >= max(0, len(b)-utf8.UTFMax); i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return b[:i]
			}
			break
		}
	}
	return b
}
