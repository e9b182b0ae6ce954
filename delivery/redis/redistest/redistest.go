// Package redistest runs Redis servers for tests and examples. Each is a separate process
// on a free port, with its own folder.
package redistest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

// BinaryEnv names the environment variable with the path of the redis-server to
// run; without it, the one on the PATH is run.
const BinaryEnv = "WEBHOOKS_REDIS_SERVER"

const (
	startTimeout = time.Minute
	pollEvery    = 5 * time.Millisecond
	maxStarts    = 5
)

// Server is a running Redis. Its methods are for one goroutine at a time.
type Server struct {
	// Addr is its host:port, which stays the same over a restart.
	Addr string
	// Dir is where it keeps its files.
	Dir string

	binary string
	config string // the path of a configuration file, or ""
	args   []string
	env    []string // in addition to this process's
	child  *process.Process
}

// Start starts a server that ends with the test or benchmark. It fails the test if there is
// no redis-server. The arguments are for redis-server, such as "--maxmemory", "10mb".
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s, err := StartServer(t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// StartServer starts a server that keeps its files in the folder, and waits until
// it answers. The caller must stop or kill it.
func StartServer(dir string, args ...string) (*Server, error) {
	s, err := newServer(dir, args...)
	if err != nil {
		return nil, err
	}
	if err := s.startAnywhere(); err != nil {
		return nil, err
	}
	return s, nil
}

func newServer(dir string, args ...string) (*Server, error) {
	binary, err := findBinary()
	return &Server{Dir: dir, binary: binary, args: args}, err
}

// startAnywhere starts the server on a free port. It tries again if another process takes
// that port first.
func (s *Server) startAnywhere() (err error) {
	for range maxStarts {
		if s.Addr, err = process.FreeAddress(); err != nil {
			return err
		}
		if err = s.Restart(); err == nil {
			return nil
		}
	}
	return err
}

func findBinary() (string, error) {
	if path := os.Getenv(BinaryEnv); path != "" {
		return path, nil
	}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", fmt.Errorf("there is no redis-server on the PATH; install Redis 7.0 or newer, or set %s to its path", BinaryEnv)
	}
	return path, nil
}

// Restart starts the server again, at the same address and with the same files,
// after Stop or Kill.
func (s *Server) Restart() error {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return err
	}
	var args []string
	if s.config != "" {
		args = append(args, s.config)
	}
	args = append(args, "--bind", host, "--port", port, "--dir", s.Dir, "--save", "", "--daemonize", "no")
	args = append(args, s.args...)
	command := exec.Command(s.binary, args...)
	command.Env = append(os.Environ(), s.env...)
	if s.child, err = process.Start(command, filepath.Join(s.Dir, "redis.log")); err != nil {
		return fmt.Errorf("start Redis: %w", err)
	}
	if err := s.await(); err != nil {
		s.Kill()
		return err
	}
	return nil
}

// await waits until the server answers.
func (s *Server) await() error {
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); {
		select {
		case <-s.child.Done:
			return fmt.Errorf("redis-server ended at its start: %s", s.child.Tail())
		default:
		}
		if s.answers() {
			return nil
		}
		time.Sleep(pollEvery)
	}
	return fmt.Errorf("redis-server did not answer within %s: %s", startTimeout, s.child.Tail())
}

// answers reports whether the server answers, and is this process rather than another one
// that took the port.
func (s *Server) answers() bool {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("INFO server\r\n")); err != nil {
		return false
	}
	lines := bufio.NewScanner(conn)
	want := "process_id:" + strconv.Itoa(s.child.PID())
	for lines.Scan() {
		switch line := strings.TrimSpace(lines.Text()); {
		case line == want, strings.HasPrefix(line, "-NOAUTH"):
			return true
		case strings.HasPrefix(line, "-"):
			return false
		}
	}
	return false
}

// Kill ends the server at once, as a crash would.
func (s *Server) Kill() { s.child.Kill() }

// Stop ends the server as an administrator would. It returns an error if it had to kill the
// server.
func (s *Server) Stop() error { return s.child.Stop() }

// Freeze stops the server's process without ending it, like a machine that hangs. Thaw
// resumes it.
func (s *Server) Freeze() error { return s.child.Signal(syscall.SIGSTOP) }

// Thaw resumes a frozen server.
func (s *Server) Thaw() error { return s.child.Signal(syscall.SIGCONT) }
