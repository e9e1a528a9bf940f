package recorder

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-gateway/weir/internal/canonical"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/seal"
)

// session is what is known of a session while it runs.
type session struct {
	key        *seal.Key // nil until there are originals
	operations map[string]*operation
}

// streamNames are the streams that an operation may have.
var streamNames = [...]gate.Stream{gate.RequestStream, gate.ResponseStream, gate.OriginalStream}

// operation holds the streams of a running operation, in the order of streamNames.
type operation struct {
	streams [len(streamNames)]stream
	target  string
}

// notes are what the recorder itself says in operation.completed.
type notes struct {
	Capped    []gate.Stream `json:"capped,omitempty"`    // kept in part: past the cap they were only counted
	Originals string        `json:"originals,omitempty"` // what became of the values that masks replaced
}

// What became of originals.
const (
	originalsSealed  = "sealed"
	originalsNotKept = "not kept: no auditors are configured"
)

// stream finds or begins the state of a stream. The lock is held.
func (p *payloads) stream(in *gate.Payload) (*stream, error) {
	at := slices.Index(streamNames[:], in.Stream)
	if at < 0 {
		return nil, fmt.Errorf("there is no stream %q", in.Stream)
	}
	s := p.session(in.Session)
	op := s.operations[in.Operation]
	if op == nil {
		op = &operation{target: in.Target}
		s.operations[in.Operation] = op
	}
	st := &op.streams[at]
	if !st.begun {
		st.begun = true
		if in.Stream == gate.OriginalStream {
			st.key = s.key
		}
	}
	return st, nil
}

func (p *payloads) session(id string) *session {
	s := p.sessions[id]
	if s == nil {
		s = &session{operations: map[string]*operation{}}
		p.sessions[id] = s
	}
	return s
}

// needKey makes sure that the session has a data key, and that the auditors
// get it.
func (p *payloads) needKey(sessionID string) error {
	if p.sealer == nil {
		return nil
	}
	p.mu.Lock()
	have := p.session(sessionID).key != nil
	p.mu.Unlock()
	if have {
		return nil
	}
	key, err := p.sealer.NewKey() // takes a while: not under the lock
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.session(sessionID)
	if s.key != nil {
		return nil
	}
	s.key = key
	p.insert(&event.Chunk{
		Session: sessionID, Stream: event.KeyStream, Key: key.ID, Time: time.Now(),
		Size: uint64(len(key.Sealed)), Final: true, Data: key.Sealed,
	}, nil)
	return nil
}

// insert puts a ready chunk into the current block, or the next one. The lock
// is held.
func (p *payloads) insert(c *event.Chunk, key *seal.Key) {
	if p.current == nil {
		p.late = append(p.late, chunk{Chunk: *c, key: key})
		return
	}
	if p.current.empty() {
		signal(p.begun)
	}
	p.current.add(c).key = key
	if p.current.isFull() {
		p.rotate()
	}
}

// complete ends the streams of an operation, and says what is to be said about
// them.
func (p *payloads) complete(sessionID, operationID string) ([]byte, error) {
	p.mu.Lock()
	n := p.finish(sessionID, operationID)
	p.mu.Unlock()
	if n.Originals == "" && len(n.Capped) == 0 {
		return nil, nil
	}
	return canonical.Marshal(n)
}

// finish ends the streams of an operation. The lock is held.
func (p *payloads) finish(sessionID, operationID string) (n notes) {
	s := p.sessions[sessionID]
	if s == nil || s.operations[operationID] == nil {
		return n
	}
	op := s.operations[operationID]
	for i, name := range streamNames {
		st := &op.streams[i]
		switch {
		case !st.begun:
			continue
		case name == gate.OriginalStream && p.sealer == nil:
			n.Originals = originalsNotKept
			continue
		case name == gate.OriginalStream:
			n.Originals = originalsSealed
		}
		if st.missing > 0 {
			n.Capped = append(n.Capped, name)
		}
		if last := p.current.lastOf(st); last != nil {
			last.Final, last.Missing = true, st.missing
			continue
		}
		p.insert(&event.Chunk{
			Session: sessionID, Operation: operationID, Target: op.target, Stream: string(name),
			Time: time.Now(), Offset: st.offset, Final: true, Missing: st.missing,
		}, st.key)
	}
	slices.Sort(n.Capped)
	delete(s.operations, operationID)
	return n
}

// forget ends a session: its data key is gone from here.
func (p *payloads) forget(sessionID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sessions[sessionID]
	if s == nil {
		return
	}
	for id := range s.operations {
		p.finish(sessionID, id)
	}
	delete(p.sessions, sessionID)
}
