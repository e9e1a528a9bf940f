package envoy

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// child is one Envoy process.
type child struct {
	cmd   *exec.Cmd
	out   *output
	ended chan struct{} // closed once it has been waited for
	err   error         // set before ended is closed
}

// start starts a child. An error is the operating system's: there is no process.
func (s *Supervisor) start() (*child, error) {
	if err := os.Remove(s.adminFile()); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	c := &child{
		cmd:   exec.Command(s.cfg.Binary.Path, s.args()...), //nolint:noctx // stop does it, gently
		out:   newOutput(s.log),
		ended: make(chan struct{}),
	}
	c.cmd.Env = environment()
	c.cmd.Stdout, c.cmd.Stderr = c.out.accessLog(), c.out.log()
	c.cmd.SysProcAttr = childAttributes()
	c.cmd.WaitDelay = time.Second // its output ends with it
	started := make(chan error)
	go c.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// run is one goroutine on one thread from the child's start to its end: on
// Linux the child is told to die with the thread that started it, and a thread
// that has nothing to do may end at any time.
func (c *child) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := c.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	c.err = c.cmd.Wait()
	c.out.flush()
	close(c.ended)
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// exit says why it ended, in its own last words where it left any.
func (c *child) exit() error {
	how := "envoy ended by itself"
	if c.err != nil {
		how = c.err.Error()
	}
	if words := c.out.lastWords(); words != "" {
		return fmt.Errorf("%s: %s", how, words)
	}
	return fmt.Errorf("%s", how)
}

func (c *child) terminate() { _ = c.cmd.Process.Signal(syscall.SIGTERM) }

// kill ends the child and whatever it may have started.
func (c *child) kill() { _ = syscall.Kill(-c.pid(), syscall.SIGKILL) }

// environment is what Envoy needs of ours. Secrets are passed to weir in its
// environment, and are none of a child's business.
func environment() []string {
	var env []string
	for _, name := range []string{
		"PATH", "HOME", "TMPDIR", "TZ", "LD_LIBRARY_PATH",
		"LOCALDOMAIN", "RES_OPTIONS", // the resolver's
		"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", // the package's start script is Python
	} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}
