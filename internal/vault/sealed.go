package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/lockedfile"
)

// ErrNotFound is wrapped where a secret has no value.
var ErrNotFound = errors.New("there is no such secret")

// maxSealed bounds the sealed file, in bytes.
const maxSealed = 16 << 20

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

func checkName(name string) error {
	if !validName.MatchString(name) {
		return errors.New("not a name for a secret: use up to 128 of A-Z, a-z, 0-9, dot, dash and underscore, and begin with a letter or digit")
	}
	return nil
}

// contents is what the sealed file holds, as JSON.
type contents struct {
	Version int               `json:"version"`
	Secrets map[string][]byte `json:"secrets"`
}

// Set seals a value under a name, replacing an older one.
func (v *Vault) Set(_ context.Context, name string, value String) error {
	if err := checkName(name); err != nil {
		return err
	}
	if n := len(value.Reveal()); n == 0 || n > maxValue {
		return fmt.Errorf("secret:%s: a value has 1 byte to 1 MiB, this one %d", name, n)
	}
	return v.change(func(secrets map[string]String) error {
		secrets[name] = value
		return nil
	})
}

// Remove forgets a secret. It is an error (ErrNotFound) where there is none.
func (v *Vault) Remove(_ context.Context, name string) error {
	return v.change(func(secrets map[string]String) error {
		if _, ok := secrets[name]; !ok {
			return notFound(name)
		}
		delete(secrets, name)
		return nil
	})
}

// List returns the names of the secrets, sorted.
func (v *Vault) List(context.Context) ([]string, error) {
	secrets, err := v.load()
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(secrets)), nil
}

func notFound(name string) error {
	if checkName(name) != nil {
		return checkName(name)
	}
	return fmt.Errorf("%w; run: weir secret set %s", ErrNotFound, name)
}

func (v *Vault) sealed(name string) (String, error) {
	secrets, err := v.load()
	if err != nil {
		return String{}, err
	}
	value, ok := secrets[name]
	if !ok {
		return String{}, notFound(name)
	}
	return value, nil
}

// change rewrites the sealed file, one writer at a time over all processes.
func (v *Vault) change(edit func(map[string]String) error) error {
	if err := os.MkdirAll(filepath.Dir(v.cfg.Sealed), 0o700); err != nil {
		return fmt.Errorf("sealed secrets: %w", err)
	}
	unlock, err := lockedfile.MutexAt(v.cfg.Sealed + ".lock").Lock()
	if err != nil {
		return fmt.Errorf("sealed secrets cannot be locked: %w", err)
	}
	defer unlock()
	secrets, err := v.load()
	if err != nil {
		return err
	}
	secrets = maps.Clone(secrets)
	if err := edit(secrets); err != nil {
		return err
	}
	recipient, err := v.recipient()
	if err != nil {
		return err
	}
	sealed, err := seal(secrets, recipient)
	if err != nil {
		return err
	}
	return replaceFile(v.cfg.Sealed, sealed)
}

// load opens the sealed file, unless what is in memory came from the same one:
// a file that was replaced is another file.
func (v *Vault) load() (map[string]String, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	info, err := os.Stat(v.cfg.Sealed)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.opened, v.cached = nil, nil
		return map[string]String{}, nil
	case err != nil:
		return nil, fmt.Errorf("sealed secrets: %w", err)
	case v.opened != nil && os.SameFile(v.opened, info) && v.opened.ModTime().Equal(info.ModTime()) && v.opened.Size() == info.Size():
		return v.cached, nil
	}
	identity, err := v.identity()
	if err != nil {
		return nil, err
	}
	secrets, err := open(v.cfg.Sealed, identity)
	if err != nil {
		return nil, err
	}
	v.opened, v.cached = info, secrets
	return secrets, nil
}

func open(path string, identity age.Identity) (map[string]String, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("sealed secrets: %w", err)
	}
	damaged := fmt.Errorf("%s cannot be opened: it is damaged, or was sealed with another key", path)
	plain, err := age.Decrypt(bytes.NewReader(raw), identity)
	if err != nil {
		return nil, damaged
	}
	text, err := io.ReadAll(io.LimitReader(plain, maxSealed))
	if err != nil {
		return nil, damaged
	}
	var c contents
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, damaged // the JSON error could quote a value
	}
	if c.Version != 1 {
		return nil, fmt.Errorf("%s was written by a newer weir (format %d)", path, c.Version)
	}
	secrets := make(map[string]String, len(c.Secrets))
	for name, value := range c.Secrets {
		secrets[name] = Hide(string(value))
	}
	return secrets, nil
}

func seal(secrets map[string]String, to age.Recipient) ([]byte, error) {
	c := contents{Version: 1, Secrets: make(map[string][]byte, len(secrets))}
	for name, value := range secrets {
		c.Secrets[name] = []byte(value.Reveal())
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("sealed secrets: %w", err)
	}
	if len(text) >= maxSealed {
		return nil, errors.New("sealed secrets: all secrets together have 16 MiB or more: remove some")
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, fmt.Errorf("sealed secrets: %w", err)
	}
	if _, err := w.Write(text); err != nil {
		return nil, fmt.Errorf("sealed secrets: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("sealed secrets: %w", err)
	}
	return out.Bytes(), nil
}
