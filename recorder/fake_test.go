package recorder

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/spool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a spool in memory that fails as it is told.
type memory struct {
	mu       sync.Mutex
	messages map[spool.Lane][][]byte
	order    []spool.Lane
	calls    int
	// outcome, where set, says what becomes of an append: kept or not, and the
	// error. It may block.
	outcome func(ctx context.Context, lane spool.Lane) (keep bool, err error)
	max     int
}

func (m *memory) Append(ctx context.Context, lane spool.Lane, data []byte) error {
	keep, err := true, error(nil)
	if m.outcome != nil {
		keep, err = m.outcome(ctx, lane)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if keep {
		if m.messages == nil {
			m.messages = map[spool.Lane][][]byte{}
		}
		m.messages[lane] = append(m.messages[lane], append([]byte(nil), data...))
		m.order = append(m.order, lane)
	}
	return err
}

func (m *memory) Put(ctx context.Context, lane spool.Lane, data []byte) error {
	return m.Append(ctx, lane, data)
}

func (m *memory) MaxMessage() int {
	if m.max > 0 {
		return m.max
	}
	return 8 << 20
}

func (m *memory) appends() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// events are all events in the spool, in order.
func (m *memory) events(t testing.TB) []*event.Event {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*event.Event
	for _, message := range m.messages[spool.Events] {
		batch, err := new(event.BatchDecoder).Decode(message)
		if err != nil {
			panic(err)
		}
		err = event.Lines(batch, func(canonical []byte) error {
			e, err := event.Parse(canonical)
			if err == nil {
				out = append(out, e)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// chunks are all chunks of a lane, in order.
func (m *memory) chunks(t testing.TB, lane spool.Lane) []event.Chunk {
	t.Helper()
	dec, err := event.NewBlockDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []event.Chunk
	seen := map[uuid.UUID]uint64{}
	for _, packed := range m.messages[lane] {
		b, err := dec.Decode(packed)
		if err != nil {
			t.Fatal(err)
		}
		if b.Number == seen[b.Writer] {
			continue // the same block, tried again
		}
		if b.Number != seen[b.Writer]+1 {
			t.Errorf("block %d follows %d", b.Number, seen[b.Writer])
		}
		seen[b.Writer] = b.Number
		out = append(out, b.Chunks...)
	}
	return out
}

// assertChains fails unless every writer's events are numbered without a gap
// and each holds the hash of the one before.
func (m *memory) assertChains(t testing.TB) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	seq, prev := map[uuid.UUID]uint64{}, map[uuid.UUID]event.Hash{}
	for _, message := range m.messages[spool.Events] {
		batch, err := new(event.BatchDecoder).Decode(message)
		if err != nil {
			panic(err)
		}
		_ = event.Lines(batch, func(canonical []byte) error {
			e, err := event.Parse(canonical)
			if err != nil {
				t.Fatal(err)
			}
			if e.Seq != seq[e.Writer]+1 {
				t.Errorf("writer %s: %d follows %d", e.Writer, e.Seq, seq[e.Writer])
			}
			if e.Prev != prev[e.Writer] {
				t.Errorf("writer %s: event %d does not hold the hash of the one before", e.Writer, e.Seq)
			}
			seq[e.Writer], prev[e.Writer] = e.Seq, event.Leaf(canonical)
			return nil
		})
	}
}

func newRecorder(t testing.TB, cfg Config, s Spool) *Recorder {
	t.Helper()
	r, err := New(cfg, s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = r.Close(ended) // a second time: nothing happens
	})
	return r
}

func closeAll(t testing.TB, r *Recorder) {
	t.Helper()
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func request(session, operation string) *gate.Event {
	return &gate.Event{Kind: gate.OperationRequested, Session: session, Operation: operation, Target: "orders", Subject: "agent-1",
		Body: map[string]any{"text": "select 1"}}
}

func completed(session, operation string) *gate.Event {
	return &gate.Event{Kind: gate.OperationCompleted, Session: session, Operation: operation, Target: "orders",
		Body: gate.Outcome{Status: "ok"}}
}

var errNoAnswer = errors.New("no answer")

// queued is how many events wait to be written.
func (g *group) queued() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queue)
}
