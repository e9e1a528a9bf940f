package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/gate"
)

const (
	// lastWords bounds how long the end of a session waits for a client to take
	// its last message.
	lastWords = 2 * time.Second
	// linger bounds how long the server may take to finish after Terminate.
	linger = 10 * time.Second
)

// Transaction status (PostgreSQL, ReadyForQuery).
const (
	txIdle   = 'I'
	txOpen   = 'T'
	txFailed = 'E'
)

// session is one client and one server. Fields without a note belong to the
// client's side.
type session struct {
	*Handler
	gate    *gate.Session
	ctx     context.Context // ends with the session
	stop    context.CancelFunc
	catalog Catalog // nil for physical replication, which has no SQL
	// replication says which commands the server takes: of a connection for
	// replication its own, in Queries alone.
	replication replication
	key         pgproto3.BackendKeyData // the server's
	secret      []byte                  // of the key that the client was given instead
	address     string                  // host:port of the server that the session is on, "" where that is not known

	client *frameReader
	server *frameReader // the server's side reads from it

	clientConn net.Conn // written by either side, whole messages under clientMu
	clientMu   sync.Mutex
	cut        bool              // the client will get nothing more: it has a part of a message, or the last word
	serverConn net.Conn          // written by the client's side, but for failTransaction
	needServer func(needed bool) // before more is read from the client: see extproc.Tunnel.Await

	batch       batch
	chain       chain
	refusing    bool        // the client is to send a Sync before anything is taken again
	readyNow    bool        // ReadyForQuery is the gateway's to send, at that Sync
	segmentOpen atomic.Bool // messages have been taken since the last Sync; read by others too
	unsynced    bool        // messages have been taken that no Sync has followed: one may commit, or end an error
	path        []string
	asking      *probe // for the path, since the session began; nil once that was answered
	temporary   temporary
	own         ownView
	resolving   int
	asked       time.Time // when an unknown name last had the catalog read again
	values      [][]byte  // scratch of Bind
	seeking     seeking
	judging     judging
	types       *pgtype.Map
	writes      []*operation // of this segment, which may have to be taken back
	copying     *operation   // the last one that may be a COPY, until it is answered

	// The next three belong to the server's side.
	out      deliveries
	muted    bool // nothing is delivered up to ReadyForQuery
	ownError bool // because of an error of the gateway's own

	mu           sync.Mutex // guards what follows
	changed      sync.Cond  // an answer came, or the session ended
	queue        queue
	dirty        bool // the server's side holds what it has not delivered
	sending      bool // the client's side is sending to the server
	poisoning    bool // the server's side is
	txStatus     byte
	statements   names
	portals      names
	params       map[string]string // as the server reported them
	pathChanged  bool
	settingsInTx bool
	// settingsChanged says that what changed the path may have changed any setting.
	settingsChanged bool
	tempsChanged    bool // the session may have other temporary relations than it was known to have
	tempsInTx       bool // because of what the transaction has done
	maskedInTx      bool // the transaction has used what is masked
	catalogStale    bool
	changes         func()             // ends the change of the schema that this session has begun, nil for none
	cancelling      bool               // the server has been asked to stop a statement
	hold            context.CancelFunc // of the operation that is held
	ending          *ending

	closed atomic.Bool
	// terminating says that the client has taken its leave.
	terminating atomic.Bool
	serverLeft  atomic.Bool  // the server has closed its end
	active      atomic.Int64 // nanoseconds since 1970 of the last sign of life
	expiry      *time.Timer
	idle        *time.Timer
	bytesIn     atomic.Int64
	bytesOut    atomic.Int64
	reason      atomic.Pointer[string]
	cancels     sync.WaitGroup
	last        sync.Once
	finished    sync.Once
	clientEnd   chan struct{} // closed when nothing more is taken from the client
	serverEnd   chan struct{} // closed when the server's side has returned
}

// ending is why a session ends, and what its client is told.
type ending struct {
	reason string
	last   *problem
	// finish lets the client end what it has begun: all up to its Sync, or its COPY.
	finish bool
}

// errEnded reports that the session is to end and nothing more is forwarded.
var errEnded = errors.New("the session has ended")

func (h *Handler) newSession(t *extproc.Tunnel, g *greeting, p gate.Principal, database string) *session {
	s := &session{
		Handler: h,
		gate: &gate.Session{
			ID: gate.NewID(), Started: time.Now(), Principal: p, Target: h.cfg.Target, Database: database, Replication: string(g.params.replication),
			Client: gate.Client{Address: t.Peer.Address, TLS: g.tlsVersion(&t.Peer), Application: g.params.app, SignIn: string(g.way)},
		},
		client: g.reader, clientConn: g.conn, needServer: t.Await, replication: g.params.replication,
		statements: newNames(), portals: newNames(), clientEnd: make(chan struct{}), serverEnd: make(chan struct{}),
	}
	s.gate.Settings, s.gate.Risks = g.params.facts()
	if s.needServer == nil {
		s.needServer = func(bool) {}
	}
	s.batch.copyFrom = -1
	s.changed.L = &s.mu
	return s
}

// attach gives a session its server.
func (s *session) attach(server *signedIn) error {
	if s.replication != physical {
		catalog, err := s.deps.Catalog(s.gate.Database)
		if err != nil {
			s.deps.Log.Error("no catalog", "target", s.cfg.Target.Name, "database", s.gate.Database, "err", err)
			return fatal(codeInternal, "the gateway does not know the catalog of database %q of target %s", s.gate.Database, s.cfg.Target.Name)
		}
		s.catalog = catalog
	}
	s.server, s.serverConn, s.key = server.reader, server.conn, server.key
	s.secret = server.secret
	s.address = addressOf(server.conn)
	s.params, s.txStatus, s.pathChanged, s.settingsChanged = server.params, server.txStatus, true, true
	return nil
}

