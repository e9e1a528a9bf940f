package extproc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// wire is a gRPC stream without gRPC: what Envoy would send goes in, raw.
type wire struct {
	extprocv3.ExternalProcessor_ProcessServer // nil: what is not below is not used
	ctx                                       context.Context
	in                                        chan []byte // closed: Envoy ended the stream

	mu  sync.Mutex
	out []*extprocv3.ProcessingResponse
}

func (w *wire) Context() context.Context { return w.ctx }

func (w *wire) RecvMsg(m any) error {
	select {
	case raw, ok := <-w.in:
		if !ok {
			return io.EOF
		}
		return newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(raw)}, m)
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

func (w *wire) SendMsg(m any) error {
	data, err := newCodec().Marshal(m)
	if err != nil {
		return err
	}
	defer data.Free()
	if w.ctx.Err() != nil {
		return w.ctx.Err()
	}
	answer := new(extprocv3.ProcessingResponse)
	if err := proto.Unmarshal(data.Materialize(), answer); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out = append(w.out, answer)
	return nil
}

func marshal(t testing.TB, m *extprocv3.ProcessingRequest) []byte {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func firstRequest(method string) *extprocv3.ProcessingRequest {
	const full = filterv3.ProcessingMode_FULL_DUPLEX_STREAMED
	return &extprocv3.ProcessingRequest{
		Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: &extprocv3.HttpHeaders{
			Headers: &corev3.HeaderMap{Headers: []*corev3.HeaderValue{{Key: ":method", RawValue: []byte(method)}}},
		}},
		ProtocolConfig: &extprocv3.ProtocolConfiguration{RequestBodyMode: full, ResponseBodyMode: full},
	}
}

func okResponse() *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: &extprocv3.HttpHeaders{
		Headers: &corev3.HeaderMap{Headers: []*corev3.HeaderValue{{Key: ":status", RawValue: []byte("200")}}},
	}}}
}

type oneTarget struct {
	tunnel   func(context.Context, *Tunnel)
	exchange func(context.Context, Exchange)
}

func (o oneTarget) Tunnel(string) (TunnelHandler, bool)     { return o, o.tunnel != nil }
func (o oneTarget) Exchange(string) (ExchangeHandler, bool) { return o, o.exchange != nil }
func (o oneTarget) Headers(string) (HeaderHandler, bool)    { return nil, false }

func (o oneTarget) Admit(context.Context, Peer) (func(), error)   { return func() {}, nil }
func (o oneTarget) ServeTunnel(ctx context.Context, t *Tunnel)    { o.tunnel(ctx, t) }
func (o oneTarget) ServeExchange(ctx context.Context, e Exchange) { o.exchange(ctx, e) }
func (o oneTarget) serve(t testing.TB, cfg Config, w *wire) <-chan error {
	t.Helper()
	s, err := New(cfg, o, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		ended <- s.Process(w)
	}()
	return ended
}

func newWire(ctx context.Context) *wire {
	return &wire{ctx: metadata.NewIncomingContext(ctx, metadata.Pairs("weir-target", "orders")), in: make(chan []byte)}
}

// taken says whether the service takes one more message now.
func (w *wire) taken(raw []byte) bool {
	synctest.Wait()
	select {
	case w.in <- raw:
		synctest.Wait()
		return true
	default:
		return false
	}
}

// flood sends chunks until no more are taken, and returns how many bytes were.
func (w *wire) flood(t *testing.T, dir direction, chunk int) int {
	raw := marshal(t, bodyRequest(dir, []byte(strings.Repeat("x", chunk)), false))
	total := 0
	for w.taken(raw) {
		total += chunk
	}
	return total
}

