package sender

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// checkSentence holds what is true of every failure.
func checkSentence(t interface{ Errorf(string, ...any) }, r Response) {
	switch {
	case r.Failure == "":
		t.Errorf("no sentence for %v", r.Cause)
	case len(r.Failure) > maxFailure:
		t.Errorf("a sentence of %d bytes: %s", len(r.Failure), r.Failure)
	case !utf8.ValidString(r.Failure), strings.ContainsFunc(r.Failure, func(r rune) bool { return !unicode.IsPrint(r) }):
		t.Errorf("not text: %q", r.Failure)
	}
}

// anything is what others may write into an error, of any length.
var anything = rapid.Custom(func(t *rapid.T) string {
	piece := rapid.OneOf(
		rapid.String(), rapid.StringOfN(rapid.RuneFrom(nil, unicode.Cc, unicode.Cf, unicode.Zl), 1, 9, -1),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 9), func(b []byte) string { return string(b) }),
		rapid.StringMatching(`([a-z0-9_-]{1,63}\.){1,9}`), rapid.StringMatching(`\*\.[a-z]{90,110}`),
	)
	return strings.Repeat(piece.Draw(t, "piece"), rapid.SampledFrom([]int{1, 1, 1, 10, 1000}).Draw(t, "times"))
})

var anyCertificate = rapid.Custom(func(t *rapid.T) *x509.Certificate {
	return &x509.Certificate{
		DNSNames:    rapid.SliceOfN(anything, 0, 50).Draw(t, "DNSNames"),
		IPAddresses: rapid.SliceOfN(rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 17), func(b []byte) net.IP { return b }), 0, 9).Draw(t, "IPAddresses"),
		Raw:         rapid.SliceOfN(rapid.Byte(), 0, 2).Draw(t, "Raw"),
		RawSubject:  rapid.SliceOfN(rapid.Byte(), 0, 1).Draw(t, "RawSubject"),
		RawIssuer:   rapid.SliceOfN(rapid.Byte(), 0, 1).Draw(t, "RawIssuer"),
		NotBefore:   time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "NotBefore"), 0),
	}
})

// causes are errors of all kinds that are explained, with something written into them.
func causes(t *rapid.T) []error {
	said, cert := anything.Draw(t, "text"), anyCertificate.Draw(t, "certificate")
	verification := func(err error) error {
		return &tls.CertificateVerificationError{Err: err, UnverifiedCertificates: []*x509.Certificate{anyCertificate.Draw(t, "leaf")}}
	}
	all := []error{
		errors.New(said), errors.New("tls: " + said), errors.New("malformed HTTP response " + said),
		io.EOF, io.ErrUnexpectedEOF, context.DeadlineExceeded, os.ErrDeadlineExceeded, errLongHeader, errStatus,
		&longBodyError{rapid.Int().Draw(t, "limit")}, &proxyStatusError{rapid.Int().Draw(t, "status")},
		&RefusedError{Rule: said, Addr: netip.IPv6LinkLocalAllNodes().WithZone(said)},
		&net.DNSError{Err: said, Name: said, IsNotFound: rapid.Bool().Draw(t, "IsNotFound")}, &net.DNSError{Err: "server misbehaving"},
		&slowLookupError{err: &net.DNSError{Err: said, Name: said, UnwrapErr: context.DeadlineExceeded}},
		tls.RecordHeaderError{Msg: said},
		x509.SystemRootsError{Err: errors.New(said)},
		verification(x509.HostnameError{Certificate: cert, Host: said}), verification(x509.UnknownAuthorityError{Cert: cert}),
		verification(x509.CertificateInvalidError{Cert: cert, Reason: x509.InvalidReason(rapid.IntRange(0, 10).Draw(t, "reason")), Detail: said}),
	}
	for _, op := range []string{"dial", "read", "remote error", "proxyconnect", "socks connect"} {
		errno := syscall.Errno(rapid.IntRange(1, 133).Draw(t, "errno"))
		all = append(all, errno, &net.OpError{Op: op, Err: errno, Addr: &net.UnixAddr{Name: said}}, &net.OpError{Op: op, Err: errors.New(said)})
	}
	return all
}

// Whatever goes wrong, and whatever others have written into it, is one sentence.
func TestEveryFailureIsASentence(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		req := &request{Message: Message{
			Target:  &Target{url: &url.URL{Host: anything.Draw(t, "host")}},
			Timeout: time.Duration(rapid.Int64().Draw(t, "timeout")),
		}}
		for _, err := range causes(t) {
			if rapid.Bool().Draw(t, "TLS") {
				err = &tlsError{err: err, ownCAs: rapid.Bool().Draw(t, "ownCAs"), clientCertWanted: rapid.Bool().Draw(t, "clientCertWanted")}
			}
			for _, at := range []phase{connecting, waiting, reading} {
				checkSentence(t, req.fail(context.Background(), err, at))
			}
		}
	})
}

// A certificate may be full of names that are meant for whoever reads the log.
func TestLongCertificates(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	const label = "a-name-of-fifty-characters-that-are-all-allowed-in-it"
	for name, names := range map[string][]string{
		"80 KB of names":     manyNames(1500, "%d."+label+".example"),
		"long names":         manyNames(300, strings.Repeat(label+".", 4)+"n%d.example"),
		"text, not names":    manyNames(20, "call 555-%d now\n\x1b[31m"+strings.Repeat("!", 4000)),
		"wildcards and text": append(manyNames(2, "*.%d.example"), "<script>alert(1)</script>"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serveTLS(t, ca.issue(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = names, nil }), func(http.ResponseWriter, *http.Request) {})
			r := newSender(t, trusting(ca)).Send(t.Context(), message(server.URL))
			checkSentence(t, r)
			if !strings.HasPrefix(r.Failure, "the TLS certificate is for ") || strings.ContainsAny(r.Failure, "!<>\uFFFD") {
				t.Errorf("got %q", r.Failure)
			}
		})
	}
}

func manyNames(n int, format string) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf(format, i))
	}
	return names
}
