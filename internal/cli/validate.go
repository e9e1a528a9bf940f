package cli

import (
	"errors"
	"fmt"

	"github.com/weir-gateway/weir/internal/app"
	"github.com/weir-gateway/weir/internal/config"
)

type validateCmd struct {
	output
}

// Run implements the command.
func (c *validateCmd) Run(e *env) error {
	cfg, err := config.Load(e.config)
	if err == nil {
		err = app.Check(e.ctx, cfg)
	}
	var mistakes *config.Error
	switch {
	case c.json():
		answer := map[string]any{"file": e.config, "valid": err == nil}
		if errors.As(err, &mistakes) {
			answer["issues"] = mistakes.Issues
		} else if err != nil {
			answer["issues"] = []config.Issue{{What: err.Error()}}
		}
		if failed := writeJSON(e.Out, answer); failed != nil {
			return failed
		}
		if err != nil {
			return reported{err}
		}
		return nil
	case errors.As(err, &mistakes):
		_, _ = fmt.Fprintln(e.Err, mistakes.Error())
		return reported{err}
	case err != nil:
		return err
	}
	e.printf("%s is valid: %d targets, revision %s\n", e.config, len(cfg.Targets), cfg.Revision[:12])
	return nil
}

type configCmd struct {
	Show   configShowCmd   `cmd:"" help:"Print the configuration with all defaults and secrets hidden."`
	Schema configSchemaCmd `cmd:"" help:"Print the JSON Schema of the file, for editors and CI."`
}

type configShowCmd struct{}

// Run implements the command.
func (*configShowCmd) Run(e *env) error {
	cfg, err := config.Load(e.config)
	if err != nil {
		return err
	}
	text, err := cfg.Resolved()
	if err != nil {
		return err
	}
	_, err = e.Out.Write(text)
	return err
}

type configSchemaCmd struct{}

// Run implements the command.
func (*configSchemaCmd) Run(e *env) error {
	text, err := config.Schema()
	if err != nil {
		return err
	}
	_, err = e.Out.Write(append(text, '\n'))
	return err
}
