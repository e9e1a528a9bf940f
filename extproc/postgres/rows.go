package postgres

import (
	"encoding/binary"

	"github.com/weir-gateway/weir/internal/gate"
)

// row handles a DataRow or a piece of COPY data, the messages that there are
// most of, and the one result of a FunctionCall. It has not been taken from the
// reader yet.
func (s *session) row(kind byte, size int) error {
	op := s.out.rowsOf
	if op == nil || kind == msgFunctionResult {
		a := s.current()
		switch {
		case a.want == wantProbe && kind == msgDataRow:
			return s.probeRow(a.probe, size)
		case a.op == nil, (kind == msgCopyData) != a.op.copyOut && (!a.op.copyOut || !a.op.both()), kind == msgFunctionResult && a.op.rows > 0:
			return unexpected(kind)
		case a.want == wantCall && kind == msgFunctionResult:
		case a.want != wantQuery && a.want != wantExecute, kind == msgFunctionResult:
			return unexpected(kind)
		}
		op = a.op
		s.out.rowsOf = op
	}
	if s.muted || op.problem.Load() != nil {
		return s.server.discard(size)
	}
	if !s.confirm(op) {
		s.cancelRunning()
		return s.server.discard(size)
	}
	if p := op.count(kind, size); p != nil {
		s.interrupt(op, p)
		return s.server.discard(size)
	}
	if op.columns != nil {
		s.tellColumns(op)
	}
	switch {
	case kind == msgCopyData && op.copy != nil && op.copy.stream != nil:
		return s.maskedCopy(op, size)
	case len(op.masks) == 0 || kind == msgCopyData || op.plan != nil && op.plan.passes:
		if size > largeBuffer && size > s.server.buffered() {
			return s.stream(op, size)
		}
		return s.passRows(op, kind, size)
	case op.plan == nil:
		s.disagree(op)
		return s.server.discard(size)
	}
	return s.maskedRow(op, size)
}

// passRows passes on a row, and with it those behind it that are there already:
// of each, only type and length are looked at.
func (s *session) passRows(op *operation, kind byte, size int) error {
	if err := s.server.need(size); err != nil {
		return err
	}
	for kind != msgFunctionResult && size < fullBatch { // of a function there is one result
		next := s.server.ahead(size, kind)
		if next == 0 || op.count(kind, next) != nil { // which is said when it is at the front
			break
		}
		size += next
	}
	frames, err := s.server.take(size)
	if err == nil {
		s.out.pass(frames, op, true)
	}
	return err
}

// count counts a row against the limits of the decision. Of COPY data a message is
// one: so the server sends it. What a portal delivered before counts too, or a
// client would fetch in pieces.
func (o *operation) count(kind byte, size int) *problem {
	l := &o.decision.Limits
	rows, notRows := o.rows+1, o.notRows
	if kind == msgCopyData && notRows > 0 {
		rows, notRows = o.rows, notRows-1
	}
	var hadRows, hadBytes int64
	if o.portal != nil {
		hadRows, hadBytes = o.portal.rows, o.portal.bytes
	}
	switch {
	case l.MaxRows > 0 && hadRows+rows > l.MaxRows:
		return failed(codeLimitExceeded, "the result has more than %d rows, which is as many as policy allows (max_rows)", l.MaxRows).
			withHint("Add a LIMIT, or ask for less.").of(&o.decision)
	case l.MaxBytes > 0 && hadBytes+o.bytes+int64(size) > l.MaxBytes:
		return failed(codeLimitExceeded, "the result has more than %d bytes, which is as many as policy allows (max_bytes)", l.MaxBytes).
			withHint("Ask for fewer rows or columns.").of(&o.decision)
	}
	o.rows, o.notRows = rows, notRows
	o.bytes += int64(size)
	return nil
}

// stream passes on a row that is larger than the buffers, piece by piece.
func (s *session) stream(op *operation, size int) error {
	if err := s.deliver(); err != nil {
		return err
	}
	s.clientMu.Lock()
	defer s.clientMu.Unlock()
	onBlock := s.server.onBlock
	s.server.onBlock = nil
	defer func() { s.server.onBlock = onBlock }()
	s.cut = true
	for size > 0 {
		b, err := s.server.chunk(min(size, largeBuffer))
		if err != nil {
			return err
		}
		size -= len(b)
		if !op.metadata {
			if err := s.deps.Gate.Payload(s.ctx, s.gate, op.id, gate.ResponseStream, b); err != nil {
				return s.unrecorded(err)
			}
		}
		s.out.write(b)
		s.bytesOut.Add(int64(len(b)))
		s.metrics.bytesOut.Add(float64(len(b)))
		if _, err := s.clientConn.Write(b); err != nil {
			return errClientGone
		}
	}
	s.cut = false
	return nil
}

