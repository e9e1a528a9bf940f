package envoy

import "syscall"

// raiseFileLimit lets children have as many open files as this process may
// have: a session takes Envoy two. Go raises the limit for itself but gives its
// children the old one, 1,024 mostly, unless it was set by hand.
func raiseFileLimit() {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) == nil {
		l.Cur = l.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
	}
}
