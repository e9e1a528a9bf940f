package config

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestSchemaDescribesEveryKey reads the schema as an editor does: each key has
// a description, and nothing unknown is accepted.
func TestSchemaDescribesEveryKey(t *testing.T) {
	raw, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(raw, &root); err != nil {
		t.Fatal(err)
	}
	sections := map[string]any{"(file)": root}
	for name, def := range root["$defs"].(map[string]any) {
		sections[name] = def
	}
	for name, def := range sections {
		section := def.(map[string]any)
		properties, ok := section["properties"].(map[string]any)
		if !ok {
			continue
		}
		if section["additionalProperties"] != false {
			t.Errorf("%s accepts unknown keys", name)
		}
		for key, p := range properties {
			if d, _ := p.(map[string]any)["description"].(string); len(d) < 8 {
				t.Errorf("%s.%s has no description", name, key)
			}
		}
	}
	for _, part := range []string{
		`"default": "verify-full"`, `"enum": [`, `"verify-ca"`, `^(secret|env|file):.+$`,
		`"Folder for all state`, `"required": [`,
	} {
		if !strings.Contains(string(raw), part) {
			t.Errorf("the schema lacks %s", part)
		}
	}
}
