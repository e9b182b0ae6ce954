package sender

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A machine without certificates of authorities, such as a small container, is told
// from an endpoint that nobody vouches for. A process reads the system's once.
func TestNoAuthorities(t *testing.T) {
	const inside = "WEBHOOKS_TEST_NO_AUTHORITIES"
	if os.Getenv(inside) == "" {
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoAuthorities$")
		again.Env = append(os.Environ(), inside+"=1", "SSL_CERT_FILE="+filepath.Join(t.TempDir(), "none"), "SSL_CERT_DIR="+t.TempDir())
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	ca := newAuthority(t)
	server := serveTLS(t, ca.issue(), func(http.ResponseWriter, *http.Request) {})
	newSender(t).Send(t.Context(), message(server.URL)).want(t, Response{
		Failure: "this server has no certificates of authorities to trust: install the package ca-certificates, or set trusted_ca",
	})
	newSender(t, trusting(ca)).Send(t.Context(), message(server.URL)).want(t, Response{StatusCode: 200})
}
