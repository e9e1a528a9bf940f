package cli

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/vault"
)

type secretCmd struct {
	Set  secretSetCmd  `cmd:"" help:"Seal a secret; its value is read from standard input."`
	List secretListCmd `cmd:"" help:"List the names."`
	Rm   secretRmCmd   `cmd:"" help:"Forget a secret."`
}

func openVault(e *env) (*vault.Vault, error) {
	cfg, err := config.Load(e.config)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(e.Err, nil))
	return vault.New(vault.ConfigFor(string(cfg.Data), os.Getenv), log)
}

type secretSetCmd struct {
	Name string `arg:"" help:"Name; the configuration says secret:NAME."`
}

// maxSecret bounds what is read, in bytes.
const maxSecret = 1 << 20

// Run implements the command. The value never stands on the command line, where
// other users of the machine could read it.
func (c *secretSetCmd) Run(e *env) error {
	v, err := openVault(e)
	if err != nil {
		return err
	}
	if f, ok := e.In.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			_, _ = io.WriteString(e.Err, "Type the value, then Ctrl-D: ")
		}
	}
	raw, err := io.ReadAll(io.LimitReader(e.In, maxSecret+1))
	if err != nil {
		return err
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	if value == "" {
		return errors.New("no value on standard input: printf %s \"$VALUE\" | weir secret set " + c.Name)
	}
	if err := v.Set(e.ctx, c.Name, vault.Hide(value)); err != nil {
		return err
	}
	e.printf("sealed %s; the configuration names it secret:%s\n", c.Name, c.Name)
	return nil
}

type secretListCmd struct{ output }

// Run implements the command.
func (c *secretListCmd) Run(e *env) error {
	v, err := openVault(e)
	if err != nil {
		return err
	}
	names, err := v.List(e.ctx)
	if err != nil {
		return err
	}
	if c.json() {
		if names == nil {
			names = []string{}
		}
		return writeJSON(e.Out, names)
	}
	for _, n := range names {
		e.printf("%s\n", n)
	}
	return nil
}

type secretRmCmd struct {
	Name string `arg:"" help:"Name of the secret."`
}

// Run implements the command.
func (c *secretRmCmd) Run(e *env) error {
	v, err := openVault(e)
	if err != nil {
		return err
	}
	if err := v.Remove(e.ctx, c.Name); err != nil {
		return err
	}
	e.printf("forgot %s\n", c.Name)
	return nil
}