// run relays until the session ends, and then records that it has.
func (s *session) run(ctx context.Context) {
	s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.client.onBlock = s.beforeWait
	s.server.onBlock = s.deliver
	s.out.in = s.server
	s.metrics.sessions.Inc()
	defer s.metrics.sessions.Dec()
	defer s.live.remove(s)
	release := s.watch(ctx)

	s.askFirst()
	go func() {
		defer close(s.serverEnd)
		s.endServerSide(s.fromServer())
	}()
	err := s.fromClient()
	close(s.clientEnd)
	s.endClientSide(err)

	<-s.serverEnd
	release()
	s.shut()
	s.cancels.Wait()
	s.abandon()
	s.finish(ctx, "")
}

// finish records the end of the session.
func (s *session) finish(ctx context.Context, reason string) {
	if reason == "" {
		reason = "closed"
		if r := s.reason.Load(); r != nil {
			reason = *r
		}
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), linger)
	defer cancel()
	closing := gate.Closing{Reason: reason, BytesIn: s.bytesIn.Load(), BytesOut: s.bytesOut.Load()}
	if err := s.deps.Gate.Close(end, s.gate, closing); err != nil {
		s.deps.Log.ErrorContext(ctx, "the end of a session could not be recorded", "session", s.gate.ID, "err", err)
	}
	s.deps.Log.InfoContext(ctx, "session closed", "target", s.cfg.Target.Name, "session", s.gate.ID,
		"subject", s.gate.Principal.Subject, "reason", reason)
}

// because notes why the session ends. The first word counts.
func (s *session) because(reason string) { s.reason.CompareAndSwap(nil, &reason) }

// shut closes both ends at once.
func (s *session) shut() {
	s.finished.Do(func() {
		s.closed.Store(true)
		if s.stop != nil {
			s.stop()
		}
		s.mu.Lock()
		s.changed.Broadcast()
		s.mu.Unlock()
		if s.serverLeft.Load() {
			_ = s.clientConn.Close()
		}
		s.hangUp()
		_ = s.clientConn.Close()
	})
}

// hangUp closes the server's end. A server that has closed its own hears no farewell
// in TLS (close_notify) any more: it would answer with a reset, on which Envoy drops
// what it has not delivered to the client.
func (s *session) hangUp() {
	if secure, ok := s.serverConn.(*tls.Conn); ok && s.serverLeft.Load() {
		_ = secure.NetConn().Close()
		return
	}
	_ = s.serverConn.Close()
}

// endClientSide ends the session after the client's side has returned.
func (s *session) endClientSide(err error) {
	var p *problem
	switch {
	case errors.Is(err, errTerminate):
		s.because("the client ended it")
		_ = s.serverConn.SetReadDeadline(time.Now().Add(linger))
		<-s.serverEnd
	case errors.As(err, &p):
		s.because(p.message)
		s.end(&ending{reason: p.message, last: p}, true)
	case errors.Is(err, errEnded):
		// Whoever ends the session may not have said so to the client yet.
		if e := s.endingNow(); e != nil {
			s.awaitAnswers()
			s.end(e, true)
		}
	case s.closed.Load():
	case errors.Is(err, errServerGone):
		_ = s.serverConn.SetReadDeadline(time.Now().Add(linger))
		<-s.serverEnd // the server may have said why
	default:
		s.because("the client went away")
		if errors.Is(err, io.EOF) { // it may only have said that it says no more
			s.awaitAnswers()
		}
	}
	s.shut()
}

// clientLeft says whether it is the client because of whom nothing more comes from
// the server. When a client leaves, Envoy ends both directions, and what the client
// said last may not have been read yet; that is waited for, not for long.
func (s *session) clientLeft(err error) bool {
	if !errors.Is(err, extproc.ErrEnded) || s.terminating.Load() {
		return s.terminating.Load()
	}
	select {
	case <-s.clientEnd:
	case <-time.After(lastWords):
	}
	return true
}

// endServerSide ends the session after the server's side has returned.
func (s *session) endServerSide(err error) {
	s.mu.Lock()
	s.dirty = false // what is not delivered by now will not be
	s.mu.Unlock()
	var p *problem
	switch {
	case s.closed.Load(), errors.Is(err, errEnded):
	case errors.As(err, &p):
		s.because(p.message)
		s.deps.Log.Error("a session was broken off", "target", s.cfg.Target.Name, "session", s.gate.ID, "err", err)
		s.end(&ending{reason: p.message, last: p}, true)
	case errors.Is(err, errClientGone):
		s.because("the client went away")
	case s.clientLeft(err):
		reason := "the client went away"
		if s.terminating.Load() { // the server hangs up on who has taken leave
			reason = "the client ended it"
		}
		s.because(reason)
	default:
		s.serverLeft.Store(true)
		s.because("the server closed the connection")
		var last *problem
		if !s.out.lastWords {
			last = fatal(codeConnectionFailure, "target %s closed the connection", s.cfg.Target.Name)
		}
		s.end(&ending{reason: "the server closed the connection", last: last}, true)
	}
	s.shut()
}

var (
	errTerminate  = errors.New("the client said that it ends")
	errClientGone = errors.New("the client does not take what it is sent")
	errServerGone = errors.New("the server does not take what it is sent")
)
