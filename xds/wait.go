package xds

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// Errors of Ready.
var (
	errNothingPublished = errors.New("no configuration has been published to Envoy yet")
	errNoEnvoy          = errors.New("no Envoy is connected")
	errNotTaken         = errors.New("no Envoy has taken the configuration yet")
)

// await waits until ok says so or ctx ends. ok runs with the lock held.
func (t *tracker) await(ctx context.Context, ok func() (bool, error)) error {
	for {
		t.mu.Lock()
		done, err := ok()
		changed := t.changed
		t.mu.Unlock()
		if done {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		case <-changed:
		}
	}
}

// taken is done once an Envoy holds all that is served, or one refused a part.
func (t *tracker) taken() (bool, error) {
	if !t.published {
		return false, errNothingPublished
	}
	if len(t.envoys) == 0 {
		return false, errNoEnvoy
	}
	var refused RejectedError
	for _, e := range t.sorted() {
		if e.status.Current {
			return true, nil
		}
		for _, typ := range slices.Sorted(maps.Keys(e.refusals)) {
			refused.Rejections = append(refused.Rejections, e.refusals[typ].said)
		}
	}
	if len(refused.Rejections) > 0 {
		return true, &refused
	}
	return false, errNotTaken
}

// letGo is done once no Envoy will let go of any more listeners by itself.
func (t *tracker) letGo() (bool, error) {
	for _, e := range t.envoys {
		if t.lettingGo(e) {
			return false, errNotTaken
		}
	}
	return true, nil
}

// lettingGo says whether an Envoy has listeners that it is about to let go of,
// or has not said yet which ones it has. What it refused to replace it keeps.
func (t *tracker) lettingGo(e *client) bool {
	if e.overdue {
		return false
	}
	if e.held[resourcev3.ListenerType] == nil {
		return true
	}
	r := e.refusals[resourcev3.ListenerType]
	return slices.ContainsFunc(t.outdated(e), func(name string) bool { return r == nil || !slices.Contains(r.blamed, name) })
}

// outdated are the listeners that an Envoy has, or was just sent, that are not
// served so any more.
func (t *tracker) outdated(e *client) []string {
	want := t.want[resourcev3.ListenerType]
	var out []string
	for name, version := range e.held[resourcev3.ListenerType] {
		if want[name] != version {
			out = append(out, name)
		}
	}
	for _, p := range e.pending {
		for name, version := range p.versions {
			if p.typ == resourcev3.ListenerType && want[name] != version {
				out = append(out, name)
			}
		}
	}
	return out
}

// giveUp notes which Envoys did not let go in time. They are not waited for
// again until they answer.
func (t *tracker) giveUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.envoys {
		e.overdue = t.lettingGo(e)
	}
}

// inUse are the listeners that some Envoy has not let go of, in order.
func (t *tracker) inUse() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, e := range t.envoys {
		out = append(out, t.outdated(e)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// serving is nil when an Envoy serves a whole configuration.
func (t *tracker) serving() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.envoys {
		if e.status.Serving {
			return nil
		}
	}
	_, err := t.taken()
	return err
}

// refused are the responses with something in them that is served now and that
// an Envoy refused.
func (t *tracker) refused() []*refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []*refusal
	for _, e := range t.envoys {
		out = slices.AppendSeq(out, maps.Values(e.refusals))
	}
	return out
}

func (t *tracker) sorted() []*client {
	return slices.SortedFunc(maps.Values(t.envoys), func(a, b *client) int { return a.status.Since.Compare(b.status.Since) })
}

func (t *tracker) status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Status{Published: t.published, Versions: map[string]string{}}
	for typ, vs := range t.want {
		s.Versions[typeName(typ)] = versionOfAll(vs)
	}
	for _, e := range t.sorted() {
		es := e.status
		es.Acked = maps.Clone(es.Acked)
		s.Envoys = append(s.Envoys, es)
	}
	return s
}

func (t *tracker) count(is func(EnvoyStatus) bool) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0.0
	for _, e := range t.envoys {
		if is(e.status) {
			n++
		}
	}
	return n
}

func versionOf(node *corev3.Node) string {
	v := node.GetUserAgentBuildVersion().GetVersion()
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", v.GetMajorNumber(), v.GetMinorNumber(), v.GetPatch())
}
