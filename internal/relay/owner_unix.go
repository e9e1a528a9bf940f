//go:build linux || darwin

package relay

import (
	"net"
	"os"
)

// sameUser says whether the far end of a connection is a process of this one's
// user.
func sameUser(c *net.UnixConn) (bool, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false, err
	}
	var uid uint32
	var failed error
	if err := raw.Control(func(fd uintptr) { uid, failed = peerUser(int(fd)) }); err != nil {
		return false, err
	}
	if failed != nil {
		return false, failed
	}
	return int(uid) == os.Geteuid(), nil
}
