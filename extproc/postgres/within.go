package postgres

import (
	"maps"
	"slices"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/mask"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// pathsOf are the JSONPaths of a column that some of its classes are for.
func (s *shape) pathsOf(c sqlmeta.ColumnRef, classes []string) []string {
	if len(classes) == 0 {
		return nil
	}
	var all []string
	s.within(c, func(paths map[string][]string) { all = slices.AppendSeq(all, maps.Keys(paths)) })
	slices.Sort(all)
	return slices.Compact(all)
}

// hiddenPaths are what masks hide within documents.
type hiddenPaths []hiddenPath

type hiddenPath struct {
	path  string
	class string
	spec  gate.MaskSpec
}

// add adds what masks hide of these paths. Of several masks for one the strictest
// counts.
func (p *hiddenPaths) add(masks []gate.Mask, paths map[string][]string) {
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		for i := range masks {
			m := &masks[i]
			if m.Class == "" || !slices.Contains(paths[path], m.Class) {
				continue
			}
			at := slices.IndexFunc(*p, func(have hiddenPath) bool { return have.path == path })
			if at < 0 {
				*p = append(*p, hiddenPath{path, m.Class, m.MaskSpec})
				continue
			}
			(*p)[at].spec = (*p)[at].spec.Stricter(m.MaskSpec)
		}
	}
}

// spec is the mask of all of them, nil for none. Where two paths lead to one value the
// stricter of their masks hides it. What is replaced counts under the first class.
func (p hiddenPaths) spec() (*mask.Spec, string) {
	if len(p) == 0 {
		return nil, ""
	}
	label := p[0].class
	slices.SortStableFunc(p, func(a, b hiddenPath) int {
		switch stricter := a.spec.Stricter(b.spec); {
		case a.spec == b.spec:
			return 0
		case stricter == a.spec:
			return -1
		}
		return 1
	})
	spec := &mask.Spec{With: mask.Redact}
	for _, one := range p {
		path, err := mask.ParsePath(one.path)
		if err != nil { // the configuration was checked, so this is not what it said
			return &mask.Spec{With: mask.Redact}, label
		}
		spec.Paths = append(spec.Paths, mask.Rule{Path: path, Class: one.class, Spec: specOf(one.spec)})
	}
	return spec, label
}
