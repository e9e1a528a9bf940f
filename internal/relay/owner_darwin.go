package relay

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// sameUser says whether the far end of a connection is a process of this one's
// user (LOCAL_PEERCRED, unix(4)).
func sameUser(c *net.UnixConn) (bool, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false, err
	}
	var cred *unix.Xucred
	var failed error
	if err := raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED) }); err != nil {
		return false, err
	}
	if failed != nil {
		return false, failed
	}
	return int(cred.Uid) == os.Geteuid(), nil
}
