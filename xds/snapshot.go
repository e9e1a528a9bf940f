package xds

import (
	"fmt"
	"maps"
	"slices"

	cachetypes "github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// versions are the versions of resources, by type URL and name.
type versions map[string]map[string]string

// attempts counts how often a resource was served again though it is the same,
// because an Envoy had refused it.
type attempts map[string]map[string]int

// and counts what was refused, so that it is sent again: the port may be free by
// now. What was sent together with it is too, as Envoy may not have taken it.
func (a attempts) and(refused []*refusal) attempts {
	out := attempts{}
	for typ, names := range a {
		out[typ] = maps.Clone(names)
	}
	for _, r := range refused {
		if out[r.typ] == nil {
			out[r.typ] = map[string]int{}
		}
		for name := range r.versions {
			out[r.typ][name]++
		}
	}
	return out
}

// all gives the resources by type URL.
func (r *Resources) all() map[string][]cachetypes.Resource {
	return map[string][]cachetypes.Resource{
		resourcev3.ClusterType:  untyped(r.Clusters),
		resourcev3.ListenerType: untyped(r.Listeners),
		resourcev3.RouteType:    untyped(r.Routes),
		resourcev3.SecretType:   untyped(r.Secrets),
	}
}

func untyped[R cachetypes.Resource](rs []R) []cachetypes.Resource {
	out := make([]cachetypes.Resource, len(rs))
	for i, r := range rs {
		out[i] = r
	}
	return out
}

// snapshot is what the cache serves, and the version of each resource as it is
// sent: the hash of its bytes, so that only what changed is sent, and an Envoy
// that comes back is sent nothing that it still has. To the cache alone a
// resource that is to be sent again has another version.
func (r *Resources) snapshot(again attempts) (*cachev3.Snapshot, versions, error) {
	s := &cachev3.Snapshot{VersionMap: versions{}}
	sent := versions{}
	for typ, rs := range r.all() {
		sent[typ], s.VersionMap[typ] = map[string]string{}, map[string]string{}
		items := map[string]cachetypes.ResourceWithTTL{}
		for _, res := range rs {
			name := cachev3.GetResourceName(res)
			raw, err := cachev3.MarshalResource(res)
			if err != nil {
				return nil, nil, err
			}
			version := cachev3.HashResource(raw)
			sent[typ][name] = version
			if n := again[typ][name]; n > 0 {
				version = fmt.Sprintf("%s-%d", version, n)
			}
			s.VersionMap[typ][name] = version
			items[name] = cachetypes.ResourceWithTTL{Resource: res}
		}
		s.Resources[cachev3.GetResponseType(typ)] = cachev3.Resources{Version: versionOfAll(sent[typ]), Items: items}
	}
	return s, sent, nil
}

// versionOfAll is a version for all resources of a type together.
func versionOfAll(vs map[string]string) string {
	var all []byte
	for _, name := range slices.Sorted(maps.Keys(vs)) {
		all = append(all, name+"="+vs[name]+"\n"...)
	}
	return cachev3.HashResource(all)[:16]
}

// everything keeps all there is.
func everything(string) bool { return true }

// keeping is r with what it lacks of old and keep wants, except for listeners.
// With everything it is the first of two steps of a removal, in which listeners
// let go of the rest. It reports whether there is anything left to take away.
func (r *Resources) keeping(old *Resources, keep func(name string) bool) (*Resources, bool, error) {
	if old == nil {
		return r, false, nil
	}
	out := &Resources{
		Clusters:  union(r.Clusters, old.Clusters, keep),
		Listeners: r.Listeners,
		Routes:    union(r.Routes, old.Routes, keep),
		Secrets:   union(r.Secrets, old.Secrets, keep),
	}
	more := len(out.Clusters) > len(r.Clusters) || len(out.Routes) > len(r.Routes) || len(out.Secrets) > len(r.Secrets)
	return out, more, out.sort()
}

func union[R interface{ GetName() string }](rs, old []R, keep func(string) bool) []R {
	out := slices.Clone(rs)
	for _, o := range old {
		if keep(o.GetName()) && !slices.ContainsFunc(rs, func(r R) bool { return r.GetName() == o.GetName() }) {
			out = append(out, o)
		}
	}
	return out
}
