//go:build unix && !linux

package envoy

import "syscall"

// childAttributes put the child into a process group of its own, so that Ctrl-C
// reaches weir alone. Here nothing ends the child when weir is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
