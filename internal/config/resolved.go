package config

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// hidden stands where a value is not shown.
const hidden = "[hidden]"

// MarshalText writes a template as far as it may be shown: a text without any
// reference might be a secret that nobody recognised, so it is hidden.
func (t Template) MarshalText() ([]byte, error) {
	if len(t.Refs()) == 0 {
		return []byte(hidden), nil
	}
	return []byte(t), nil
}

// Resolved is the whole configuration as YAML, with every default and absolute
// paths. References are shown, secrets are not: the file never held any.
func (c *Config) Resolved() ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return out.Bytes(), nil
}
