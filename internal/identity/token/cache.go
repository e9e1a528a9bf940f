package token

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
	"golang.org/x/oauth2"
)

// margin is how long before its end a token is replaced.
const margin = time.Minute

// cached is the file of one token, mode 0600.
type cached struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
	Refresh string    `json:"refresh,omitempty"`
}

func (c *cached) fresh(now time.Time) bool {
	return c.Token != "" && now.Before(c.Expires.Add(-margin))
}

// cache is the place of one token; other processes may use it too.
type cache struct{ file string }

// newCache names the file by everything that makes tokens differ.
func newCache(c *Config) *cache {
	h := sha256.New()
	_ = json.NewEncoder(h).Encode([]any{c.Issuer, c.ClientID, c.Audience, c.Scopes, c.IDToken, c.device(), c.KeyFile, c.AssertionFile})
	return &cache{filepath.Join(c.CacheDir, hex.EncodeToString(h.Sum(nil)[:16])+".json")}
}

func (c *cache) lock() (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(c.file), 0o700); err != nil {
		return nil, fmt.Errorf("tokens cannot be kept: %w", err)
	}
	unlock, err = lockedfile.MutexAt(c.file + ".lock").Lock()
	if err != nil {
		return nil, fmt.Errorf("tokens cannot be kept: %w", err)
	}
	return unlock, nil
}

// load reads what is kept. What cannot be read is as good as nothing.
func (c *cache) load() cached {
	var kept cached
	raw, err := os.ReadFile(c.file)
	if err != nil || json.Unmarshal(raw, &kept) != nil {
		return cached{}
	}
	return kept
}

// store keeps a token, readable by its owner only.
func (c *cache) store(kept cached) error {
	raw, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	if err := os.Remove(c.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("tokens cannot be kept: %w", err)
	}
	if err := os.WriteFile(c.file, raw, 0o600); err != nil {
		return fmt.Errorf("tokens cannot be kept: %w", err)
	}
	return nil
}

func keep(token string, t *oauth2.Token) cached {
	kept := cached{Token: token, Expires: t.Expiry, Refresh: t.RefreshToken}
	if exp, ok := expiryOf(token); ok && (kept.Expires.IsZero() || exp.Before(kept.Expires)) {
		kept.Expires = exp
	}
	return kept
}
