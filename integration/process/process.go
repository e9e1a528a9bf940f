// Package process runs the programs beside the tests and the demo so that none
// outlives them: a child is told to end when its parent dies, however the
// parent dies (on Linux; elsewhere only Stop ends it).
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Command is a program to start.
type Command struct {
	Path   string
	Args   []string // without the program's name
	Env    []string // nil: the parent's
	Dir    string
	Stdin  *os.File // nil: empty
	Output *os.File // stdout and stderr; nil: thrown away

	User        *User          // nil: the parent's
	DeathSignal syscall.Signal // when the parent dies; zero is SIGKILL
}

// User is who the program runs as, if not as the parent. Only root may ask.
type User struct{ UID, GID uint32 }

// Process is a program that was started.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait, once done is closed
}

// Start starts the program in a process group of its own, so that Ctrl-C in a
// terminal reaches the parent alone.
func Start(c Command) (*Process, error) {
	cmd := exec.CommandContext(context.Background(), c.Path, c.Args...) // it ends by Stop
	cmd.Env, cmd.Dir = c.Env, c.Dir
	if c.Stdin != nil {
		cmd.Stdin = c.Stdin
	}
	if c.Output != nil {
		cmd.Stdout, cmd.Stderr = c.Output, c.Output
	}
	if c.DeathSignal == 0 {
		c.DeathSignal = syscall.SIGKILL
	}
	cmd.SysProcAttr = attributes(c)
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal is sent when the thread that started the child ends,
		// so this thread must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(c.Path), err)
	}
	return p, nil
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err tells how the program ended; nil is exit code 0. Only after Done.
func (p *Process) Err() error { return p.err }

// Signal sends a signal; a program that has ended is no error.
func (p *Process) Signal(signal syscall.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Stop sends the signal, waits for the program to end, and kills it after the
// grace. It says so if it had to.
func (p *Process) Stop(signal syscall.Signal, grace time.Duration) error {
	if err := p.Signal(signal); err != nil {
		return err
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return fmt.Errorf("%s did not end within %s of %s and was killed", filepath.Base(p.cmd.Path), grace, signal)
}
