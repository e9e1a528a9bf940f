package cli

import (
	"errors"
	"os"

	"github.com/weir-gateway/weir/internal/app"
	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/devca"
)

type caCmd struct {
	Path bool `help:"Print the path of the file instead."`
}

// Run implements the command.
func (c *caCmd) Run(e *env) error {
	cfg, err := config.Load(e.config)
	if err != nil {
		return err
	}
	if cfg.TLS != nil {
		return errors.New("the configuration names a certificate of yours (tls:), so there is no development CA")
	}
	dir := app.CAFolder(cfg)
	if c.Path {
		if _, err := os.Stat(dir + "/" + devca.CertFile); err != nil {
			return errors.New("there is no development CA yet; `weir up` makes it, or `weir ca` without --path")
		}
		e.printf("%s/%s\n", dir, devca.CertFile)
		return nil
	}
	a, err := devca.Open(dir)
	if err != nil {
		return err
	}
	_, err = e.Out.Write(a.PEM())
	return err
}
