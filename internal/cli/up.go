package cli

import (
	"errors"
	"os"

	"github.com/weir-gateway/weir/internal/app"
	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/recorder/clickhouse/engine"
)

type upCmd struct{}

// Help says what is run.
func (*upCmd) Help() string {
	return `Starts Envoy and ClickHouse as children and the log within, in the configuration's data folder, and ends them all with Ctrl-C. A changed configuration file, or SIGHUP, is applied at once; a bad one changes nothing.

  weir up                        with ./weir.yaml
  weir up -c /etc/weir/weir.yaml`
}

// Run implements the command.
func (*upCmd) Run(e *env) error { return e.run(true) }

type serveCmd struct{}

// Help says what is needed.
func (*serveCmd) Help() string {
	return `Envoy, ClickHouse and NATS run elsewhere and are named in the configuration: envoy.external, evidence.clickhouse and evidence.spool. ` +
		"`weir envoy bootstrap` prints what such an Envoy is started with."
}

// Run implements the command.
func (*serveCmd) Run(e *env) error {
	cfg, err := config.Load(e.config)
	if err != nil {
		return err
	}
	if cfg.Envoy.External == nil {
		return errors.New("serve needs to know where Envoy reaches it: set envoy.external.xds, or use `weir up`")
	}
	if cfg.Evidence.ClickHouse == config.Embedded {
		return errors.New("serve starts no ClickHouse: set evidence.clickhouse to its URL, or use `weir up`")
	}
	return e.run(false)
}

func (e *env) run(children bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return app.Run(e.ctx, app.Options{File: e.config, Children: children, Self: self, Version: Version, Log: e.Err})
}

type envoyCmd struct {
	Bootstrap bootstrapCmd `cmd:"" help:"Print the bootstrap for an Envoy that runs elsewhere."`
}

type bootstrapCmd struct{}

// Run implements the command.
func (*bootstrapCmd) Run(e *env) error {
	cfg, err := config.Load(e.config)
	if err != nil {
		return err
	}
	text, err := app.Bootstrap(cfg)
	if err != nil {
		return err
	}
	_, err = e.Out.Write(text)
	return err
}

// engineCmd is the embedded ClickHouse: this program, started by itself.
type engineCmd struct {
	Library string   `required:"" help:"libchdb.so."`
	Args    []string `arg:"" passthrough:"all" help:"Arguments of the engine."`
}

// Run implements the command.
func (c *engineCmd) Run(*env) error { return engine.Serve(c.Library, c.Args) }
