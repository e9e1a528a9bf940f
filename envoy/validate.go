package envoy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// validateTimeout is far above what a check takes (a tenth of a second).
const validateTimeout = 30 * time.Second

// Validate has Envoy check a bootstrap in JSON or YAML, by "--mode validate". It
// goes through a pipe, as it may hold private keys. No port is opened and no
// name resolved. The error is what Envoy objects to, without what surrounds it.
func (b Binary) Validate(ctx context.Context, bootstrap []byte) error {
	config, err := asJSON(bootstrap)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, validateTimeout)
	defer cancel()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, b.Path,
		"--mode", "validate", "--config-path", "/dev/fd/3",
		"--log-level", "error", "--log-format", logFormat, "--log-format-escaped")
	cmd.ExtraFiles = []*os.File{r} // becomes descriptor 3
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		_ = w.Close()
		return fmt.Errorf("start envoy: %w", err)
	}
	_ = r.Close() // so that writing fails when Envoy is gone
	_, writeErr := io.Copy(w, bytes.NewReader(config))
	_ = w.Close()
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("envoy did not finish checking: %w", context.Cause(ctx))
	case err == nil && writeErr != nil:
		return fmt.Errorf("hand the configuration to envoy: %w", writeErr)
	case err == nil:
		return nil
	}
	reason := privateKey.ReplaceAllString(objection(said.String(), err), "(hidden)")
	return fmt.Errorf("envoy refuses the configuration: %s", reason)
}

// privateKey finds keys in PEM, in case Envoy quotes what it was given.
var privateKey = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*-----|$)`)

// asJSON turns YAML into JSON: Envoy reads a nameless file as JSON only.
func asJSON(config []byte) ([]byte, error) {
	if json.Valid(config) {
		return config, nil
	}
	var v any
	if err := yaml.Unmarshal(config, &v); err != nil {
		return nil, err
	}
	if v == nil {
		return nil, errors.New("it is empty")
	}
	return json.Marshal(v)
}

// objection picks the useful part of what Envoy printed before it gave up.
func objection(said string, exit error) string {
	for line := range strings.Lines(said) {
		r, ok := parseLine(strings.TrimRight(line, "\n"))
		if !ok {
			continue
		}
		if _, reason, ok := strings.Cut(r.message, "error initializing configuration '/dev/fd/3': "); ok {
			return strings.TrimSpace(reason)
		}
	}
	if text := strings.TrimSpace(string(tail([]byte(said), 2000))); text != "" {
		return text
	}
	return exit.Error()
}
