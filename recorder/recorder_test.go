package recorder

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/spool"
)

func TestRecordedEventIsInTheSpool(t *testing.T) {
	s := &memory{}
	r := newRecorder(t, Config{}, s)
	at := time.Date(2025, 11, 24, 10, 0, 0, 123456789, time.UTC)
	e := request("s1", "o1")
	e.Time = at
	if err := r.Record(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	got := s.events(t)
	if len(got) != 1 {
		t.Fatalf("%d events", len(got))
	}
	one := got[0]
	if one.Kind != "operation.requested" || one.Session != "s1" || one.Operation != "o1" || one.Target != "orders" ||
		one.Subject != "agent-1" || string(one.Body) != `{"text":"select 1"}` || one.Seq != 1 || !one.Time.Equal(at.Truncate(time.Microsecond)) {
		t.Errorf("got %+v", one)
	}
	if one.ID.Version() != 7 {
		t.Errorf("event id %s is no UUIDv7", one.ID)
	}
}

func TestEachRecorderIsAnotherWriter(t *testing.T) {
	s := &memory{}
	for range 2 {
		r := newRecorder(t, Config{}, s)
		for range 3 {
			if err := r.Record(t.Context(), request("s", "o")); err != nil {
				t.Fatal(err)
			}
		}
		closeAll(t, r)
	}
	s.assertChains(t)
	writers := map[uuid.UUID]bool{}
	for _, e := range s.events(t) {
		writers[e.Writer] = true
	}
	if len(writers) != 2 {
		t.Errorf("%d writers", len(writers))
	}
}

// TestConcurrentRecordsShareAWrite holds the disk still for one write, and
// counts how many more it takes for all who came meanwhile.
func TestConcurrentRecordsShareAWrite(t *testing.T) {
	const callers = 50
	writing, release := make(chan struct{}, callers), make(chan struct{})
	s := &memory{outcome: func(context.Context, spool.Lane) (bool, error) {
		writing <- struct{}{}
		<-release
		return true, nil
	}}
	r := newRecorder(t, Config{}, s)
	var done sync.WaitGroup
	record := func() {
		if err := r.Record(context.Background(), request("s", "o")); err != nil {
			t.Error(err)
		}
	}
	done.Go(record)
	<-writing
	for range callers {
		done.Go(record)
	}
	for r.group.queued() < callers {
		time.Sleep(time.Millisecond)
	}
	close(release)
	done.Wait()
	if n := s.appends(); n != 2 {
		t.Errorf("%d writes for %d events", n, callers+1)
	}
	s.assertChains(t)
}

// Events that are begun one after the other are on disk in that order, whoever
// waits first.
func TestBegunEventsKeepTheirOrder(t *testing.T) {
	s := &memory{}
	r := newRecorder(t, Config{}, s)
	var receipts []gate.Receipt
	for i := range 20 {
		recorded, err := r.Begin(t.Context(), request("s", fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, recorded)
	}
	for _, recorded := range slices.Backward(receipts) {
		if err := recorded(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for i, e := range s.events(t) {
		if e.Operation != fmt.Sprint(i) {
			t.Errorf("event %d is of operation %s", i, e.Operation)
		}
	}
	s.assertChains(t)
}

func TestHandedOverEventWaitsForCompany(t *testing.T) {
	s := &memory{}
	r := newRecorder(t, Config{Linger: time.Hour}, s)
	if err := r.Handoff(t.Context(), completed("s", "o")); err != nil {
		t.Fatal(err)
	}
	if err := r.Record(t.Context(), request("s", "o2")); err != nil {
		t.Fatal(err)
	}
	if got := s.events(t); len(got) != 2 || got[0].Kind != "operation.completed" || s.appends() != 1 {
		t.Errorf("%d events in %d writes", len(got), s.appends())
	}
}

func TestHandedOverEventIsWrittenByItself(t *testing.T) {
	s := &memory{}
	r := newRecorder(t, Config{}, s)
	if err := r.Handoff(t.Context(), completed("s", "o")); err != nil {
		t.Fatal(err)
	}
	for s.appends() == 0 {
		time.Sleep(time.Millisecond)
	}
}

func TestRecordFailsWhileTheSpoolDoes(t *testing.T) {
	var failing sync.Map
	s := &memory{outcome: func(context.Context, spool.Lane) (bool, error) {
		if err, ok := failing.Load("err"); ok {
			return false, err.(error)
		}
		return true, nil
	}}
	r := newRecorder(t, Config{}, s)
	if err := r.Record(t.Context(), request("s", "before")); err != nil {
		t.Fatal(err)
	}
	failing.Store("err", fmt.Errorf("%w: test", spool.ErrFull))
	if err := r.Record(t.Context(), request("s", "lost")); !errors.Is(err, spool.ErrFull) {
		t.Errorf("recorded on a full spool: %v", err)
	}
	if err := r.Handoff(t.Context(), completed("s", "lost")); !errors.Is(err, spool.ErrFull) {
		t.Errorf("handed over to a full spool: %v", err)
	}
	if r.Err() == nil {
		t.Error("the recorder says that all is well")
	}
	failing.Delete("err")
	if err := r.Handoff(t.Context(), completed("s", "after")); err != nil {
		t.Errorf("the spool is well again: %v", err)
	}
	if err := r.Record(t.Context(), request("s", "after")); err != nil {
		t.Errorf("the spool is well again: %v", err)
	}
	s.assertChains(t)
	if got := s.events(t); len(got) != 3 || got[2].Writer != got[0].Writer {
		t.Errorf("%d events", len(got))
	}
}

func TestHandedOverEventOutlivesAFailure(t *testing.T) {
	fail := make(chan error, 2)
	fail <- fmt.Errorf("%w: test", spool.ErrFull)
	fail <- errNoAnswer
	s := &memory{outcome: func(context.Context, spool.Lane) (bool, error) {
		select {
		case err := <-fail:
			return false, err
		default:
			return true, nil
		}
	}}
	r := newRecorder(t, Config{}, s)
	if err := r.Handoff(t.Context(), completed("s", "o")); err != nil {
		t.Fatal(err)
	}
	for len(s.events(t)) == 0 {
		time.Sleep(time.Millisecond)
	}
	s.assertChains(t)
}

func TestNoRoomMakesCallersWait(t *testing.T) {
	release := make(chan struct{})
	s := &memory{outcome: func(context.Context, spool.Lane) (bool, error) {
		<-release
		return true, nil
	}}
	r := newRecorder(t, Config{MaxPending: 1500}, s)
	for range 2 {
		if err := r.Handoff(t.Context(), completed("s", "o")); err != nil {
			t.Fatal(err)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	for _, f := range []func(context.Context, *gate.Event) error{r.Handoff, r.Record} {
		if err := f(short, completed("s", "o")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}
	close(release)
	if err := r.Record(t.Context(), completed("s", "o")); err != nil {
		t.Error(err)
	}
}

func TestLargeTextIsKeptBesideItsEvent(t *testing.T) {
	s := &memory{max: 200 << 10}
	r := newRecorder(t, Config{}, s)
	text := strings.Repeat("insert into t values (1);\n", 50_000)
	e := request("s", "o")
	e.Body = map[string]any{"operation": map[string]any{"text": text}, "decision": map[string]any{"effect": "allow"}}
	if err := r.Record(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if last := s.order[len(s.order)-1]; last != spool.Events {
		t.Error("the event is there before its text")
	}
	var got strings.Builder
	chunks := s.chunks(t, spool.Cuts)
	for i, c := range chunks {
		if c.Stream != event.CutStream || c.Offset != uint64(got.Len()) || c.Final != (i == len(chunks)-1) || c.Session != "s" {
			t.Errorf("chunk %d: %+v", i, c)
		}
		got.Write(c.Data)
	}
	if got.String() != text {
		t.Error("the text is not what it was")
	}
	body := string(s.events(t)[0].Body)
	if !strings.Contains(body, chunks[0].Key) || !strings.Contains(body, `"effect":"allow"`) {
		t.Errorf("body: %.300s", body)
	}
}

func TestABodyThatIsNoJSONIsNotRecorded(t *testing.T) {
	s := &memory{}
	r := newRecorder(t, Config{}, s)
	e := request("s", "o")
	e.Body = map[string]any{"f": func() {}}
	if err := r.Record(t.Context(), e); err == nil {
		t.Error("recorded")
	}
	if err := r.Record(t.Context(), request("s", "o")); err != nil {
		t.Error(err)
	}
	s.assertChains(t)
}

func TestCloseWritesWhatWasHandedOver(t *testing.T) {
	s := &memory{}
	r := newRecorder(t, Config{Linger: time.Hour, PayloadAge: time.Hour}, s)
	if err := r.Handoff(t.Context(), completed("s", "o")); err != nil {
		t.Fatal(err)
	}
	if err := r.Payload(t.Context(), &gate.Payload{Session: "s", Operation: "o", Stream: gate.ResponseStream, Data: []byte("row")}); err != nil {
		t.Fatal(err)
	}
	running := make(chan error)
	go func() { running <- r.Run(context.Background()) }()
	closeAll(t, r)
	if err := <-running; err != nil {
		t.Error(err)
	}
	if len(s.events(t)) != 1 || len(s.chunks(t, spool.Payloads)) != 1 {
		t.Error("something is missing")
	}
	if err := r.Record(t.Context(), request("s", "o")); !errors.Is(err, ErrClosed) {
		t.Errorf("record after close: %v", err)
	}
	if err := r.Handoff(t.Context(), request("s", "o")); !errors.Is(err, ErrClosed) {
		t.Errorf("handoff after close: %v", err)
	}
	if err := r.Payload(t.Context(), &gate.Payload{Session: "s", Stream: gate.RequestStream, Data: []byte("x")}); !errors.Is(err, ErrClosed) {
		t.Errorf("payload after close: %v", err)
	}
}

func TestCloseGivesUpWhenItMust(t *testing.T) {
	writing := make(chan struct{}, 10)
	s := &memory{outcome: func(ctx context.Context, _ spool.Lane) (bool, error) {
		writing <- struct{}{}
		<-ctx.Done()
		return false, ctx.Err()
	}}
	r := newRecorder(t, Config{PayloadAge: time.Millisecond}, s)
	recorded := make(chan error, 2)
	record := func() { recorded <- r.Record(context.Background(), request("s", "o")) }
	go record()
	<-writing
	go record() // waits for the first
	if err := r.Handoff(t.Context(), completed("s", "o")); err != nil {
		t.Fatal(err)
	}
	if err := r.Payload(t.Context(), &gate.Payload{Session: "s", Stream: gate.RequestStream, Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := r.Close(ended); err == nil || !strings.Contains(err.Error(), "could not be written") {
		t.Errorf("got %v", err)
	}
	for range 2 {
		if err := <-recorded; err == nil {
			t.Error("recorded")
		}
	}
}

func TestRecordersMistakes(t *testing.T) {
	if _, err := New(Config{Auditors: []string{"nobody"}}, &memory{}, nil); err == nil {
		t.Error("a bad auditor was accepted")
	}
	reg := prometheus.NewRegistry()
	r := newRecorder(t, Config{Metrics: reg}, &memory{})
	if err := r.Record(t.Context(), request("s", "o")); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "weir_recorder_events_total" && f.GetMetric()[0].GetCounter().GetValue() != 1 {
			t.Errorf("counted: %v", f)
		}
	}
	if _, err := New(Config{Metrics: reg}, &memory{}, nil); err == nil {
		t.Error("metrics were registered twice")
	}
}

// TestAnyFailureLeavesNoGap records from many goroutines on a spool that fails
// in every way it can, and looks at what is there afterwards.
func TestAnyFailureLeavesNoGap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		failures := rapid.IntRange(0, 60).Draw(rt, "failures in 100")
		var mu sync.Mutex
		random := rand.New(rand.NewPCG(seed, 1))
		s := &memory{outcome: func(context.Context, spool.Lane) (bool, error) {
			mu.Lock()
			defer mu.Unlock()
			if random.IntN(100) >= failures {
				return true, nil
			}
			switch random.IntN(3) {
			case 0:
				return false, spool.ErrFull
			case 1:
				return false, errNoAnswer
			default:
				return true, errNoAnswer // kept, but nobody says so
			}
		}}
		r := newRecorder(t, Config{Linger: time.Microsecond, retry: time.Microsecond}, s)
		type word struct{ session, operation string }
		promised := make([][]word, 4)
		var callers sync.WaitGroup
		for i := range promised {
			callers.Go(func() {
				session := fmt.Sprint("s", i)
				for j := range 12 {
					keep := r.Record
					if (i+j)%3 == 0 {
						keep = r.Handoff
					}
					operation := fmt.Sprint("o", j)
					if keep(context.Background(), request(session, operation)) == nil {
						promised[i] = append(promised[i], word{session, operation})
					}
				}
			})
		}
		callers.Wait()
		mu.Lock()
		failures = 0
		mu.Unlock()
		closeAll(t, r)
		s.assertChains(t)
		ids, got := map[uuid.UUID]bool{}, map[word]int{}
		var order = map[string][]string{}
		for _, e := range s.events(t) {
			if ids[e.ID] {
				continue // the same event under a later writer
			}
			ids[e.ID] = true
			w := word{e.Session, e.Operation}
			got[w]++
			order[e.Session] = append(order[e.Session], e.Operation)
		}
		for _, words := range promised {
			last := -1
			for _, w := range words {
				if got[w] != 1 {
					rt.Fatalf("%v is there %d times", w, got[w])
				}
				at := -1
				for i, o := range order[w.session] {
					if o == w.operation {
						at = i
					}
				}
				if at < last {
					rt.Fatalf("%v is out of order: %v", w, order[w.session])
				}
				last = at
			}
		}
	})
}
