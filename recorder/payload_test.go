package recorder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"
	"pgregory.net/rapid"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/seal"
	"github.com/weir-gateway/weir/recorder/spool"
)

func piece(session, operation string, stream gate.Stream, data string) *gate.Payload {
	return &gate.Payload{Session: session, Operation: operation, Target: "orders", Stream: stream, Data: []byte(data)}
}

func mustPayload(t testing.TB, r *Recorder, p *gate.Payload) {
	t.Helper()
	if err := r.Payload(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// assembled joins the chunks of each stream, and fails on a hole, a missing
// end or anything after it.
func assembled(t interface{ Errorf(string, ...any) }, chunks []event.Chunk) map[string]string {
	out, ended := map[string]string{}, map[string]bool{}
	for _, c := range chunks {
		key := c.Session + "/" + c.Operation + "/" + c.Stream
		if ended[key] {
			t.Errorf("%s goes on after its end", key)
		}
		if c.Offset != uint64(len(out[key])) || c.Size != uint64(len(c.Data)) || c.Target != "orders" {
			t.Errorf("%s: chunk at %d of %d bytes for %q, after %d", key, c.Offset, c.Size, c.Target, len(out[key]))
		}
		out[key] += string(c.Data)
		ended[key] = c.Final
	}
	for key := range out {
		if !ended[key] {
			t.Errorf("%s has no end", key)
		}
	}
	return out
}

func TestPayloadIsKeptAsItWas(t *testing.T) {
	s := &memory{}
	r := newRecorder(t, Config{PayloadAge: time.Hour}, s)
	mustPayload(t, r, piece("s", "o", gate.RequestStream, "Q select"))
	for _, row := range []string{"row 1 ", "row 2 ", "row 3"} {
		mustPayload(t, r, piece("s", "o", gate.ResponseStream, row))
		mustPayload(t, r, piece("t", "p", gate.ResponseStream, row))
	}
	for _, id := range [][2]string{{"s", "o"}, {"t", "p"}} {
		if err := r.Handoff(t.Context(), completed(id[0], id[1])); err != nil {
			t.Fatal(err)
		}
	}
	closeAll(t, r)
	chunks := s.chunks(t, spool.Payloads)
	if len(chunks) != 3 {
		t.Errorf("%d chunks, want one a stream", len(chunks))
	}
	got := assembled(t, chunks)
	if got["s/o/request"] != "Q select" || got["s/o/response"] != "row 1 row 2 row 3" || got["t/p/response"] != "row 1 row 2 row 3" {
		t.Errorf("got %q", got)
	}
	for _, e := range s.events(t) {
		if e.Notes != nil {
			t.Errorf("notes %s", e.Notes)
		}
	}
}

func TestPayloadIsWrittenWhenOldEnough(t *testing.T) {
	s := &memory{}
	r := newRecorder(t, Config{PayloadAge: time.Millisecond}, s)
	mustPayload(t, r, piece("s", "o", gate.ResponseStream, "row"))
	for len(s.chunks(t, spool.Payloads)) == 0 {
		time.Sleep(time.Millisecond)
	}
}

// TestAnyPayloadComesBack sends streams of many operations in random pieces,
// also ones larger than a block, on a spool that fails at times.
func TestAnyPayloadComesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var n atomic.Int64
		every := rapid.Int64Range(2, 10).Draw(rt, "every")
		s := &memory{max: rapid.IntRange(2_000, 200_000).Draw(rt, "message"), outcome: func(_ context.Context, lane spool.Lane) (bool, error) {
			if i := n.Add(1); lane == spool.Payloads && i%every == 0 {
				return i%2 == 0, errNoAnswer
			}
			return true, nil
		}}
		r := newRecorder(t, Config{PayloadAge: time.Millisecond, retry: time.Microsecond}, s)
		want, broken := map[string]string{}, map[string]bool{}
		for i := range rapid.IntRange(1, 30).Draw(rt, "pieces") {
			session, operation := fmt.Sprint("s", i%3), fmt.Sprint("o", rapid.IntRange(0, 2).Draw(rt, "operation"))
			stream := rapid.SampledFrom([]gate.Stream{gate.RequestStream, gate.ResponseStream}).Draw(rt, "stream")
			data := strings.Repeat(fmt.Sprint(i, ","), rapid.IntRange(0, 5000).Draw(rt, "size"))
			key := session + "/" + operation + "/" + string(stream)
			if broken[key] {
				continue
			}
			switch err := r.Payload(context.Background(), piece(session, operation, stream, data)); {
			case err == nil:
				want[key] += data
			case errors.Is(err, errNoAnswer):
				broken[key] = true // some of the piece may be kept
				delete(want, key)
			default:
				rt.Fatal(err)
			}
		}
		for i := range 3 {
			for j := range 3 {
				if err := r.Record(context.Background(), completed(fmt.Sprint("s", i), fmt.Sprint("o", j))); err != nil {
					rt.Fatal(err)
				}
			}
		}
		closeAll(t, r)
		got := assembled(rt, s.chunks(t, spool.Payloads))
		for key, text := range want {
			if got[key] != text {
				rt.Fatalf("%s: %d bytes, want %d", key, len(got[key]), len(text))
			}
		}
	})
}

