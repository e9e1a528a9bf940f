package postgres

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/integration/pki"
	"github.com/weir-gateway/weir/internal/detect"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/mask"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rules decide as the test says.
type rules func(in *gate.Input) gate.Decision

func (r rules) Decide(_ context.Context, in *gate.Input) (gate.Decision, error) { return r(in), nil }

func allowAll(*gate.Input) gate.Decision { return gate.Decision{Effect: gate.Allow} }

// ledger keeps what is recorded.
type ledger struct {
	mu       sync.Mutex
	err      error
	events   []gate.Event
	payloads map[string]map[gate.Stream][]byte // by operation
}

func (l *ledger) Record(_ context.Context, e *gate.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.events = append(l.events, *e)
	return nil
}

func (l *ledger) Begin(ctx context.Context, e *gate.Event) (gate.Receipt, error) {
	return func(context.Context) error { return nil }, l.Record(ctx, e)
}

func (l *ledger) Handoff(ctx context.Context, e *gate.Event) error { return l.Record(ctx, e) }

func (l *ledger) Payload(_ context.Context, p *gate.Payload) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if l.payloads == nil {
		l.payloads = map[string]map[gate.Stream][]byte{}
	}
	if l.payloads[p.Operation] == nil {
		l.payloads[p.Operation] = map[gate.Stream][]byte{}
	}
	l.payloads[p.Operation][p.Stream] = append(l.payloads[p.Operation][p.Stream], p.Data...)
	return nil
}

func (l *ledger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events, l.payloads = nil, nil
}

func (l *ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// body is the body of the event recorded as number i, from 0.
func (l *ledger) body(i int) any {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events[i].Body
}

// outcomes are the outcomes recorded so far, in order.
func (l *ledger) outcomes() []gate.Outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []gate.Outcome
	for _, e := range l.events {
		if o, ok := e.Body.(gate.Outcome); ok {
			out = append(out, o)
		}
	}
	return out
}

func (l *ledger) kinds() []gate.EventKind {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []gate.EventKind
	for _, e := range l.events {
		out = append(out, e.Kind)
	}
	return out
}

// stream is everything recorded of one stream, of all operations.
func (l *ledger) stream(s gate.Stream) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []byte
	for _, e := range l.events {
		if e.Kind == gate.OperationRequested {
			all = append(all, l.payloads[e.Operation][s]...)
		}
	}
	return all
}

// people hold operations until the test says otherwise.
type people struct {
	mu      sync.Mutex
	asked   chan *gate.Approval
	resolve chan gate.ApprovalState
	pending *gate.Approval
}

func newPeople() *people {
	return &people{asked: make(chan *gate.Approval, 8), resolve: make(chan gate.ApprovalState, 8)}
}

func (p *people) Request(_ context.Context, a *gate.Approval) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending = a
	return nil
}

func (p *people) Wait(ctx context.Context, _ string) (*gate.Approval, error) {
	p.mu.Lock()
	done := *p.pending
	p.mu.Unlock()
	p.asked <- &done
	select {
	case done.State = <-p.resolve:
		return &done, nil
	case <-ctx.Done():
		done.State = gate.Withdrawn
		return nil, ctx.Err()
	}
}

// publicError is an error whose words the client may see.
type publicError string

func (e publicError) Error() string  { return "internal: " + string(e) }
func (e publicError) Public() string { return string(e) }

// issuer knows the tokens "good" and "brief".
type issuer struct{ expires time.Time }

func (i issuer) Authenticate(_ context.Context, token string) (gate.Principal, error) {
	switch token {
	case "good":
		return gate.Principal{Subject: "agent-1", Roles: []string{"group:support"}, Token: gate.Token{Hash: "h", Expires: i.expires}}, nil
	case "broken":
		return gate.Principal{}, errors.New("signature: secret detail")
	}
	return gate.Principal{}, publicError("the token is not valid here")
}

// secret is a password of the gateway's.
func secret(value string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return value, nil }
}

// classes are classes by "schema.table.column".
type classes map[string][]string

type classified struct {
	by     classes
	detect []detect.Asked
	within map[string]map[string][]string // JSONPaths, of those columns that have some
}

