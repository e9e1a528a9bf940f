package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"

	"github.com/weir-gateway/weir/internal/gate"
)

// deliveries is what the server's side has ready for the client. Messages that
// pass unchanged stay where they were read (run) as long as nothing else comes
// between them; then all is gathered in out.
type deliveries struct {
	in        *frameReader // where what passes was read
	run       []byte
	out       []byte
	parts     []part
	originals []byte // what masks replaced, as DataRows, in order of parts
	replaced  []part
	completed []*operation

	digest    hash.Hash // of the rows of the operation that is being delivered
	hashed    int       // parts that are in the digest
	hashedTo  int       // bytes that are
	lastWords bool      // the server has sent a FATAL error

	rowsOf  *operation // whose rows come, until another message does
	passing passing
	heard   hearing
	masked  *operation // the last one of this transaction that used what is masked

	dropped []*operation // never answered; guarded by the session's lock
}

// part says whose the bytes up to end are.
type part struct {
	op  *operation
	end int
	row bool // they count for the digest
}

func (d *deliveries) size() int { return len(d.run) + len(d.out) }

// pass delivers messages as they were read: the last that were taken.
func (d *deliveries) pass(frame []byte, op *operation, row bool) {
	switch {
	case len(d.out) > 0:
		d.out = append(d.out, frame...)
	case len(d.run) == 0:
		d.run = frame
	case d.in.follows(d.run, frame):
		d.run = d.in.taken(len(d.run) + len(frame))
	default:
		d.gather()
		d.out = append(d.out, frame...)
	}
	d.mark(op, row)
}

// gather moves what passes unchanged to where other things can follow it.
func (d *deliveries) gather() {
	if d.out == nil {
		d.out = borrow()
	}
	if len(d.run) > 0 {
		d.out = append(d.out, d.run...)
		d.run = nil
	}
}

// mark notes whose the bytes are that were just added.
func (d *deliveries) mark(op *operation, row bool) {
	end := d.size()
	if n := len(d.parts); n > 0 && d.parts[n-1].op == op && d.parts[n-1].row == row {
		d.parts[n-1].end = end
		return
	}
	d.parts = append(d.parts, part{op, end, row})
}

// originalsSoFar makes room for what masks replace, and says how much of it is
// there already.
func (d *deliveries) originalsSoFar() int {
	if d.originals == nil {
		d.originals = borrow()
	}
	return len(d.originals)
}

// markOriginals notes whose the originals are that were added since.
func (d *deliveries) markOriginals(op *operation, before int) {
	if end := len(d.originals); end > before {
		d.replaced = append(d.replaced, part{op: op, end: end})
	}
}

func (d *deliveries) data() []byte {
	if len(d.out) > 0 {
		return d.out
	}
	return d.run
}

// hashRows brings the digest up to date.
func (d *deliveries) hashRows() {
	data := d.data()
	for d.hashed < len(d.parts) {
		p := d.parts[d.hashed]
		if p.row && p.end > d.hashedTo {
			d.write(data[d.hashedTo:p.end])
		}
		d.hashedTo = p.end
		d.hashed++
	}
	if d.hashed > 0 {
		d.hashed-- // the last part may grow
	}
}

func (d *deliveries) write(b []byte) {
	if d.digest == nil {
		d.digest = sha256.New()
	}
	_, _ = d.digest.Write(b) // a hash never fails
}

// sum ends the digest of an operation.
func (d *deliveries) sum() string {
	d.hashRows()
	if d.digest == nil {
		return ""
	}
	var sum [sha256.Size]byte
	d.digest.Sum(sum[:0])
	d.digest.Reset()
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:])
}

// put delivers a message of the gateway's own, or one that it changed.
func (s *session) put(op *operation, build func(dst []byte) []byte) {
	s.out.gather()
	s.out.out = build(s.out.out)
	s.out.mark(op, false)
}

// deliver records what is ready and sends it to the client. Nothing is delivered
// that could not be recorded.
func (s *session) deliver() error {
	d := &s.out
	d.hashRows()
	if err := s.recordDelivery(); err != nil {
		return err
	}
	s.completeAll()
	var err error
	if data := d.data(); len(data) > 0 {
		err = s.toClient(data)
		s.metrics.bytesOut.Add(float64(len(data)))
	}
	d.reset()
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.dirty = false
	quiet := s.quiet()
	end := s.ending
	ends := end != nil && s.mayEnd()
	s.changed.Broadcast()
	s.mu.Unlock()
	if ends {
		s.sayLast(end)
		return errEnded
	}
	if !quiet {
		return nil
	}
	s.rest()
	return nil
}

// rest gives back the buffers of a session that waits for its client.
func (s *session) rest() {
	giveBack(&s.out.out)
	giveBack(&s.out.originals)
	s.server.shrink()
}

const (
	// deliveryBuffer has room for what comes of a full read buffer, even where masks
	// make it longer.
	deliveryBuffer = 2 * largeBuffer
	// fullDelivery is how much is gathered, at most, before the next read: then it is
	// delivered anyhow. So what was read at once is sent at once, in one message.
	fullDelivery = deliveryBuffer - largeBuffer/4
)

var deliveryBuffers = sync.Pool{New: func() any { b := make([]byte, 0, deliveryBuffer); return &b }}

func borrow() []byte { return (*deliveryBuffers.Get().(*[]byte))[:0] }

// giveBack empties a buffer that was borrowed. One that had to grow is not kept.
func giveBack(b *[]byte) {
	if cap(*b) == deliveryBuffer {
		kept := *b
		deliveryBuffers.Put(&kept)
	}
	*b = nil
}

func (d *deliveries) reset() {
	d.run, d.out, d.originals = nil, d.out[:0], d.originals[:0]
	clear(d.parts)
	clear(d.replaced)
	d.parts, d.replaced = d.parts[:0], d.replaced[:0]
	d.hashed, d.hashedTo = 0, 0
}

// recordDelivery hands what is ready to the recorder: what the client gets, and
// what masks replaced in it.
func (s *session) recordDelivery() error {
	if err := s.recordParts(gate.ResponseStream, s.out.parts, s.out.data()); err != nil {
		return err
	}
	return s.recordParts(gate.OriginalStream, s.out.replaced, s.out.originals)
}

func (s *session) recordParts(stream gate.Stream, parts []part, data []byte) error {
	from := 0
	for i, p := range parts {
		if i+1 < len(parts) && parts[i+1].op == p.op {
			continue
		}
		if p.op != nil && !p.op.metadata && p.end > from {
			if err := s.deps.Gate.Payload(s.ctx, s.gate, p.op.id, stream, data[from:p.end]); err != nil {
				return s.unrecorded(err)
			}
		}
		from = p.end
	}
	return nil
}

// unrecorded ends the session because evidence cannot be kept.
func (s *session) unrecorded(err error) error {
	s.deps.Log.Error("evidence could not be recorded", "session", s.gate.ID, "err", err)
	return fatal(codeSystemError, "the session ends because the gateway cannot record it")
}
