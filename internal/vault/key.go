package vault

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
)

// identity is what opens the sealed file.
func (v *Vault) identity() (age.Identity, error) {
	if !v.cfg.Passphrase.Empty() {
		return age.NewScryptIdentity(v.cfg.Passphrase.Reveal())
	}
	return v.key()
}

// recipient is whom the file is sealed to. The key file is made here, on first
// use, and only while nothing is sealed with a key that got lost.
func (v *Vault) recipient() (age.Recipient, error) {
	if !v.cfg.Passphrase.Empty() {
		return age.NewScryptRecipient(v.cfg.Passphrase.Reveal())
	}
	key, err := v.key()
	if errors.Is(err, fs.ErrNotExist) {
		if _, sealed := os.Stat(v.cfg.Sealed); sealed == nil {
			return nil, err
		}
		key, err = makeKey(v.cfg.KeyFile)
	}
	if err != nil {
		return nil, err
	}
	return key.Recipient(), nil
}

func (v *Vault) key() (*age.X25519Identity, error) {
	if !v.cfg.Key.Empty() {
		key, err := parseKey(v.cfg.Key.Reveal())
		if err != nil {
			return nil, fmt.Errorf("the key in %s: %w", KeyEnv, err)
		}
		return key, nil
	}
	path := v.cfg.KeyFile
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the key %s, which opens %s, is missing: restore it from a backup, or remove the sealed file and set the secrets again (%w)", path, v.cfg.Sealed, err)
	case err != nil:
		return nil, fmt.Errorf("the key of the sealed secrets: %w", err)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("other users can read the key %s (mode %#o): run chmod 600 on it, and change the secrets if others use this machine", path, info.Mode().Perm())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the key of the sealed secrets: %w", err)
	}
	key, err := parseKey(string(raw))
	if err != nil {
		return nil, fmt.Errorf("the key %s: %w", path, err)
	}
	return key, nil
}

// parseKey reads an age identity as age-keygen writes it. Its errors never
// repeat the text.
func parseKey(text string) (*age.X25519Identity, error) {
	ids, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil || len(ids) != 1 {
		return nil, errors.New("not one age identity: it must hold one line AGE-SECRET-KEY-1…")
	}
	key, ok := ids[0].(*age.X25519Identity)
	if !ok {
		return nil, errors.New("not an age identity of the kind AGE-SECRET-KEY-1…")
	}
	return key, nil
}

func makeKey(path string) (*age.X25519Identity, error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("key for sealed secrets: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("key for sealed secrets: %w", err)
	}
	text := fmt.Sprintf("# opens the sealed secrets; keep a copy elsewhere\n# public key: %s\n%s\n", key.Recipient(), key)
	if err := replaceFile(path, []byte(text)); err != nil {
		return nil, err
	}
	return key, nil
}

// replaceFile writes a file whole or not at all, mode 0600.
func replaceFile(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("sealed secrets: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			err = fmt.Errorf("sealed secrets: %w", err)
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
