package xds

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc/peer"
)

// tracker knows what is served, and what each connected Envoy holds of it.
type tracker struct {
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time

	mu        sync.Mutex
	published bool
	want      versions          // what is served
	needed    versions          // that, without what stays only until it is let go of
	envoys    map[int64]*client // by stream
	changed   chan struct{}     // closed at every change, and then made anew
}

// client is an Envoy that is connected.
type client struct {
	status   EnvoyStatus
	held     versions            // what it has taken
	pending  map[string]pending  // by nonce
	refusals map[string]*refusal // by type, of something that is still served
	told     bool                // that it is current, in the log
	overdue  bool                // it has not answered for longer than a removal waits
}

// pending is a response that was neither taken nor refused yet.
type pending struct {
	typ      string
	version  string
	versions map[string]string
	removed  []string
}

// refusal is a response that an Envoy refused. It does not change any more.
type refusal struct {
	pending
	blamed []string // the resources that are to blame for it
	said   Rejection
}

func newTracker(log *slog.Logger, m *metrics) *tracker {
	return &tracker{log: log, metrics: m, now: time.Now, envoys: map[int64]*client{}, changed: make(chan struct{})}
}

// serve says what is served from now on, and what of it is needed. It includes
// another try of what was refused.
func (t *tracker) serve(want, needed versions, refused []*refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.published, t.want, t.needed = true, want, needed
	for _, e := range t.envoys {
		for typ, r := range e.refusals {
			if !t.concerns(r) {
				e.forget(r)
			} else if slices.Contains(refused, r) {
				delete(e.refusals, typ) // the status tells of it until it is taken
			}
		}
	}
	t.notify()
}

// forget takes back that an Envoy refused something.
func (e *client) forget(r *refusal) {
	delete(e.refusals, r.typ)
	if e.status.LastRejection == &r.said {
		e.status.LastRejection = nil
	}
}

func (t *tracker) opened(ctx context.Context, id int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := &client{
		status: EnvoyStatus{Since: t.now(), Acked: map[string]string{}},
		held:   versions{}, pending: map[string]pending{}, refusals: map[string]*refusal{},
	}
	if p, ok := peer.FromContext(ctx); ok && p.Addr.Network() != "unix" {
		e.status.Address = p.Addr.String()
	}
	t.envoys[id] = e
	t.notify()
}

func (t *tracker) closed(id int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.envoys[id]
	delete(t.envoys, id)
	if e != nil && e.status.Node != "" {
		t.log.Info("envoy disconnected", "node", e.status.Node)
	}
	t.notify()
}

// sent remembers a response until it is taken or refused.
func (t *tracker) sent(id int64, resp *discoveryv3.DeltaDiscoveryResponse) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.envoys[id]
	if e == nil {
		return
	}
	p := pending{typ: resp.GetTypeUrl(), version: resp.GetSystemVersionInfo(), versions: map[string]string{}, removed: resp.GetRemovedResources()}
	for _, r := range resp.GetResources() {
		p.versions[r.GetName()] = r.GetVersion()
	}
	e.pending[resp.GetNonce()] = p
}

// received takes a request, which may be the answer to a response.
func (t *tracker) received(id int64, req *discoveryv3.DeltaDiscoveryRequest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.envoys[id]
	if e == nil {
		return
	}
	t.introduce(e, req)
	e.overdue = false
	if e.held[req.GetTypeUrl()] == nil {
		e.held[req.GetTypeUrl()] = map[string]string{}
	}
	// What it kept from an earlier connection is not sent again.
	maps.Copy(e.held[req.GetTypeUrl()], req.GetInitialResourceVersions())
	p, ok := e.pending[req.GetResponseNonce()]
	if !ok {
		return
	}
	delete(e.pending, req.GetResponseNonce())
	if detail := req.GetErrorDetail(); detail != nil {
		t.rejected(e, p, detail.GetMessage())
	} else {
		e.take(p)
	}
	t.notify()
}

// introduce notes who it is; Envoy says so in its first request only.
func (t *tracker) introduce(e *client, req *discoveryv3.DeltaDiscoveryRequest) {
	node := req.GetNode()
	if node == nil || e.status.Node != "" {
		return
	}
	e.status.Node = node.GetId()
	e.status.Version = versionOf(node)
	t.log.Info("envoy connected", "node", e.status.Node, "version", e.status.Version, "address", e.status.Address)
}

func (e *client) take(p pending) {
	maps.Copy(e.held[p.typ], p.versions)
	e.drop(p)
	e.status.Acked[typeName(p.typ)] = p.version
}

func (e *client) drop(p pending) {
	for _, name := range p.removed {
		delete(e.held[p.typ], name)
	}
}

func (t *tracker) rejected(e *client, p pending, message string) {
	e.drop(p) // Envoy removes before it adds, and refuses only what it cannot add
	names := slices.Sorted(maps.Keys(p.versions))
	blamed := blame(message, names)
	for _, name := range names {
		if _, bad := blamed[name]; !bad && len(blamed) > 0 {
			e.held[p.typ][name] = p.versions[name] // and takes the rest
		}
	}
	if len(blamed) == 0 {
		for _, name := range names {
			blamed[name] = message
		}
	}
	r := &refusal{pending: p, blamed: slices.Sorted(maps.Keys(blamed))}
	var reasons RejectedError
	for _, name := range r.blamed {
		reasons.Rejections = append(reasons.Rejections, Rejection{Reason: inWords(name, blamed[name])})
	}
	r.said = Rejection{Time: t.now(), Type: typeName(p.typ), Resources: r.blamed, Reason: reasons.Error(), Detail: message}
	if t.concerns(r) { // it may have been replaced in the meantime
		e.refusals[p.typ], e.status.LastRejection = r, &r.said
	}
	t.metrics.rejections.WithLabelValues(r.said.Type).Inc()
	t.log.Error("envoy refuses its configuration; what it had before goes on", "node", e.status.Node,
		"type", r.said.Type, "resources", r.blamed, "reason", r.said.Reason, "detail", message)
}

// notify is for every change: it brings what follows from it up to date and
// wakes whoever waits.
func (t *tracker) notify() {
	for _, e := range t.envoys {
		e.status.Current = t.current(e)
		e.status.Serving = e.status.Serving || e.status.Current
		if e.status.Current {
			e.status.LastRejection = nil
			clear(e.refusals)
		}
		if e.status.Current && !e.told {
			t.log.Info("envoy has the current configuration", "node", e.status.Node)
		}
		e.told = e.status.Current
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

// current says whether an Envoy holds all that is served. Clusters and listeners
// it must have asked for and taken at least once, even if there are none. Routes
// and secrets it asks for only if a listener needs them.
func (t *tracker) current(e *client) bool {
	if !t.published {
		return false
	}
	for typ, want := range t.want {
		held := e.held[typ]
		if typ != resourcev3.ClusterType && typ != resourcev3.ListenerType {
			want = t.needed[typ]
		}
		for name, version := range want {
			if held[name] != version {
				return false
			}
		}
		if typ != resourcev3.ClusterType && typ != resourcev3.ListenerType {
			continue
		}
		if _, ok := e.status.Acked[typeName(typ)]; !ok || len(held) != len(want) {
			return false
		}
	}
	return true
}

// concerns says whether a refusal is of something that is served now.
func (t *tracker) concerns(r *refusal) bool {
	return slices.ContainsFunc(r.blamed, func(name string) bool { return t.want[r.typ][name] == r.versions[name] })
}
