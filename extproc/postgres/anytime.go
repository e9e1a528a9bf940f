package postgres

import (
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/mask"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// What the server may send between any two messages can hold what is masked, and
// no column says so: a trigger notifies NEW.ssn, a function puts it into a setting.

// payloadWithheld and settingWithheld stand for a text that is not told.
const (
	payloadWithheld = "[the payload is withheld: columns of this target are masked]"
	settingWithheld = "[withheld]"
)

// hearing is what a session's notifications and settings are told under. It belongs to
// the server's side.
type hearing struct {
	last      *operation      // that has ended
	listening bool            // a LISTEN was seen
	closed    bool            // payloads of others are withheld
	passages  *mask.Passages  // looked for in them
	mixed     bool            // the transaction did more than notify
	values    map[string]bool // of settings, that were withheld
}

// note takes an operation that has ended into account.
func (h *hearing) note(op *operation, target string) {
	h.last = op
	h.mixed = h.mixed || !notifies(op)
	if containsAction(op.shape, sqlmeta.ActionListen) {
		if !h.listening {
			h.listening, h.closed, h.passages = true, false, nil
		}
		h.closed = h.closed || hidesColumns(op.masks, op.shape.class, target)
		if op.passages != nil {
			h.passages = op.passages
		}
	}
}

// notifies says that an operation notifies with payloads of its own text at most.
func notifies(op *operation) bool {
	return !slices.ContainsFunc(op.shape.sql.Statements, func(st gate.Statement) bool {
		return st.Action != sqlmeta.ActionNotify && st.Action != sqlmeta.ActionListen && st.Action != sqlmeta.ActionTransaction
	})
}

// hidesColumns says whether masks can concern a column of a target.
func hidesColumns(masks []gate.Mask, class Classification, target string) bool {
	if len(masks) == 0 {
		return false
	}
	classes := class.Classes(target)
	return slices.ContainsFunc(masks, func(m gate.Mask) bool { return m.Column != "" || slices.Contains(classes, m.Class) })
}

// notification delivers a NotificationResponse. The masks of the decision on LISTEN
// count for its payload: who is to hear all has none there. A payload that the
// client has sent itself comes back as it was.
func (s *session) notification(frame []byte, op *operation) error {
	var m pgproto3.NotificationResponse
	if err := m.Decode(frame[headerLen:]); err != nil {
		return unexpected(frame[0])
	}
	h := &s.out.heard
	closed, passages := h.closed, h.passages
	if !h.listening && h.last != nil { // a LISTEN that was not seen as one
		closed, passages = hidesColumns(h.last.masks, h.last.shape.class, s.cfg.Target.Name), h.last.passages
	}
	own := m.PID == s.key.ProcessID && !h.mixed && (op == nil || notifies(op))
	payload := m.Payload
	switch {
	case payload == "":
	case closed && !own:
		payload = payloadWithheld
	case passages != nil:
		payload = seekString(passages, payload, &mask.Found{})
	}
	if payload == m.Payload {
		s.out.pass(frame, op, false)
		return nil
	}
	if op != nil {
		s.seal(frame, op)
	}
	m.Payload = payload
	s.put(op, func(dst []byte) []byte { return encode(dst, &m) })
	return nil
}

// setting delivers a ParameterStatus.
func (s *session) setting(frame []byte, a answer, name, value string) {
	h := &s.out.heard
	op, withheld := s.withheld(a)
	told := value
	switch {
	case !free(name):
	case h.values[value] || withheld && op != nil && carries(op.shape):
		if h.values == nil {
			h.values = map[string]bool{}
		}
		h.values[value] = true // it may be told again, when another is taken back
		told = settingWithheld
	case op != nil && op.passages != nil:
		told = seekString(op.passages, value, &mask.Found{})
	case h.last != nil && h.last.passages != nil:
		told = seekString(h.last.passages, value, &mask.Found{})
	}
	if told == value {
		s.out.pass(frame, a.op, false)
		return
	}
	if op != nil {
		s.seal(frame, op)
	}
	s.put(a.op, func(dst []byte) []byte { return encode(dst, &pgproto3.ParameterStatus{Name: name, Value: told}) })
}

// free says whether a setting that the server reports can hold any text. The others
// have a few values that it knows.
func free(name string) bool {
	return name == "application_name" || name == "search_path" || name == "TimeZone"
}

// carries says whether a statement may put a value into a setting.
func carries(sh *shape) bool {
	return sh.foreign || sh.opaque || slices.ContainsFunc(sh.risks, func(r string) bool {
		return r == sqlmeta.RiskValueEscape || r == sqlmeta.RiskOpaqueFunction || r == sqlmeta.RiskDynamicSQL
	})
}