func (c *classified) Column(_, schema, table, column string) []string {
	return c.by[schema+"."+table+"."+column]
}
func (c *classified) Classified(string) bool          { return len(c.by) > 0 }
func (c *classified) Detectors(string) []detect.Asked { return c.detect }
func (c *classified) Within(_, schema, table, column string) ([]string, map[string][]string) {
	if paths := c.within[schema+"."+table+"."+column]; paths != nil {
		return nil, paths
	}
	return c.Column("", schema, table, column), nil
}
func (c *classified) Classes(string) (all []string) {
	for _, one := range c.by {
		all = append(all, one...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// world is everything around a session.
type world struct {
	t      testing.TB
	cfg    Config
	deps   Deps
	rules  rules
	ledger *ledger
	// policy is what decides; by default the rules.
	policy gate.Policy
	// recorder is what records; by default the ledger.
	recorder gate.Recorder
	people   *people
	log      lockedBuffer
	peer     string // address of clients, where it is not the real one
	// dial, if set, is how the gateway connects to the server itself, once the
	// client has signed in.
	dial func(ctx context.Context) (net.Conn, error)
	// toClient, if set, is what the gateway has for the client's connection.
	toClient func(net.Conn) net.Conn
	ca       *pki.CA

	mu      sync.Mutex // guards rules
	handler *Handler
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	ends    sync.Once
}

// fixedCatalog is a catalog that does not change.
type fixedCatalog struct{ sqlmeta.Catalog }

func (c fixedCatalog) Snapshot(context.Context) (sqlmeta.Catalog, error) { return c.Catalog, nil }
func (c fixedCatalog) Refresh(context.Context) error                     { return nil }
func (c fixedCatalog) Holds(context.Context, sqlmeta.Catalog, sqlmeta.Names) (bool, error) {
	return true, nil
}
func (c fixedCatalog) Written() string                    { return "SELECT 1" }
func (c fixedCatalog) WrittenNothing(string) (bool, bool) { return true, true }
func (c fixedCatalog) Own() []string                      { return nil }
func (c fixedCatalog) Within(base sqlmeta.Catalog, _ []string) (sqlmeta.Catalog, error) {
	return base, nil
}
func (c fixedCatalog) Changes() func() { return func() {} }

var sharedMasker = sync.OnceValue(func() *mask.Masker {
	m, err := mask.New(mask.Keys{HMAC: bytes.Repeat([]byte("k"), 32)})
	if err != nil {
		panic(err)
	}
	return m
})

// newWorld makes a world in which everything is allowed. The caller changes it
// before serve.
func newWorld(t testing.TB) *world {
	w := &world{t: t, rules: allowAll, ledger: &ledger{}, people: newPeople()}
	w.cfg = Config{
		Target:   gate.Target{Name: "orders", Kind: "postgres", Labels: map[string]string{}},
		Upstream: Upstream{User: "weir_orders", Database: "shop", TLS: TLSPrefer},
		Startup:  20 * time.Second,
		Drain:    20 * time.Second,
	}
	w.deps = Deps{
		Identity: issuer{}, Password: secret("upstream-secret"), Masker: sharedMasker(),
		Classification: func() Classification { return &classified{} },
		Log:            slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return w
}

// lockedBuffer is a buffer that many write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// logged is what the gateway has logged.
func (w *world) logged() string {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	return w.log.b.String()
}

// tellLog prints what was logged if the test has failed.
func (w *world) tellLog() {
	if w.t.Failed() {
		w.t.Log(w.logged())
	}
}

// classify classifies columns and masks their classes.
func (w *world) classify(c classes) {
	have := &classified{by: c}
	w.deps.Classification = func() Classification { return have }
}

func (w *world) decide(in *gate.Input) gate.Decision {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rules(in)
}

// rule puts other rules in force.
func (w *world) rule(r rules) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rules = r
}

// start makes the handler.
func (w *world) start() {
	w.t.Helper()
	if w.recorder == nil {
		w.recorder = w.ledger
	}
	if w.policy == nil {
		w.policy = rules(w.decide)
	}
	g, err := gate.New(w.policy, w.people, w.recorder, w.deps.Log)
	if err != nil {
		w.t.Fatal(err)
	}
	w.deps.Gate = g
	if w.handler, err = New(w.cfg, w.deps); err != nil {
		w.t.Fatal(err)
	}
}

// offerTLS gives the gateway a certificate.
func (w *world) offerTLS() {
	w.t.Helper()
	ca, err := pki.New("test CA")
	if err != nil {
		w.t.Fatal(err)
	}
	leaf, err := ca.Issue(pki.Request{CommonName: "gateway"})
	if err != nil {
		w.t.Fatal(err)
	}
	cert, err := leaf.TLS()
	if err != nil {
		w.t.Fatal(err)
	}
	w.ca = ca
	w.cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &cert, nil }
}

// serve plays the tunnel: it accepts clients and dials the server for each. It
// returns the address for clients.
func (w *world) serve(upstream string) string {
	w.t.Helper()
	w.start()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.wg.Add(1)
	go func() {
		defer w.wg.Done()
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			w.wg.Add(1)
			go func() {
				defer w.wg.Done()
				w.tunnel(ctx, client, upstream)
			}()
		}
	}()
	w.ends.Do(func() { w.t.Cleanup(w.wg.Wait) }) // when all of the gateways are closed
	w.t.Cleanup(func() {
		l.Close()
		cancel()
	})
	return l.Addr().String()
}

func (w *world) tunnel(ctx context.Context, client net.Conn, upstream string) {
	defer client.Close()
	peer := w.peer
	if peer == "" {
		peer = client.RemoteAddr().String()
	}
	tunnel := &extproc.Tunnel{Target: w.cfg.Target.Name, Peer: extproc.Peer{Address: peer}, Client: client, Dial: w.dial}
	leave, err := w.handler.Admit(ctx, tunnel.Peer)
	if tunnel.Refused = err; err != nil {
		leave = func() {}
	}
	defer leave()
	tunnel.SignedIn = leave
	if w.toClient != nil {
		tunnel.Client = w.toClient(client)
	}
	if w.dial == nil {
		if tunnel.Server, err = net.Dial("tcp", upstream); err != nil {
			tunnel.Server = refusedConn{Conn: client}
		}
		defer tunnel.Server.Close()
	}
	w.handler.ServeTunnel(ctx, tunnel)
}

// refusedConn is the server's side of a tunnel whose upstream refused.
type refusedConn struct{ net.Conn }

func (refusedConn) Read([]byte) (int, error)         { return 0, extproc.ErrUpstreamRefused }
func (refusedConn) Write(p []byte) (int, error)      { return len(p), nil }
func (refusedConn) Close() error                     { return nil }
func (refusedConn) SetDeadline(time.Time) error      { return nil }
func (refusedConn) SetReadDeadline(time.Time) error  { return nil }
func (refusedConn) SetWriteDeadline(time.Time) error { return nil }

// operationOf is the operation that an event is about.
func operationOf(e *gate.Event) *gate.Operation {
	raw, err := json.Marshal(e.Body)
	if err != nil {
		panic(err)
	}
	var body struct {
		Operation *gate.Operation `json:"operation"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		panic(err)
	}
	return body.Operation
}
