package app

import (
	"fmt"

	"github.com/weir-gateway/weir/internal/classification"
	"github.com/weir-gateway/weir/internal/mask"
)

// Classes is what classification.yaml says.
type Classes = *classification.Classification

// LoadClasses reads a classification and refuses what could not be enforced. An
// empty path classifies nothing.
func LoadClasses(path string) (Classes, error) {
	if path == "" {
		return classification.Empty(), nil
	}
	c, err := classification.Load(path)
	if err != nil {
		return nil, err
	}
	for _, p := range c.WithinPaths() {
		if _, err := mask.ParsePath(p); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	for _, target := range c.Targets() {
		for _, p := range c.Paths(target) {
			if _, err := mask.ParsePath(p.Path); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", path, target, err)
			}
		}
	}
	return c, nil
}
