package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/policies"
)

// Check finds what is wrong with what a configuration names: its rules and its
// classification. Nothing is started or reached.
func Check(_ context.Context, cfg *config.Config) error {
	var errs []error
	classes, err := LoadClasses(string(cfg.Policy.Classification))
	if err != nil {
		errs = append(errs, fmt.Errorf("policy.classification: %w", err))
	} else if cfg.Policy.Bundle != "" {
		r, err := policies.Check(policies.Config{Bundle: string(cfg.Policy.Bundle)}, classes)
		if err != nil {
			errs = append(errs, fmt.Errorf("policy.bundle: %w", err))
		}
		for _, p := range r.Errors {
			errs = append(errs, fmt.Errorf("policy.bundle: %s", p))
		}
	}
	return errors.Join(errs...)
}
