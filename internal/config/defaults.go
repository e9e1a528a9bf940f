package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
)

// setDefaults fills v and the sections in it from their default tags, without
// what targets of this kind do not know.
func setDefaults(v reflect.Value, kind TargetKind) {
	for _, f := range fieldsOf(v.Type()) {
		member := v.Field(f.index)
		switch {
		case f.kind != "" && f.kind != kind:
		case member.Kind() == reflect.Struct:
			setDefaults(member, kind)
		case f.preset == "":
		case member.Kind() == reflect.Slice:
			texts := strings.Split(f.preset, ",")
			member.Set(reflect.MakeSlice(member.Type(), len(texts), len(texts)))
			for i, text := range texts {
				mustSet(text, member.Index(i))
			}
		default:
			mustSet(f.preset, member)
		}
	}
}

// mustSet reads a default: a wrong one is a mistake in the Go type's tag.
func mustSet(text string, v reflect.Value) {
	if err := setText(text, v); err != nil {
		panic(fmt.Sprintf("config: default %q: %v", text, err))
	}
}

// complete resolves the defaults that depend on other values.
func complete(c *Config) {
	if c.Envoy.Binary == "" && c.Envoy.External == nil {
		c.Envoy.Binary = "envoy"
	}
	if e := c.Envoy.External; e != nil {
		completeExternal(e)
	}
	if c.Web.TLS == "" {
		c.Web.TLS = On
		if c.Web.Listen.Loopback() {
			c.Web.TLS = Off
		}
	}
	if c.Evidence.Replicas == 0 {
		c.Evidence.Replicas = 3
		if c.Evidence.Spool == Embedded {
			c.Evidence.Replicas = 1
		}
	}
	for _, t := range c.Targets {
		if t != nil { // nil where it could not be read
			completeTarget(t)
		}
	}
}

func completeExternal(e *External) {
	if e.Advertise == "" {
		e.Advertise = e.XDS
	}
	if e.TLS.ServerName == "" {
		e.TLS.ServerName, _ = e.Advertise.Split()
	}
}

func completeTarget(t *Target) {
	if host, ok := strings.CutPrefix(string(t.Listen), "localhost:"); ok {
		t.Listen = Address("127.0.0.1:" + host)
	}
	if t.Kind != Postgres {
		return
	}
	for i, a := range t.Upstream.Address {
		if _, port := a.Split(); port == 0 && a.check(true) != nil && a.check(false) == nil {
			t.Upstream.Address[i] = a + ":5432"
		}
	}
	if len(t.Databases) == 0 {
		t.Databases = []string{"*"}
		if t.Upstream.Database != "" {
			t.Databases = []string{t.Upstream.Database}
		}
	}
}

// absolute makes every path in v absolute, relative ones from folder dir.
func absolute(v reflect.Value, dir string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			absolute(v.Elem(), dir)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			absolute(v.Field(i), dir)
		}
	case reflect.Slice:
		for i := range v.Len() {
			absolute(v.Index(i), dir)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			elem := reflect.New(v.Type().Elem()).Elem()
			elem.Set(v.MapIndex(k))
			absolute(elem, dir)
			v.SetMapIndex(k, elem)
		}
	case reflect.String:
		absoluteText(v, dir)
	}
}

func absoluteText(v reflect.Value, dir string) {
	text := v.String()
	switch v.Type() {
	case reflect.TypeFor[Path]():
		if text != "" {
			v.SetString(join(dir, text))
		}
	case reflect.TypeFor[Ref]():
		v.SetString(string(absoluteRef(Ref(text), dir)))
	case reflect.TypeFor[Template]():
		v.SetString(placeholder.ReplaceAllStringFunc(text, func(m string) string {
			ref := Ref(strings.TrimSpace(strings.Trim(m, "{}")))
			return "{{" + string(absoluteRef(ref, dir)) + "}}"
		}))
	}
}

func absoluteRef(r Ref, dir string) Ref {
	if path, ok := r.file(); ok {
		return Ref("file:" + join(dir, path))
	}
	return r
}

func join(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}
