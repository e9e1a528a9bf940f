package mask

import "github.com/go-json-experiment/json/jsontext"

// leaf writes a value that no rule hides, without the passages in it.
func (w *walk) leaf(v jsontext.Value) error {
	p := w.json.passages
	if p == nil {
		return w.enc.WriteValue(v)
	}
	switch v.Kind() {
	case '"':
		raw, err := jsontext.AppendUnquote(w.found.text[:0], v)
		if err != nil {
			return err
		}
		w.found.text = raw
		if out, changed := w.seek(raw); changed {
			return w.enc.WriteToken(jsontext.String(string(out)))
		}
	case '0':
		found := p.find(v, w.found)
		if len(found) == 0 {
			break
		}
		d := found[0].Detector
		w.found.Counts[d]++
		w.tell(p.Class(d), v)
		out, _ := w.json.masker.appendJSON(nil, nil, p.rules[d].Spec, v)
		return w.enc.WriteValue(out)
	}
	return w.enc.WriteValue(v)
}

// name writes the name of a member without the passages in it.
func (w *walk) name(name jsontext.Token, text string) error {
	if w.json.passages != nil {
		if out, changed := w.seek([]byte(text)); changed {
			return w.enc.WriteToken(jsontext.String(string(out)))
		}
	}
	return w.enc.WriteToken(name)
}

// seek hides the passages of a text, and tells each.
func (w *walk) seek(text []byte) (out []byte, changed bool) {
	p := w.json.passages
	out, changed = p.Text(nil, text, w.found)
	if changed {
		for _, one := range w.found.findings {
			w.tell(p.Class(one.Detector), text[one.Start:one.End])
		}
	}
	return out, changed
}

func (w *walk) tell(class string, original []byte) {
	if w.replaced != nil {
		w.replaced(class, original)
	}
}
