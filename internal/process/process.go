// Package process runs other programs as children, for examples, benchmarks and tests. A
// child's output goes to a file, and the terminal's Ctrl-C does not reach it.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopTimeout is how long a child may take to end after it was asked to.
const stopTimeout = 10 * time.Second

// Process is a running child.
type Process struct {
	// Done is closed when the child has ended.
	Done <-chan struct{}
	// Err is how the child ended. Read it after Done is closed.
	Err error
	// Log is the path of the file that has the child's output.
	Log string

	cmd *exec.Cmd
}

// Start starts a command, whose output goes to the file at the path log. The caller must
// Stop or Kill it.
func Start(cmd *exec.Cmd, log string) (*Process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // the child has the file open itself
	cmd.Stdout, cmd.Stderr = file, file
	// Ctrl-C goes to the whole process group. The child has a group of its own, so that
	// it ends when its parent says so.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	p := &Process{cmd: cmd, Log: log, Done: done}
	go func() {
		defer close(done)
		if p.Err = cmd.Wait(); p.Err == nil {
			p.Err = errors.New("exit status 0")
		}
	}()
	return p, nil
}

// PID is the process id of the child.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends the child a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Stop asks the child to end, and waits until it has. The error says that it had to be
// killed.
func (p *Process) Stop() error {
	_ = p.Signal(syscall.SIGTERM) // fails if the child has ended
	select {
	case <-p.Done:
		return nil
	case <-time.After(stopTimeout):
		p.Kill()
		return fmt.Errorf("%s did not stop within %s", filepath.Base(p.cmd.Path), stopTimeout)
	}
}

// Kill ends the child as a crash would.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails if the child has ended
	<-p.Done
}

// Tail is the end of what the child printed.
func (p *Process) Tail() string {
	const most = 20
	text, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-most):], "\n  ")
}
