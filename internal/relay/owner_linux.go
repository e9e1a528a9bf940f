package relay

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// sameUser says whether the far end of a connection is a process of this one's
// user (SO_PEERCRED, unix(7)).
func sameUser(c *net.UnixConn) (bool, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false, err
	}
	var cred *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return false, err
	}
	if failed != nil {
		return false, failed
	}
	return int(cred.Uid) == os.Geteuid(), nil
}
