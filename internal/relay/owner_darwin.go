package relay

import "golang.org/x/sys/unix"

// peerUser is the user of the far end of a socket (LOCAL_PEERCRED, unix(4)).
func peerUser(fd int) (uint32, error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, err
	}
	return cred.Uid, nil
}
