package app

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/weir-gateway/weir/internal/config"
)

// maxSocketPath is the longest path of a Unix socket, in bytes, that every
// supported system takes (sun_path has 104 on some).
const maxSocketPath = 100

// AdminSocket is where a running gateway answers the commands of its own user.
func AdminSocket(cfg *config.Config) string {
	return filepath.Join(socketFolder(string(cfg.Data)), "admin.sock")
}

// processorSocket is where Envoy reaches the gateway.
func processorSocket(cfg *config.Config) string {
	return filepath.Join(socketFolder(string(cfg.Data)), "envoy.sock")
}

// fallbackSocket is where Envoy reaches what stands in for a target that refuses.
func fallbackSocket(cfg *config.Config) string {
	return filepath.Join(socketFolder(string(cfg.Data)), "fallback.sock")
}

// relaySocket is where Envoy hands over the connections of targets with the
// transport relay.
func relaySocket(cfg *config.Config) string {
	return filepath.Join(socketFolder(string(cfg.Data)), "relay.sock")
}

// adminProxySocket is where Envoy can be asked and told to stop.
func adminProxySocket(cfg *config.Config) string {
	return filepath.Join(socketFolder(string(cfg.Data)), "envoy-admin.sock")
}

func dataPath(cfg *config.Config, name string) string {
	return filepath.Join(string(cfg.Data), name)
}

// CAFolder is where the development CA lies.
func CAFolder(cfg *config.Config) string { return filepath.Join(string(cfg.Data), "ca") }

// socketFolder is within the data folder, unless its path is too long for a
// socket: then a folder of this user's in the system's place for temporary files.
func socketFolder(data string) string {
	dir := filepath.Join(data, "run")
	if len(filepath.Join(dir, "envoy-admin.sock")) <= maxSocketPath {
		return dir
	}
	sum := sha256.Sum256([]byte(data))
	return filepath.Join(os.TempDir(), fmt.Sprintf("weir-%d-%s", os.Getuid(), hex.EncodeToString(sum[:6])))
}

// privateFolder makes a folder that only this user can enter, and refuses one
// that somebody else owns or can enter.
func privateFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	case info.Mode().Perm()&0o077 != 0:
		return os.Chmod(dir, 0o700) // fails where somebody else owns it
	}
	return nil
}

// lockData makes the data folder and keeps other gateways off it.
func lockData(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the data folder cannot be made: %w", err)
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data folder is not writable: %w", err)
	}
	if err := tryLock(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another weir is running on %s; stop it, or choose another folder (data:)", dir)
	}
	return func() { _ = f.Close() }, nil
}

// hashKeyBytes is the length of a key that the gateway makes.
const hashKeyBytes = 32

// hashKey is the key of masks that is kept in the data folder, made on first
// use.
func hashKey(data string) ([]byte, error) {
	path := filepath.Join(data, "hash.key")
	unlock, err := lockedfile.MutexAt(path + ".lock").Lock()
	if err != nil {
		return nil, fmt.Errorf("the masks' key: %w", err)
	}
	defer unlock()
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, hashKeyBytes)
		_, _ = rand.Read(key) // never fails (crypto/rand)
		return key, os.WriteFile(path, key, 0o600)
	}
	if err == nil && len(key) < hashKeyBytes {
		err = errors.New("the file is too short; remove it to make a new key, which changes every hash")
	}
	if err != nil {
		return nil, fmt.Errorf("the masks' key %s: %w", path, err)
	}
	return key, nil
}
