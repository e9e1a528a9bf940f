package envoy

import "syscall"

// childAttributes put the child into a process group of its own, so that Ctrl-C
// reaches weir alone, and have the kernel kill it when weir dies.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
