package postgres

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/weir-gateway/weir/integration/process"
)

// nobody owns the data of a server that root starts. The name must exist, since
// initdb looks it up; all but macOS give it this number.
const nobody = 65534

// owner is who the server runs as: nil is the user who starts it.
func owner() *process.User {
	if os.Geteuid() != 0 {
		return nil
	}
	return &process.User{UID: nobody, GID: nobody}
}

// reachable tells whether a user who is neither owner nor in a group of the
// folders above can get to the path.
func reachable(path string) bool {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	for dir := path; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

// publicDir is a folder for temporary files that the owner can reach.
func publicDir() (string, error) {
	for _, dir := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		if owner() == nil || reachable(dir) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("%s cannot be reached by user %d: set TMPDIR to a folder that everyone can reach", os.TempDir(), nobody)
}

// home makes the folder that holds everything of one server, owned by the
// server's user: dir itself, or where that user cannot get to it one beside
// the temporary files that belongs to dir.
func home(dir string) (string, error) {
	public, err := publicDir()
	if err != nil {
		return "", err
	}
	if dir == "" {
		made, err := os.MkdirTemp(public, "weir-pgdata-")
		if err != nil {
			return "", err
		}
		return made, own(made)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	if owner() != nil && !reachable(filepath.Dir(dir)) {
		dir = filepath.Join(public, fmt.Sprintf("weir-pgdata-%x", hash(dir)))
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return dir, ours(dir)
}

// ours makes the folder the server's user's, unless somebody else put it
// there: names in a temporary folder can be guessed.
func ours(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	uid, user := info.Sys().(*syscall.Stat_t).Uid, owner()
	mine := int(uid) == os.Geteuid() || user != nil && uid == user.UID
	if !info.IsDir() || !mine {
		return fmt.Errorf("%s is not a folder of ours: remove it, or choose another", dir)
	}
	return own(dir)
}

// own gives a folder and all below to the server's user.
func own(dir string) error {
	user := owner()
	if user == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(user.UID), int(user.GID))
	})
}

// programs gives the folder of the server programs where the server's user
// can run them: where they are, or a copy.
func programs(bin string) (string, error) {
	bin, err := filepath.EvalSymlinks(bin)
	if err != nil {
		return "", err
	}
	if owner() == nil || reachable(filepath.Join(bin, "postgres")) {
		return bin, nil
	}
	public, err := publicDir()
	if err != nil {
		return "", err
	}
	install := filepath.Dir(bin)
	info, err := os.Stat(filepath.Join(bin, "postgres"))
	if err != nil {
		return "", err
	}
	copied := filepath.Join(public, fmt.Sprintf("weir-postgres-programs-%x", hash(install, info.ModTime().String())))
	unlock, err := lockedfile.MutexAt(copied + ".lock").Lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(copied); err == nil {
		return filepath.Join(copied, filepath.Base(bin)), ours(copied)
	}
	tmp, err := os.MkdirTemp(public, "weir-postgres-programs-new-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if err := errors.Join(copyTree(tmp, install), own(tmp)); err != nil {
		return "", fmt.Errorf("copying PostgreSQL's programs to where user %d can run them: %w", nobody, err)
	}
	return filepath.Join(copied, filepath.Base(bin)), os.Rename(tmp, copied)
}

func hash(parts ...string) uint64 {
	h := fnv.New64a()
	for _, part := range parts {
		_, _ = h.Write([]byte(part + "\x00"))
	}
	return h.Sum64()
}

// copyTree copies a folder into one that exists, symbolic links as links,
// and makes the copies private.
func copyTree(dst, src string) error {
	if err := os.CopyFS(dst, os.DirFS(src)); err != nil {
		return err
	}
	return filepath.WalkDir(dst, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()&0o700)
	})
}
