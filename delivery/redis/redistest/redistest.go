// Package redistest runs Redis servers for tests and examples: each is a process
// of its own, on a free port, with a folder of its own.
package redistest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BinaryEnv names the environment variable with the path of the redis-server to
// run; without it, the one on the PATH is run.
const BinaryEnv = "WEBHOOKS_REDIS_SERVER"

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 30 * time.Second
	pollEvery    = 5 * time.Millisecond
	maxStarts    = 5
)

// Server is a running Redis. Its methods are for one goroutine at a time.
type Server struct {
	// Addr is its host:port; a restart keeps it.
	Addr string
	// Dir is where it keeps its files.
	Dir string

	binary string
	config string // the path of a configuration file, or ""
	args   []string
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
	output output
}

// Start starts a server that ends with the test or benchmark. It fails the test
// when there is none to start. The arguments are redis-server's, such as
// "--maxmemory", "10mb".
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
// it answers. Who starts it must stop or kill it.
func StartServer(dir string, args ...string) (*Server, error) {
	s, err := newServer(dir, args...)
	if err != nil {
		return nil, err
	}
	return s, s.startAnywhere()
}

func newServer(dir string, args ...string) (*Server, error) {
	binary, err := findBinary()
	return &Server{Dir: dir, binary: binary, args: args}, err
}

// startAnywhere starts the server on a free port. Somebody may take that before
// Redis does.
func (s *Server) startAnywhere() (err error) {
	for range maxStarts {
		if s.Addr, err = freeAddr(); err != nil {
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

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
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
	s.output.reset()
	s.cmd = exec.Command(s.binary, args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	// A terminal's Ctrl-C is for who started the server, not for the server.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start Redis: %w", err)
	}
	exited := make(chan struct{})
	s.exited = exited
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait() // that it was killed is no news
		close(exited)
	}(s.cmd)
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
		case <-s.exited:
			return fmt.Errorf("redis-server ended at its start: %s", s.output.text())
		default:
		}
		if s.answers() {
			return nil
		}
		time.Sleep(pollEvery)
	}
	return fmt.Errorf("redis-server did not answer within %s: %s", startTimeout, s.output.text())
}

// answers says whether the server takes commands and is this process, not one
// that took the port before it.
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
	want := "process_id:" + strconv.Itoa(s.cmd.Process.Pid)
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
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill() // it may have ended already
	<-s.exited
}

// Stop ends the server as its administrator would.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(stopTimeout):
		s.Kill()
		return fmt.Errorf("redis-server did not stop within %s", stopTimeout)
	}
}

// Freeze stops the server's process without ending it, as a machine that hangs
// would; Thaw lets it go on.
func (s *Server) Freeze() error { return s.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() error { return s.cmd.Process.Signal(syscall.SIGCONT) }

// output keeps what the server says, for errors.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const maxOutput = 64 << 10

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buf.Len() < maxOutput {
		o.buf.Write(b)
	}
	return len(b), nil
}

func (o *output) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Reset()
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(o.buf.String())
}
