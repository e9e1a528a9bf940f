package policies

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Activation is a change of the policy that decides: the body of the event
// policy.activated.
type Activation struct {
	Revision       string    `json:"revision"`
	Previous       string    `json:"previous,omitempty"` // empty at the start
	At             time.Time `json:"at"`
	Packages       []string  `json:"packages"`
	Added          []string  `json:"added,omitempty"` // files of the bundle
	Changed        []string  `json:"changed,omitempty"`
	Removed        []string  `json:"removed,omitempty"`
	Classification bool      `json:"classification"` // it changed
}

// Summary is the change in one line.
func (a Activation) Summary() string {
	if a.Previous == "" {
		return fmt.Sprintf("first revision, %d files", len(a.Added))
	}
	s := fmt.Sprintf("%d files added, %d changed, %d removed", len(a.Added), len(a.Changed), len(a.Removed))
	if a.Classification {
		s += ", classification changed"
	}
	return s
}

// Reload reads the bundle and the classification again and makes them decide,
// all of them or none: on an error the last good revision goes on deciding. It
// says whether the revision changed.
func (e *Engine) Reload(ctx context.Context) (changed bool, err error) {
	e.loading.Lock()
	defer e.loading.Unlock()
	changed, err = e.reload(ctx)
	e.metrics.reloaded(err)
	if err != nil {
		e.failure.Store(&failure{err: err, at: time.Now()})
		return false, err
	}
	e.failure.Store(nil)
	return changed, nil
}

func (e *Engine) reload(ctx context.Context) (bool, error) {
	var cl Classification
	if e.deps.Classification != nil {
		cl = e.deps.Classification()
	}
	p, err := e.cfg.assemble(cl)
	if err != nil {
		return false, err
	}
	if len(p.errors) > 0 {
		return false, &BundleError{Problems: p.errors}
	}
	last := e.active.Load()
	if last != nil && last.id == p.id(cl, e.cfg.Builtins) {
		return false, nil
	}
	next, err := e.cfg.newRevision(p, cl)
	if err != nil {
		return false, err
	}
	a := activation(last, next)
	if e.deps.OnActivate != nil {
		if err := e.deps.OnActivate(ctx, a); err != nil {
			return false, fmt.Errorf("policy: revision %s was not activated: %w", next.id, err)
		}
	}
	e.active.Store(next)
	e.metrics.activated(next.id)
	e.log.InfoContext(ctx, "policy activated", "revision", next.id, "change", a.Summary(), "packages", next.packages)
	return true, nil
}

// activation compares two revisions; last may be nil.
func activation(last, next *revision) Activation {
	a := Activation{Revision: next.id, At: next.activated, Packages: next.packages}
	var before map[string]string
	if last != nil {
		a.Previous, before = last.id, last.digests
		a.Classification = last.classification != next.classification
	}
	for name, digest := range next.digests {
		switch old, was := before[name]; {
		case !was:
			a.Added = append(a.Added, name)
		case old != digest:
			a.Changed = append(a.Changed, name)
		}
	}
	for name := range before {
		if _, is := next.digests[name]; !is {
			a.Removed = append(a.Removed, name)
		}
	}
	slices.Sort(a.Added)
	slices.Sort(a.Changed)
	slices.Sort(a.Removed)
	return a
}
