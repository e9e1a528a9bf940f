package postgres

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/seal"
	"github.com/weir-gateway/weir/recorder/spool"
)

// evidence is what TestCanaries finds in the spool.
type evidence struct {
	events   []keptEvent
	chunks   []event.Chunk
	ends     map[string]*gate.Outcome // by operation
	texts    map[string]string        // by operation
	sessions map[string]int           // whose each is
}

type keptEvent struct {
	*event.Event
	canonical []byte
	owner     int // -1: of no session
}

// streamOf is one stream of an operation.
type streamOf struct{ session, operation, stream string }

func readEvidence(t *testing.T, k *keeping) *evidence {
	t.Helper()
	e := &evidence{ends: map[string]*gate.Outcome{}, texts: map[string]string{}, sessions: map[string]int{}}
	var batches event.BatchDecoder
	seq, prev := map[uuid.UUID]uint64{}, map[uuid.UUID]event.Hash{}
	for _, message := range k.messages[spool.Events] {
		batch, err := batches.Decode(message)
		if err != nil {
			t.Fatal(err)
		}
		if err := event.Lines(batch, func(canonical []byte) error {
			one, err := event.Parse(canonical)
			if err != nil {
				return err
			}
			if one.Seq != seq[one.Writer]+1 || one.Prev != prev[one.Writer] {
				t.Errorf("event %d does not follow event %d", one.Seq, seq[one.Writer])
			}
			seq[one.Writer], prev[one.Writer] = one.Seq, event.Leaf(canonical)
			e.events = append(e.events, keptEvent{one, canonical, -1})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	blocks, err := event.NewBlockDecoder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(blocks.Close)
	for i, message := range k.messages[spool.Payloads] {
		block, err := blocks.Decode(message)
		if err != nil {
			t.Fatal(err)
		}
		if block.Number != uint64(i+1) {
			t.Errorf("block %d comes as number %d", block.Number, i+1)
		}
		e.chunks = append(e.chunks, block.Chunks...)
	}
	return e
}

// checkEvents wants each session, and each operation of it, from its beginning to its
// end, with nothing of another principal, and of each principal all that it said.
func (e *evidence) checkEvents(t *testing.T, clients []*canaryClient) {
	t.Helper()
	closed, said := map[string]bool{}, map[int]map[string]int{}
	begun := map[string]string{} // operation to session
	for i := range e.events {
		one := &e.events[i]
		if one.Kind == string(gate.SessionOpened) {
			var n int
			if _, err := fmt.Sscanf(one.Subject, canaryMark+"%02d-", &n); err != nil {
				t.Fatalf("subject %q: %v", one.Subject, err)
			}
			e.sessions[one.Session] = n
		}
		n, known := e.sessions[one.Session]
		if !known {
			t.Errorf("an event of no session that was opened: %s", one.canonical)
			continue
		}
		if err := onlyOwn(n, one.canonical); err != nil {
			t.Errorf("%s of principal %d: %v", one.Kind, n, err)
		}
		switch gate.EventKind(one.Kind) {
		case gate.OperationRequested:
			var body struct {
				Operation gate.Operation
				Decision  gate.Decision
			}
			if err := json.Unmarshal(one.Body, &body); err != nil {
				t.Fatal(err)
			}
			e.texts[one.Operation] = body.Operation.Text
			if begun[one.Operation] = one.Session; body.Decision.Effect == gate.Deny {
				e.ends[one.Operation] = &gate.Outcome{} // that was its end
			}
			if op := body.Operation; !op.PrepareOnly && !strings.Contains(op.Text, "/* vanishes */") {
				key := op.Text
				for _, p := range op.Parameters {
					key += "\x00" + fmt.Sprint(p)
				}
				if said[n] == nil {
					said[n] = map[string]int{}
				}
				said[n][key]++
			}
		case gate.OperationCompleted:
			if begun[one.Operation] != one.Session || e.ends[one.Operation] != nil {
				t.Errorf("an operation ends that had not begun, or twice: %s", one.canonical)
			}
			e.ends[one.Operation] = &gate.Outcome{}
			if err := json.Unmarshal(one.Body, e.ends[one.Operation]); err != nil {
				t.Fatal(err)
			}
		case gate.SessionClosed:
			closed[one.Session] = true
		}
	}
	for session := range e.sessions {
		if !closed[session] {
			t.Errorf("session %s has no end", session)
		}
	}
	for operation := range begun {
		if e.ends[operation] == nil {
			t.Errorf("%s has no end", operation)
		}
	}
	for _, c := range clients {
		if diff := cmp.Diff(c.said, said[c.n]); diff != "" {
			t.Errorf("principal %d said, and is recorded with (-said +recorded):\n%.2000s", c.n, diff)
		}
	}
}

// streams puts chunks together, and wants each stream whole.
func (e *evidence) streams(t *testing.T, pick func(*event.Chunk) ([]byte, bool)) map[streamOf][]byte {
	t.Helper()
	whole, offsets, final := map[streamOf][]byte{}, map[streamOf]uint64{}, map[streamOf]bool{}
	for i := range e.chunks {
		c := &e.chunks[i]
		data, picked := pick(c)
		if !picked {
			continue
		}
		at := streamOf{c.Session, c.Operation, c.Stream}
		if final[at] || c.Offset != offsets[at] || c.Size != uint64(len(data)) || c.Missing != 0 {
			t.Errorf("chunk at %d (%d bytes, %d said, %d missing) follows %d (the last: %v) of the %s of %q", c.Offset, len(data), c.Size, c.Missing, offsets[at], final[at], at.stream, e.texts[at.operation])
		}
		whole[at] = append(whole[at], data...)
		offsets[at] += c.Size
		final[at] = c.Final
	}
	for at := range whole {
		if !final[at] {
			t.Errorf("%v has no end", at)
		}
	}
	return whole
}

// checkPayload wants each principal's own bytes in its streams, rows that hash to
// what the outcome says, and answers as the client has heard them, in this order.
func (e *evidence) checkPayload(t *testing.T, clients []*canaryClient) {
	t.Helper()
	whole := e.streams(t, func(c *event.Chunk) ([]byte, bool) {
		return c.Data, c.Stream == string(gate.RequestStream) || c.Stream == string(gate.ResponseStream)
	})
	for at, data := range whole {
		n, known := e.sessions[at.session]
		if err := onlyOwn(n, data); err != nil || !known {
			t.Errorf("%s of principal %d: %v", at.stream, n, err)
		}
	}
	connection, heardTo := map[string]int{}, map[string]int{}
	connections := map[int]int{}
	for i := range e.events {
		one := &e.events[i]
		n := e.sessions[one.Session]
		switch gate.EventKind(one.Kind) {
		case gate.SessionOpened:
			connection[one.Session] = connections[n]
			connections[n]++
		case gate.OperationCompleted:
			response := whole[streamOf{one.Session, one.Operation, string(gate.ResponseStream)}]
			h, outcome := clients[n].heard[connection[one.Session]], e.ends[one.Operation]
			// When a client vanishes, what was ready for it may be recorded in part only.
			if digest := rowsDigest(response); digest != outcome.Digest && (!h.closed || outcome.Status != "aborted") {
				t.Errorf("principal %d: rows (%d bytes) hash to %q, and the outcome says %+v, of %q", n, len(response), digest, *outcome, e.texts[one.Operation])
			}
			if h.closed {
				continue
			}
			from := heardTo[one.Session]
			found := bytes.Index(h.bytes[from:], response)
			if found < 0 {
				t.Errorf("principal %d has not heard %.300q", n, response)
				continue
			}
			heardTo[one.Session] = from + found + len(response)
		}
	}
	if want := len(e.sessions); len(connection) != want {
		t.Errorf("%d sessions of %d", len(connection), want)
	}
}

// rowsDigest hashes the rows and COPY data of an answer.
func rowsDigest(answer []byte) string {
	hash, some := sha256.New(), false
	for len(answer) >= headerLen {
		size := min(1+int(binary.BigEndian.Uint32(answer[1:])), len(answer)) // of the last row, some may be left where the client has vanished
		if answer[0] == msgDataRow || answer[0] == msgCopyData {
			hash.Write(answer[:size])
			some = true
		}
		answer = answer[size:]
	}
	if !some {
		return ""
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// checkOriginals opens what was sealed, each with its session's key, and wants in it
// the secrets of its principal.
func (e *evidence) checkOriginals(t *testing.T, auditor age.Identity) {
	t.Helper()
	keys, secrets := map[string]*seal.Opener{}, map[int]int{}
	for _, c := range e.chunks {
		if c.Stream != event.KeyStream {
			continue
		}
		opener, err := seal.Open(c.Data, auditor)
		if err != nil {
			t.Fatal(err)
		}
		defer opener.Close()
		keys[c.Session] = opener
	}
	for at, data := range e.streams(t, func(c *event.Chunk) ([]byte, bool) {
		if c.Stream != string(gate.OriginalStream) {
			return nil, false
		}
		if keys[c.Session] == nil {
			t.Fatalf("session %s has originals and no key", c.Session)
		}
		plain, err := keys[c.Session].Chunk(seal.Position{Session: c.Session, Operation: c.Operation, Offset: c.Offset, Final: c.Final}, c.Data)
		if err != nil {
			t.Fatal(err)
		}
		return plain, true
	}) {
		n := e.sessions[at.session]
		if err := onlyMarked(secretMark, n, data); err != nil {
			t.Errorf("originals of principal %d: %v", n, err)
		}
		secrets[n] += bytes.Count(data, []byte(secretMark))
	}
	for n := range maps.Values(e.sessions) {
		if secrets[n] == 0 {
			t.Errorf("principal %d has no originals", n)
		}
	}
}
