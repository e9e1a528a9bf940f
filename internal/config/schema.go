package config

import (
	"embed"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// The Go source of the types: their doc comments are the descriptions.
//
//go:embed types*.go
var sources embed.FS

// Schema is the JSON Schema (2020-12) of the file, for editors and CI.
func Schema() ([]byte, error) {
	docs, err := comments()
	if err != nil {
		return nil, fmt.Errorf("configuration schema: %w", err)
	}
	sections := map[string]reflect.Type{}
	r := &jsonschema.Reflector{
		Anonymous: true, ExpandedStruct: true, FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true,
		Mapper: scalarSchema,
		LookupComment: func(t reflect.Type, name string) string {
			if t.Kind() == reflect.Struct {
				sections[t.Name()] = t
			}
			return docs[t.Name()+"."+name]
		},
	}
	s := r.Reflect(&Config{})
	s.Title = "weir.yaml"
	amend(s, reflect.TypeFor[Config]())
	for name, def := range s.Definitions {
		if t, ok := sections[name]; ok {
			amend(def, t)
		}
	}
	return json.MarshalIndent(s, "", "  ")
}

// amend adds what our own tags say about a section's keys.
func amend(s *jsonschema.Schema, t reflect.Type) {
	for _, f := range fieldsOf(t) {
		p, ok := s.Properties.Get(f.key)
		if !ok {
			continue
		}
		if p.Type == "array" && p.Items != nil && p.Items.Type == "string" {
			p = &jsonschema.Schema{Description: p.Description, AnyOf: []*jsonschema.Schema{{Type: "array", Items: p.Items}, p.Items}}
			s.Properties.Set(f.key, p)
		}
		if f.kind != "" {
			p.Description = fmt.Sprintf("(kind %s) %s", f.kind, p.Description)
		}
		if f.preset != "" {
			p.Default = preset(f.preset, t.Field(f.index).Type)
		}
		if f.required && f.kind == "" {
			s.Required = append(s.Required, f.key)
		}
	}
}

// preset is a default as JSON.
func preset(text string, t reflect.Type) any {
	switch t.Kind() {
	case reflect.Slice:
		return strings.Split(text, ",")
	case reflect.Int:
		return json.Number(text)
	default:
		return text
	}
}

// scalarSchema is the schema of a type that is written as one value.
func scalarSchema(t reflect.Type) *jsonschema.Schema {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Struct {
		return nil
	}
	if e, ok := reflect.Zero(t).Interface().(enum); ok {
		s := &jsonschema.Schema{Type: "string"}
		for _, v := range e.values() {
			s.Enum = append(s.Enum, v)
		}
		return s
	}
	switch t {
	case reflect.TypeFor[Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`, Examples: []any{"30s", "15m", "24h"}}
	case reflect.TypeFor[Size]():
		return &jsonschema.Schema{Pattern: `^[0-9]+ *([KMGT]iB|B)?$`, AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "integer"}}, Examples: []any{"64MiB"}}
	case reflect.TypeFor[Ref]():
		return &jsonschema.Schema{Type: "string", Pattern: `^(secret|env|file):.+$`, Examples: []any{"secret:NAME", "env:NAME", "file:PATH"}}
	case reflect.TypeFor[Texts]():
		text := &jsonschema.Schema{Type: "string"}
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{text, {Type: "array", Items: text}}}
	case reflect.TypeFor[Fact](), reflect.TypeFor[Address](), reflect.TypeFor[Path](), reflect.TypeFor[Template]():
		return &jsonschema.Schema{Type: "string"}
	}
	return nil
}

// comments reads the doc comments of the types: "Type." for the type itself,
// "Type.Field" for a field.
func comments() (map[string]string, error) {
	out := map[string]string{}
	files, err := sources.ReadDir(".")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		text, err := sources.ReadFile(f.Name())
		if err != nil {
			return nil, err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), text, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, decl := range parsed.Decls {
			if g, ok := decl.(*ast.GenDecl); ok {
				typeComments(g, out)
			}
		}
	}
	return out, nil
}

func typeComments(g *ast.GenDecl, out map[string]string) {
	for _, spec := range g.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		out[t.Name.Name+"."] = oneLine(g.Doc.Text())
		s, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range s.Fields.List {
			for _, name := range f.Names {
				out[t.Name.Name+"."+name.Name] = oneLine(f.Doc.Text())
			}
		}
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