func TestSlowSpoolSlowsPayloadAndADeadOneStopsIt(t *testing.T) {
	hold := make(chan error)
	s := &memory{max: 4096, outcome: func(_ context.Context, lane spool.Lane) (bool, error) {
		if lane != spool.Payloads {
			return true, nil
		}
		err := <-hold
		return err == nil, err
	}}
	r := newRecorder(t, Config{PayloadAge: time.Hour}, s)
	block := strings.Repeat("x", 3072-chunkCost)
	for range 2 { // one being written, one full
		mustPayload(t, r, piece("s", "o", gate.ResponseStream, block))
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := r.Payload(short, piece("s", "o", gate.ResponseStream, block)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no room, and yet: %v", err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- r.Payload(context.Background(), piece("s", "o2", gate.ResponseStream, "x")) }()
	hold <- spool.ErrFull
	if err := <-waiting; !errors.Is(err, spool.ErrFull) {
		t.Errorf("the one who waited: %v", err)
	}
	if err := r.Payload(t.Context(), piece("s", "o3", gate.ResponseStream, "x")); !errors.Is(err, spool.ErrFull) {
		t.Errorf("the next: %v", err)
	}
	close(hold)
	for r.Payload(t.Context(), piece("s", "o4", gate.ResponseStream, "x")) != nil {
		time.Sleep(time.Millisecond)
	}
	closeAll(t, r)
	if got := s.chunks(t, spool.Payloads); len(got) < 3 || got[0].Size+got[1].Size != 2*(3072-chunkCost) {
		t.Errorf("%d chunks; what was taken before the failure is missing", len(got))
	}
}

func TestPayloadPastTheCapIsCounted(t *testing.T) {
	s := &memory{}
	r := newRecorder(t, Config{MaxPayload: 10}, s)
	for range 3 {
		mustPayload(t, r, piece("s", "o", gate.ResponseStream, "1234567"))
		mustPayload(t, r, piece("s", "o", gate.RequestStream, "12"))
	}
	if err := r.Record(t.Context(), completed("s", "o")); err != nil {
		t.Fatal(err)
	}
	closeAll(t, r)
	chunks := s.chunks(t, spool.Payloads)
	got := assembled(t, chunks)
	if got["s/o/response"] != "1234567123" || got["s/o/request"] != "121212" {
		t.Errorf("got %q", got)
	}
	for _, c := range chunks {
		if want := map[string]uint64{"response": 11, "request": 0}[c.Stream]; c.Missing != want {
			t.Errorf("%s: %d bytes missing, want %d", c.Stream, c.Missing, want)
		}
	}
	if notes := string(s.events(t)[0].Notes); notes != `{"capped":["response"]}` {
		t.Errorf("notes %s", notes)
	}
}

func TestOriginalsAreSealedForAuditors(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	s := &memory{max: 20_000}
	r := newRecorder(t, Config{Auditors: []string{id.Recipient().String()}, PayloadAge: time.Millisecond}, s)
	var want strings.Builder
	for i := range 3000 {
		ssn := fmt.Sprintf("%09d\n", i)
		want.WriteString(ssn)
		mustPayload(t, r, piece("s", "o", gate.OriginalStream, ssn))
		mustPayload(t, r, piece("s", "o", gate.ResponseStream, "***\n"))
	}
	if err := r.Record(t.Context(), completed("s", "o")); err != nil {
		t.Fatal(err)
	}
	if err := r.Record(t.Context(), &gate.Event{Kind: gate.SessionClosed, Session: "s", Body: gate.Closing{}}); err != nil {
		t.Fatal(err)
	}
	if len(r.payloads.sessions) != 0 {
		t.Error("the closed session's key is still here")
	}
	closeAll(t, r)
	if notes := string(s.events(t)[0].Notes); notes != `{"originals":"sealed"}` {
		t.Errorf("notes %s", notes)
	}
	var key []byte
	var sealed []event.Chunk
	for _, c := range s.chunks(t, spool.Payloads) {
		switch c.Stream {
		case event.KeyStream:
			key = c.Data
		case "original":
			if !c.Sealed || c.Key == "" || bytes.Contains(c.Data, []byte("000000001")) {
				t.Errorf("chunk at %d is not sealed", c.Offset)
			}
			sealed = append(sealed, c)
		}
	}
	var got bytes.Buffer
	if err := seal.OpenSealed(id, key, originals(sealed), &got); err != nil {
		t.Fatal(err)
	}
	if got.String() != want.String() {
		t.Error("the originals are not what they were")
	}
	if len(sealed) < 2 {
		t.Error("the test wants more than one chunk")
	}
}

func originals(chunks []event.Chunk) iter.Seq2[seal.Sealed, error] {
	return func(yield func(seal.Sealed, error) bool) {
		for _, c := range chunks {
			at := seal.Position{Session: c.Session, Operation: c.Operation, Offset: c.Offset, Final: c.Final}
			if !yield(seal.Sealed{Position: at, Data: c.Data}, nil) {
				return
			}
		}
	}
}

func TestWithoutAuditorsOriginalsAreNotKept(t *testing.T) {
	s := &memory{}
	r := newRecorder(t, Config{}, s)
	mustPayload(t, r, piece("s", "o", gate.OriginalStream, "123-45-6789"))
	if err := r.Record(t.Context(), completed("s", "o")); err != nil {
		t.Fatal(err)
	}
	closeAll(t, r)
	if got := s.chunks(t, spool.Payloads); len(got) != 0 {
		t.Errorf("kept %+v", got)
	}
	if notes := string(s.events(t)[0].Notes); !strings.Contains(notes, "not kept") {
		t.Errorf("notes %s", notes)
	}
}

func TestConcurrentPayload(t *testing.T) {
	s := &memory{max: 10_000}
	r := newRecorder(t, Config{PayloadAge: time.Millisecond}, s)
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			session := fmt.Sprint("s", i)
			for j := range 50 {
				operation := fmt.Sprint("o", j)
				for k := range 5 {
					if err := r.Payload(context.Background(), piece(session, operation, gate.ResponseStream, fmt.Sprintf("%d %d\n", j, k))); err != nil {
						t.Error(err)
					}
				}
				if err := r.Handoff(context.Background(), completed(session, operation)); err != nil {
					t.Error(err)
				}
			}
			if err := r.Record(context.Background(), &gate.Event{Kind: gate.SessionClosed, Session: session, Body: gate.Closing{}}); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	closeAll(t, r)
	got := assembled(t, s.chunks(t, spool.Payloads))
	if len(got) != 8*50 {
		t.Errorf("%d streams", len(got))
	}
	for key, text := range got {
		if strings.Count(text, "\n") != 5 {
			t.Errorf("%s: %q", key, text)
		}
	}
}