func TestPace(t *testing.T) {
	cfg := Config{Window: 4 << 10, MaxBuffered: 32 << 10, StallDelay: time.Second}
	run := func(t *testing.T, handler func(context.Context, *Tunnel), play func(*testing.T, *wire, <-chan error)) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w := newWire(ctx)
			ended := oneTarget{tunnel: handler}.serve(t, cfg, w)
			w.in <- marshal(t, firstRequest("CONNECT"))
			w.in <- marshal(t, okResponse())
			play(t, w, ended)
			cancel()
			for range ended { //nolint:revive // until it is closed
			}
		})
	}

	t.Run("nobody reads: the window, and no more however long it lasts", func(t *testing.T) {
		run(t, func(ctx context.Context, _ *Tunnel) { <-ctx.Done() }, func(t *testing.T, w *wire, _ <-chan error) {
			if got := w.flood(t, request, 1<<10); got != 4<<10 {
				t.Errorf("%d bytes were taken, want the window", got)
			}
			time.Sleep(24 * time.Hour)
			if got := w.flood(t, request, 1<<10); got != 0 {
				t.Errorf("%d more bytes were taken", got)
			}
		})
	})
	t.Run("the reader goes on: so does Envoy", func(t *testing.T) {
		var next chan int // of the bubble
		run(t, func(_ context.Context, c *Tunnel) {
			next = make(chan int)
			for n := range next {
				_, _ = io.ReadFull(c.Client, make([]byte, n))
			}
		}, func(t *testing.T, w *wire, _ <-chan error) {
			w.flood(t, request, 1<<10)
			next <- 4 << 10
			if got := w.flood(t, request, 1<<10); got != 4<<10 {
				t.Errorf("%d bytes were taken, want the window again", got)
			}
			close(next)
		})
	})
	t.Run("somebody waits for the other end: a window more, after ever longer", func(t *testing.T) {
		run(t, func(_ context.Context, c *Tunnel) { _, _ = c.Server.Read(make([]byte, 1)) }, func(t *testing.T, w *wire, ended <-chan error) {
			if got := w.flood(t, request, 1<<10); got != 4<<10 {
				t.Errorf("%d bytes were taken, want the window", got)
			}
			for stall := time.Second; stall <= 64*time.Second; stall *= 2 {
				time.Sleep(stall - time.Millisecond)
				if got := w.flood(t, request, 1<<10); got != 0 {
					t.Errorf("%d bytes were taken before %v", got, stall)
				}
				time.Sleep(2 * time.Millisecond)
				if got := w.flood(t, request, 1<<10); got != 4<<10 {
					t.Errorf("%d bytes were taken after %v, want a window more", got, stall)
				}
			}
			time.Sleep(128 * time.Second)
			if err := <-ended; err == nil || !strings.Contains(err.Error(), ErrOverrun.Error()) {
				t.Errorf("ended with %v", err)
			}
		})
	})
	t.Run("the other end trickles: it is not taken for progress", func(t *testing.T) {
		run(t, func(_ context.Context, c *Tunnel) { _, _ = io.Copy(io.Discard, c.Server) }, func(t *testing.T, w *wire, _ <-chan error) {
			total := w.flood(t, request, 1<<10)
			trickle := marshal(t, bodyRequest(response, []byte("x"), false))
			for start := time.Now(); time.Since(start) < time.Minute; {
				w.in <- trickle // blocks until a message is taken
				total += w.flood(t, request, 1<<10)
			}
			if total > cfg.MaxBuffered {
				t.Errorf("%d bytes are kept", total)
			}
		})
	})
	t.Run("what it waits for lies behind: it arrives", func(t *testing.T) {
		var arrived chan error // of the bubble
		run(t, func(ctx context.Context, c *Tunnel) {
			arrived = make(chan error, 1)
			_, err := c.Server.Read(make([]byte, 1))
			arrived <- err
			<-ctx.Done()
		}, func(t *testing.T, w *wire, _ <-chan error) {
			w.flood(t, request, 1<<10)
			w.in <- marshal(t, bodyRequest(response, []byte("at last"), false)) // blocks until it is taken
			if err := <-arrived; err != nil {
				t.Error(err)
			}
		})
	})
}

