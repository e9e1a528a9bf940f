package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// The environment that ConfigFor reads.
const (
	PassphraseEnv = "WEIR_SECRETS_PASSPHRASE" // seals with a passphrase instead of a key file
	KeyEnv        = "WEIR_SECRETS_KEY"        // an age identity (AGE-SECRET-KEY-1…) instead of a key file
	KeyFileEnv    = "WEIR_SECRETS_KEY_FILE"   // another place for the key file
)

// maxValue bounds a secret, in bytes.
const maxValue = 1 << 20

// Config says where sealed secrets are, and what opens them.
type Config struct {
	Sealed     string // the sealed file
	KeyFile    string // an age identity, mode 0600; made on first use
	Key        String // an age identity; comes before KeyFile
	Passphrase String // comes before both
}

// ConfigFor is the usual place of secrets within the data folder: secrets.age,
// and secrets.key unless the environment names another key.
func ConfigFor(dataDir string, getenv func(string) string) Config {
	cfg := Config{
		Sealed:     filepath.Join(dataDir, "secrets.age"),
		KeyFile:    filepath.Join(dataDir, "secrets.key"),
		Key:        Hide(getenv(KeyEnv)),
		Passphrase: Hide(getenv(PassphraseEnv)),
	}
	if f := getenv(KeyFileEnv); f != "" {
		cfg.KeyFile = f
	}
	return cfg
}

// Vault resolves references. It is safe for concurrent use, and several
// processes may share its files.
type Vault struct {
	cfg    Config
	log    *slog.Logger
	warned sync.Map // paths whose mode was complained about

	mu     sync.Mutex
	opened os.FileInfo // of the sealed file that secrets came from
	cached map[string]String
}

// New makes a Vault. It touches no file yet.
func New(cfg Config, log *slog.Logger) (*Vault, error) {
	if cfg.Sealed == "" {
		return nil, errors.New("vault: the path of the sealed file is missing")
	}
	if cfg.KeyFile == "" && cfg.Key.Empty() && cfg.Passphrase.Empty() {
		return nil, errors.New("vault: a key file, a key or a passphrase is needed")
	}
	return &Vault{cfg: cfg, log: log}, nil
}

// Resolve returns the value that a reference stands for: env:NAME, file:PATH
// (without a trailing newline) or secret:NAME. A value is never empty.
func (v *Vault) Resolve(ctx context.Context, ref string) (string, error) {
	s, err := v.Secret(ctx, ref)
	return s.Reveal(), err
}

// Secret is Resolve for those who keep the value.
func (v *Vault) Secret(ctx context.Context, ref string) (String, error) {
	if err := ctx.Err(); err != nil {
		return String{}, err
	}
	scheme, name, _ := strings.Cut(ref, ":")
	var s String
	var err error
	switch scheme {
	case "env":
		s, err = fromEnv(name)
	case "file":
		s, err = v.fromFile(name)
	case "secret":
		s, err = v.sealed(name)
	default: // what stands here may be the secret itself: it is not repeated
		return String{}, errors.New("a credential is no reference: use secret:NAME, env:NAME or file:PATH")
	}
	if err != nil {
		return String{}, fmt.Errorf("%s: %w", ref, err)
	}
	return s, nil
}

var placeholder = regexp.MustCompile(`\{\{([^{}]*)\}\}`)

// Expand replaces each {{reference}} in a template by its value:
// "Bearer {{secret:billing}}".
func (v *Vault) Expand(ctx context.Context, template string) (String, error) {
	var errs []error
	out := placeholder.ReplaceAllStringFunc(template, func(m string) string {
		value, err := v.Resolve(ctx, strings.TrimSpace(strings.Trim(m, "{}")))
		if err != nil {
			errs = append(errs, err)
		}
		return value
	})
	if err := errors.Join(errs...); err != nil {
		return String{}, err
	}
	return Hide(out), nil
}

func fromEnv(name string) (String, error) {
	value, ok := os.LookupEnv(name)
	switch {
	case !ok:
		return String{}, fmt.Errorf("the environment variable %s is not set: export it before weir starts", name)
	case value == "":
		return String{}, fmt.Errorf("the environment variable %s is empty", name)
	}
	return Hide(value), nil
}

func (v *Vault) fromFile(path string) (String, error) {
	info, err := os.Stat(path)
	if err != nil {
		return String{}, fileError(err)
	}
	if !info.Mode().IsRegular() { // a pipe would be waited for
		return String{}, errors.New("this is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return String{}, fileError(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxValue+1))
	switch {
	case err != nil:
		return String{}, fileError(err)
	case len(raw) > maxValue:
		return String{}, errors.New("the file is larger than 1 MiB: is it the right one?")
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	if text == "" {
		return String{}, errors.New("the file is empty")
	}
	v.warnMode(path, info, text)
	return Hide(text), nil
}

// warnMode says once that others can read a file, unless it is a certificate,
// which is public.
func (v *Vault) warnMode(path string, info os.FileInfo, text string) {
	if info.Mode().Perm()&0o077 == 0 || strings.HasPrefix(text, "-----BEGIN CERTIFICATE") {
		return
	}
	if _, again := v.warned.LoadOrStore(path, true); !again {
		v.log.Warn("other users of this machine can read a credential: chmod 600", "file", path, "mode", info.Mode().Perm().String())
	}
}

// fileError is err without the path, which the reference names already.
func fileError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("the file may not be read by the user that weir runs as")
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
