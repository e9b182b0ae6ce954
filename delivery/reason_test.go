package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

// TestReasons has errors with what only the operator may know, of which all parts have "hush"
// in them.
func TestReasons(t *testing.T) {
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.UnixAddr{Name: "hush:6379"}, Err: err}
	}
	unreachable := func(err error) error {
		return fmt.Errorf("%w: %w: %w", ErrUnavailable, Reason("Redis cannot be reached"), err)
	}
	const away = "the store is not available: Redis cannot be reached"
	for _, tc := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{errors.New("hush"), ""},
		{fmt.Errorf("hush: %w", ErrFull), "the store is full"},
		{unreachable(dial(os.NewSyscallError("connect", syscall.ECONNREFUSED))), away + ": connection refused"},
		{unreachable(dial(&net.DNSError{Err: "hush", Name: "hush", Server: "hush", IsNotFound: true})), away + ": its name has no address, or cannot be looked up"},
		{unreachable(dial(os.ErrDeadlineExceeded)), away + ": it takes too long"},
		{unreachable(context.DeadlineExceeded), away + ": it takes too long"},
		{unreachable(fmt.Errorf("hush: %w", io.EOF)), away + ": it closed the connection"},
		{unreachable(&tls.CertificateVerificationError{Err: x509.HostnameError{Host: "hush", Certificate: new(x509.Certificate)}}), away + ": its certificate is not trusted"},
		{unreachable(errors.New("hush")), away},
		{fmt.Errorf("%w: hush: %w", ErrUnavailable, &encryption.MissingKeyError{What: "a secret"}), "the store is not available: " + (&encryption.MissingKeyError{What: "a secret"}).Error()},
		{&fs.PathError{Op: "open", Path: "/hush", Err: syscall.EACCES}, "permission denied"},
		{fmt.Errorf("%w: %w", ErrFull, &fs.PathError{Op: "write", Path: "/hush", Err: syscall.ENOSPC}), "the store is full: no space left on device"},
		{errors.Join(errors.New("hush"), ErrUnavailable, fmt.Errorf("hush: %w", ErrUnavailable)), "the store is not available"},
		{fmt.Errorf("%w %w", fmt.Errorf("%w: %w: hush", Reason("partition 1 of 2"), ErrUnavailable), Reason("(1 other)")), "partition 1 of 2: the store is not available (1 other)"},
	} {
		if got := Reasons(tc.err); got != tc.want || strings.Contains(got, "hush") {
			t.Errorf("%v: got %q, not %q", tc.err, got, tc.want)
		}
	}
}