// TestPaceWhereTheServerIsNeeded: what a client sends ahead of an answer that its
// session needs is received at once, as far as there is room for it.
func TestPaceWhereTheServerIsNeeded(t *testing.T) {
	const kib = 1 << 10
	cfg := Config{Window: 4 * kib, MaxBuffered: 32 * kib, MaxAhead: 40 * kib, StallDelay: time.Second}
	// flooded has sessions flooded one after the other, and returns how many bytes of
	// each were taken. after, if any, is told of each session's tunnel and its end.
	flooded := func(t *testing.T, chunk, sessions int, prepare func(*Tunnel), after func(*Tunnel, <-chan error)) (taken []int) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		tunnels := make(chan *Tunnel, 1)
		s, err := New(cfg, oneTarget{tunnel: func(ctx context.Context, c *Tunnel) {
			prepare(c)
			tunnels <- c
			_, _ = c.Server.Read(make([]byte, 1))
			<-ctx.Done()
		}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range sessions {
			w, ended := newWire(ctx), make(chan error, 1)
			all.Go(func() { ended <- s.Process(w) })
			w.in <- marshal(t, firstRequest("CONNECT"))
			w.in <- marshal(t, okResponse())
			taken = append(taken, w.flood(t, request, chunk))
			if c := <-tunnels; after != nil {
				after(c, ended)
			}
		}
		cancel()
		all.Wait()
		if left := s.ahead.Load(); left != 0 {
			t.Errorf("%d bytes are still borrowed", left)
		}
		return taken
	}
	needed := func(c *Tunnel) { c.Await(true) }
	for name, c := range map[string]struct {
		chunk    int
		prepare  func(*Tunnel)
		after    func(*Tunnel, <-chan error)
		sessions int
		want     []int
	}{
		"at once, up to the limit of a session": {chunk: 4 * kib, prepare: needed, want: []int{32 * kib}},
		"not where it is needed no more": {chunk: 4 * kib, want: []int{4 * kib},
			prepare: func(c *Tunnel) { c.Await(true); c.Await(false) }},
		"not in small pieces, which cost more than they hold": {chunk: kib, prepare: needed, want: []int{4 * kib}},
		"of all together no more than they may borrow": {chunk: 4 * kib, prepare: needed, sessions: 3,
			want: []int{32 * kib, 16 * kib, 4 * kib}},
		"what was read is given back": {chunk: 4 * kib, prepare: needed, sessions: 2, want: []int{32 * kib, 32 * kib},
			after: func(c *Tunnel, _ <-chan error) { _, _ = io.ReadFull(c.Client, make([]byte, 32*kib)) }},
		"what a statement's wait for people finds stays as it is, and ends nothing": {chunk: 4 * kib, prepare: needed, want: []int{32 * kib},
			after: func(c *Tunnel, ended <-chan error) {
				c.Await(false)
				select {
				case err := <-ended:
					t.Errorf("%s: ended with %v", t.Name(), err)
				case <-time.After(127 * time.Second): // as long as if it had come slowly
				}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if diff := cmp.Diff(c.want, flooded(t, c.chunk, max(c.sessions, 1), c.prepare, c.after)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestNilOnlyAfterTheEnd: a stream on which something is wrong ends with an
// error, and one that is well does not end.
func TestNilOnlyAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t.Context())
		ended := oneTarget{tunnel: func(_ context.Context, c *Tunnel) { _, _ = c.Server.Read(make([]byte, 1)) }}.serve(t, Config{}, w)
		w.in <- marshal(t, firstRequest("CONNECT"))
		w.in <- marshal(t, okResponse())
		w.in <- marshal(t, bodyRequest(response, []byte("x"), false))
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("ended with %v while Envoy is there", err)
		default:
		}
		close(w.in)
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}

// FuzzProcess plays sequences of messages in any order, well-formed or not. The
// service must not panic, must not end a stream with OK that Envoy did not end,
// and must leave no goroutine behind (synctest sees to that).
func FuzzProcess(f *testing.F) {
	f.Add([]byte("CcA1B2b3Ee"), true)
	f.Add([]byte("GcA1B2b3Ee"), false)
	f.Add([]byte("Cr"), true)
	f.Add([]byte("GtcTb"), false)
	f.Add([]byte("g"), false)
	f.Add([]byte("Gx\x00"), true)
	f.Add([]byte("CcAABBcC"), true)
	f.Fuzz(func(t *testing.T, script []byte, vanish bool) {
		if len(script) > 200 {
			return
		}
		synctest.Test(t, func(t *testing.T) { playScript(t, script, vanish) })
	})
}

func playScript(t *testing.T, script []byte, vanish bool) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := newWire(ctx)
	cfg := Config{Window: 16, MaxBuffered: 64, Linger: time.Second, Fallback: "fallback"}
	ended := oneTarget{tunnel: echoTunnel, exchange: passExchange}.serve(t, cfg, w)
	var err error
	over := false
	for _, op := range script {
		if over {
			break
		}
		select {
		case w.in <- scripted(t, op):
		case err = <-ended:
			over = true
		case <-time.After(time.Minute): // it is held back
		}
	}
	synctest.Wait()
	if !over {
		select {
		case err = <-ended:
			over = true
		default:
		}
	}
	if over && err == nil {
		t.Fatalf("OK while Envoy was there, after %q", script)
	}
	if vanish {
		cancel()
	} else {
		close(w.in)
	}
	for range ended { //nolint:revive // until it is closed
	}
	checkAnswers(t, w.out)
}

// scripted is the message that a byte stands for.
func scripted(t *testing.T, op byte) []byte {
	headers := func(status, upstream string, end bool) *extprocv3.ProcessingRequest {
		m := okResponse()
		h := m.GetResponseHeaders()
		h.GetHeaders().Headers[0].RawValue = []byte(status)
		h.Headers.Headers = append(h.Headers.Headers, &corev3.HeaderValue{Key: headerUpstream, Value: upstream})
		h.EndOfStream = end
		return m
	}
	switch op {
	case 'C':
		return marshal(t, firstRequest("CONNECT"))
	case 'G':
		return marshal(t, firstRequest("POST"))
	case 'g':
		m := firstRequest("GET")
		m.GetRequestHeaders().EndOfStream = true
		return marshal(t, m)
	case 'c':
		return marshal(t, headers("200", "", false))
	case 'r':
		return marshal(t, headers("503", "", false))
	case 'f':
		return marshal(t, headers("200", "fallback", false))
	case 'e':
		return marshal(t, headers("204", "", true))
	case 'A':
		return marshal(t, bodyRequest(request, []byte("request"), false))
	case 'E':
		return marshal(t, bodyRequest(request, []byte("request"), true))
	case 'B':
		return marshal(t, bodyRequest(response, []byte("response"), false))
	case 'b':
		return marshal(t, bodyRequest(response, nil, true))
	case 't':
		return marshal(t, &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestTrailers{RequestTrailers: &extprocv3.HttpTrailers{}}})
	case 'T':
		return marshal(t, &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseTrailers{ResponseTrailers: &extprocv3.HttpTrailers{}}})
	case 'n':
		return nil // an empty message
	default:
		return []byte{op, 0xff, op}
	}
}

