package postgres

import (
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/internal/detect"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/mask"
)

// Detectors are the second line: what the classification asks for is looked for in
// texts that no column says anything of, where the decision has a mask of its class.
// That is so in cells without a mask of their own, in errors and notices that may be
// told, in the payloads of notifications and the values of settings.

// seeking is what a session looks for under the masks of its last decision.
type seeking struct {
	masks    []gate.Mask
	class    Classification
	passages *mask.Passages
}

// passages are what is looked for in the texts of an operation, nil for nothing.
func (s *session) passages(op *operation) (*mask.Passages, *problem) {
	k := &s.seeking
	if k.class == op.shape.class && slices.Equal(k.masks, op.masks) {
		return k.passages, nil
	}
	rules := passageRules(op.masks, op.shape.class.Detectors(s.cfg.Target.Name))
	passages, err := s.deps.Masker.Passages(rules)
	if err != nil {
		s.deps.Log.Error("a mask of the policy cannot work", "target", s.cfg.Target.Name, "err", err)
		return nil, unusableMask(op)
	}
	*k = seeking{op.masks, op.shape.class, passages}
	return passages, nil
}

// passageRules are the detectors of whose classes the decision has a mask. Of
// several the strictest counts.
func passageRules(masks []gate.Mask, asked []detect.Asked) []mask.PassageRule {
	var rules []mask.PassageRule
	for _, a := range asked {
		var best gate.MaskSpec
		label := ""
		for i := range masks {
			m := &masks[i]
			switch {
			case m.Class == "" || !slices.Contains(a.Classes, m.Class):
				continue
			case label == "":
				best, label = m.MaskSpec, m.Class
			default:
				best = best.Stricter(m.MaskSpec)
			}
		}
		if label != "" {
			rules = append(rules, mask.PassageRule{Detector: a.Detector, Class: label, Spec: specOf(best)})
		}
	}
	return rules
}

func specOf(m gate.MaskSpec) mask.Spec {
	return mask.Spec{With: m.With, KeepFirst: m.KeepFirst, KeepLast: m.KeepLast, Unit: m.Unit, Size: m.Size}
}

// note adds what was found to an outcome.
func (o *operation) note(found *mask.Found) {
	for d, n := range found.Counts {
		if n == 0 {
			continue
		}
		if o.outcome.Masked == nil {
			o.outcome.Masked = map[string]int{}
		}
		if o.outcome.Detected == nil {
			o.outcome.Detected = map[string]int{}
		}
		o.outcome.Masked[o.passages.Class(detect.Detector(d))] += n
		o.outcome.Detected[detect.Detector(d).String()] += n
	}
	found.Counts = [detect.Count]int{}
}

// seekMessage hides what is found in the fields of an ErrorResponse or NoticeResponse. It
// returns the frame itself where nothing was.
func (s *session) seekMessage(frame []byte, op *operation) []byte {
	if op == nil || op.passages == nil {
		return frame
	}
	var m pgproto3.ErrorResponse
	if err := m.Decode(frame[headerLen:]); err != nil {
		return frame
	}
	var found mask.Found
	for _, field := range []*string{
		&m.Message, &m.Detail, &m.Hint, &m.InternalQuery, &m.Where, &m.SchemaName, &m.TableName, &m.ColumnName, &m.DataTypeName, &m.ConstraintName,
	} {
		*field = seekString(op.passages, *field, &found)
	}
	for k, v := range m.UnknownFields {
		m.UnknownFields[k] = seekString(op.passages, v, &found)
	}
	if !found.Any() {
		return frame
	}
	op.note(&found)
	s.seal(frame, op)
	if frame[0] == msgNotice {
		notice := pgproto3.NoticeResponse(m)
		return encode(nil, &notice)
	}
	return encode(nil, &m)
}

func seekString(p *mask.Passages, text string, found *mask.Found) string {
	if text == "" {
		return text
	}
	if out, changed := p.Text(nil, []byte(text), found); changed {
		return string(out)
	}
	return text
}

// seal keeps a message that the client gets in other words, for the auditors.
func (s *session) seal(frame []byte, op *operation) {
	if op.metadata {
		return
	}
	s.out.originals = append(s.out.originals, frame...)
	s.out.replaced = append(s.out.replaced, part{op: op, end: len(s.out.originals)})
}

// tellAs delivers a message that may have been changed since it was read.
func (s *session) tellAs(frame, changed []byte, op *operation) {
	if &frame[0] == &changed[0] {
		s.out.pass(frame, op, false)
		return
	}
	s.put(op, func(dst []byte) []byte { return append(dst, changed...) })
}
