package xds

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// Resources are what Envoy is given, each list ordered by name.
type Resources struct {
	Clusters  []*clusterv3.Cluster
	Listeners []*listenerv3.Listener
	Routes    []*routev3.RouteConfiguration
	Secrets   []*tlsv3.Secret
}

// Translate makes the resources of all targets. It is a pure function: the same
// targets give the same bytes. Every mistake is in the error.
func Translate(o Options, targets []Target) (*Resources, error) {
	return translate(o, targets, false)
}

// translate makes resources that refer to each other by xDS or, when inline, a
// set that stands alone, for checking.
func translate(o Options, targets []Target, inline bool) (*Resources, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	b := &builder{Options: o, inline: inline}
	b.weirCluster()
	b.fallbackCluster()
	targets = slices.SortedFunc(slices.Values(targets), func(x, y Target) int { return cmp.Compare(x.Name, y.Name) })
	errs := []error{errors.Join(b.errs...), overlaps(targets)}
	for i := range targets {
		t := &targets[i]
		b.errs = nil
		if err := t.check(); err != nil {
			errs = append(errs, fmt.Errorf("target %s: %w", t.Name, err))
			continue
		}
		b.target(t)
		for _, err := range b.errs {
			errs = append(errs, fmt.Errorf("target %s: %w", t.Name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &b.out, b.out.sort()
}

// builder collects resources, and what was wrong on the way.
type builder struct {
	Options
	inline bool
	out    Resources
	errs   []error
}

func (b *builder) target(t *Target) {
	switch {
	case t.Kind != Postgres:
		b.http(t)
	case t.Transport == Relay:
		b.relay(t)
	default:
		b.postgres(t)
	}
}

func (b *builder) addCluster(c *clusterv3.Cluster) {
	b.validate(c)
	b.out.Clusters = append(b.out.Clusters, c)
}

func (b *builder) addListener(l *listenerv3.Listener) {
	b.validate(l)
	b.out.Listeners = append(b.out.Listeners, l)
}

func (b *builder) addSecret(s *tlsv3.Secret) {
	b.validate(s)
	b.out.Secrets = append(b.out.Secrets, s)
}

// The names of resources. Targets cannot take each other's: sort finds out.

func listenerName(target string) string { return "weir-" + target }

func innerName(target string) string { return listenerName(target) + "-inner" }

func anyUpstreamName(target string) string { return upstreamName(target) + "-or-fallback" }

func relayName(target string) string { return "relay-" + target }

func upstreamName(target string) string { return "upstream-" + target }

// neededBy says which resources listeners need, by all of their names.
func neededBy(listeners []string) func(name string) bool {
	needed := map[string]bool{}
	for _, l := range listeners {
		// It may be an internal listener, or that of a target called so.
		target := strings.TrimPrefix(l, listenerName(""))
		for _, t := range []string{target, strings.TrimSuffix(target, "-inner")} {
			for _, name := range []string{
				listenerName(t), innerName(t), upstreamName(t), anyUpstreamName(t), relayName(t), "tls-" + t, "clients-" + t, "ca-" + t,
			} {
				needed[name] = true
			}
		}
	}
	return func(name string) bool { return needed[name] }
}

// overlaps finds targets that want the same address.
func overlaps(targets []Target) error {
	var errs []error
	for i := range targets {
		x, err := parseListen(targets[i].Listen)
		if err != nil {
			continue // reported with the target
		}
		for j := range targets[:i] {
			y, err := parseListen(targets[j].Listen)
			if err == nil && x.overlaps(y) {
				errs = append(errs, fmt.Errorf("target %s: %s is taken by target %s (%s); choose another `listen`", targets[i].Name, x, targets[j].Name, y))
			}
		}
	}
	return errors.Join(errs...)
}

func (r *Resources) sort() error {
	return errors.Join(
		sortByName("clusters", r.Clusters), sortByName("listeners", r.Listeners),
		sortByName("routes", r.Routes), sortByName("secrets", r.Secrets))
}

func sortByName[R interface{ GetName() string }](what string, rs []R) error {
	slices.SortFunc(rs, func(x, y R) int { return cmp.Compare(x.GetName(), y.GetName()) })
	for i := 1; i < len(rs); i++ {
		if rs[i].GetName() == rs[i-1].GetName() {
			return fmt.Errorf("two %s of Envoy would be called %s; rename one of the targets", what, rs[i].GetName())
		}
	}
	return nil
}