// checkAnswers holds the order that Envoy insists on: nothing after an immediate
// response, nothing in a direction after its end.
func checkAnswers(t *testing.T, answers []*extprocv3.ProcessingResponse) {
	t.Helper()
	var ended [2]bool
	immediate := false
	for _, m := range answers {
		if immediate {
			t.Fatalf("after an immediate response: %v", m)
		}
		for dir, b := range []*extprocv3.BodyResponse{m.GetRequestBody(), m.GetResponseBody()} {
			if b == nil {
				continue
			}
			if ended[dir] {
				t.Fatalf("after the end: %v", m)
			}
			ended[dir] = b.GetResponse().GetBodyMutation().GetStreamedResponse().GetEndOfStream()
		}
		immediate = m.GetImmediateResponse() != nil
	}
}

func echoTunnel(_ context.Context, c *Tunnel) {
	var both sync.WaitGroup
	pass := func(to, from *conn) {
		_, _ = io.Copy(to, from)
		_ = to.CloseWrite()
	}
	both.Go(func() { pass(c.Server.(*conn), c.Client.(*conn)) })
	both.Go(func() { pass(c.Client.(*conn), c.Server.(*conn)) })
	both.Wait()
}

func passExchange(ctx context.Context, e Exchange) {
	resp, err := e.Forward(ctx, e.Request())
	if err != nil {
		return
	}
	if err := e.Respond(ctx, resp); err != nil && errors.Is(err, ErrPhase) {
		panic(err)
	}
}
