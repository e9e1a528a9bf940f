package postgres

import (
	"slices"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// A column that was renamed holds what it held: it has the classes of all names that it is known
// to have had, and the masks too.

// formerOf are the other names that the columns of a catalog have had.
func formerOf(c sqlmeta.Catalog) map[sqlmeta.ColumnRef][]sqlmeta.ColumnRef {
	known, ok := sqlmeta.Unshadowed(c).(interface {
		Former() map[sqlmeta.ColumnRef][]sqlmeta.ColumnRef
	})
	if !ok {
		return nil
	}
	return known.Former()
}

// classesOf are the classes of a column, nil if it has none.
func (s *shape) classesOf(c sqlmeta.ColumnRef) []string {
	classes := s.class.Column(s.target, c.Schema, c.Table, c.Column)
	for _, f := range s.former[c] {
		classes = united(classes, s.class.Column(s.target, f.Schema, f.Table, f.Column))
	}
	return classes
}

// within are those for the whole of a column's values. parts is given what the others are for.
func (s *shape) within(c sqlmeta.ColumnRef, parts func(paths map[string][]string)) (classes []string) {
	classes, paths := s.class.Within(s.target, c.Schema, c.Table, c.Column)
	parts(paths)
	for _, f := range s.former[c] {
		own, paths := s.class.Within(s.target, f.Schema, f.Table, f.Column)
		parts(paths)
		classes = united(classes, own)
	}
	return classes
}

// united are two sets in one, sorted. It changes neither.
func united(a, b []string) []string {
	if len(b) == 0 {
		return a
	}
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
}

// hides says whether a mask is for a column.
func (s *shape) hides(m *gate.Mask, c sqlmeta.ColumnRef, classes []string) bool {
	if m.Column == "" {
		return slices.Contains(classes, m.Class)
	}
	return m.Column == nameOf(c) || slices.ContainsFunc(s.former[c], func(f sqlmeta.ColumnRef) bool { return m.Column == nameOf(f) })
}

// Renamed notes that somebody has renamed a column, or that there is none of its name any
// more: now is zero then. Where it was classified, it is said: the classification should name it as
// it is called now.
func (h *Handler) Renamed(was, now sqlmeta.ColumnRef) {
	class := h.deps.Classification()
	if len(class.Column(h.cfg.Target.Name, was.Schema, was.Table, was.Column)) == 0 {
		return
	}
	log := h.deps.Log.With("target", h.cfg.Target.Name, "column", nameOf(was))
	if now.Column == "" {
		h.metrics.renamed.WithLabelValues("gone").Inc()
		log.Warn("a classified column is gone: a copy of it that has another name has no class")
		return
	}
	h.metrics.renamed.WithLabelValues("renamed").Inc()
	log.Warn("a classified column was renamed: it keeps its classes until this gateway ends; classify it under its new name", "now", nameOf(now))
}
