package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// confined marks a process that has been confined already.
const confined = "WEIR_ENGINE_CONFINED"

// What the engine reads beside its data: libraries, what the machine has, and
// which time it is. Keys and other people's files are not among it.
var readable = []string{
	"/usr", "/lib", "/lib64", "/bin", "/sbin", "/sys", "/dev",
	"/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf",
	"/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/loadavg", "/proc/uptime", "/proc/sys",
}

const (
	reading = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	// changing has REFER: without it nothing could be renamed into another folder.
	changing = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_SYM |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_REFER
	onFiles = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE
)

// confine takes from this process all files but the engine and its data (the
// working folder), and starts it again: `clickhouse local`, which the engine is,
// has SQL functions that read any file and ask no privilege for it. It returns
// nil where that has been done before, and an error where the system cannot.
func confine(engine string) error {
	if os.Getenv(confined) != "" {
		return nil
	}
	if abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION); errno != 0 || abi < 2 {
		return errors.New("this system has no Landlock (Linux 5.19 or newer)")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	if engine, err = filepath.EvalSymlinks(engine); err != nil {
		return err
	}
	// The rules are of this thread, and go on with the program that it becomes.
	runtime.LockOSThread()
	if err := restrict(dir, append([]string{self, engine, filepath.Dir(engine)}, readable...)); err != nil {
		return err
	}
	return unix.Exec(self, os.Args, append(os.Environ(), confined+"=1"))
}

func restrict(dir string, readable []string) error {
	rules := unix.LandlockRulesetAttr{Handled_access_fs: reading | changing}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules.Handled_access_fs), 0)
	if errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	defer func() { _ = unix.Close(int(fd)) }()
	if err := allow(int(fd), dir, reading|changing); err != nil {
		return err
	}
	if err := allow(int(fd), "/dev", reading|unix.LANDLOCK_ACCESS_FS_WRITE_FILE); err != nil {
		return err
	}
	for _, path := range readable {
		if err := allow(int(fd), path, reading); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	return nil
}

func allow(rules int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer func() { _ = unix.Close(fd) }()
	var about unix.Stat_t
	if err := unix.Fstat(fd, &about); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if about.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= onFiles
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)} //nolint:gosec // a descriptor is small
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %s: %w", path, errno)
	}
	return nil
}