// takeMaskable takes a message whose values are to be replaced, or breaks the
// operation off and gives nil where it is too large to be held whole.
func (s *session) takeMaskable(op *operation, size int) ([]byte, error) {
	if size > s.cfg.MaxMessage {
		s.interrupt(op, rowTooLarge(op, size, s.cfg.MaxMessage))
		return nil, s.server.discard(size)
	}
	return s.server.take(size)
}

// maskedRow delivers a row with the cells that the plan hides replaced.
func (s *session) maskedRow(op *operation, size int) error {
	frame, err := s.takeMaskable(op, size)
	if frame == nil || err != nil {
		return err
	}
	d := &s.out
	d.gather()
	start := len(d.out)
	var ok bool
	if d.out, ok = op.plan.rewrite(d.out, frame); !ok {
		return unexpected(msgDataRow)
	}
	op.bytes += int64(len(d.out) - start - size) // what the client gets is what counts
	d.mark(op, true)
	if !op.metadata {
		before := d.originalsSoFar()
		d.originals = op.plan.originals(d.originals, frame)
		d.markOriginals(op, before)
	}
	return nil
}

// rowHeader is type, length and number of columns, in bytes.
const rowHeader = headerLen + 2

// rewrite appends a DataRow with its masked cells replaced. It is not ok for a
// row that is malformed or not of the described shape.
func (p *plan) rewrite(dst, frame []byte) ([]byte, bool) {
	if len(frame) < rowHeader || int(binary.BigEndian.Uint16(frame[headerLen:])) != len(p.cells) {
		return dst, false
	}
	start := len(dst)
	kept := 0 // the frame up to here is in dst
	at := rowHeader
	for i, cell := range p.cells {
		n, value, ok := cellAt(frame, at)
		if !ok {
			return dst, false
		}
		if cell != nil && (value != nil || p.nulls[i]) {
			dst = append(dst, frame[kept:at+4]...)
			length := len(dst) - 4
			var null bool
			dst, null = cell(dst, value)
			if null {
				dst = dst[:length+4]
				binary.BigEndian.PutUint32(dst[length:], 0xffffffff)
			} else {
				binary.BigEndian.PutUint32(dst[length:], uint32(len(dst)-length-4))
			}
			kept = at + n
			p.counts[i]++
		} else if p.seek != nil && p.seek[i] != nil {
			var null bool
			p.changed[i] = false
			if value != nil {
				p.scratch, null, p.changed[i] = p.seek[i](p.scratch[:0], value, &p.found)
			}
			if p.changed[i] {
				dst = appendCell(append(dst, frame[kept:at]...), p.scratch, null)
				kept = at + n
			}
		}
		at += n
	}
	if at != len(frame) {
		return dst, false
	}
	dst = append(dst, frame[kept:]...)
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst, true
}

// originals appends the cells that rewrite replaced, as a DataRow in which all
// others are NULL. A row of which nothing was replaced adds nothing.
func (p *plan) originals(dst, frame []byte) []byte {
	start := len(dst)
	dst = append(dst, frame[:rowHeader]...)
	any := false
	at := rowHeader
	for i, cell := range p.cells {
		n, value, _ := cellAt(frame, at)
		if value != nil && (cell != nil || p.changed != nil && p.changed[i]) {
			dst = append(dst, frame[at:at+n]...)
			any = true
		} else {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
		}
		at += n
	}
	if !any {
		return dst[:start]
	}
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst
}

// appendCell appends a cell with its length.
func appendCell(dst, value []byte, null bool) []byte {
	if null {
		return append(dst, 0xff, 0xff, 0xff, 0xff)
	}
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(value))), value...)
}

// cellAt reads the cell at an offset: its size with its length, and its value,
// nil for NULL.
func cellAt(frame []byte, at int) (n int, value []byte, ok bool) {
	if at+4 > len(frame) {
		return 0, nil, false
	}
	length := int32(binary.BigEndian.Uint32(frame[at:]))
	if length == -1 {
		return 4, nil, true
	}
	if length < 0 || int(length) > len(frame)-at-4 {
		return 0, nil, false
	}
	return 4 + int(length), frame[at+4 : at+4+int(length)], true
}

// maxAnswer bounds what is kept of the answer to a question of the gateway's own, in bytes.
const maxAnswer = 64 << 20

// probeRow reads the answer to a question of the gateway's own.
func (s *session) probeRow(p *probe, size int) error {
	if size > s.cfg.MaxMessage {
		return unexpected(msgDataRow)
	}
	frame, err := s.server.take(size)
	if err != nil {
		return err
	}
	_, value, ok := cellAt(frame, rowHeader)
	if !ok {
		return unexpected(msgDataRow)
	}
	s.mu.Lock()
	if p.bytes += len(value); p.bytes > maxAnswer {
		p.values, p.failed = nil, true
	} else {
		p.values = append(p.values, string(value))
	}
	s.mu.Unlock()
	return nil
}
