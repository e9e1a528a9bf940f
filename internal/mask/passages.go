package mask

import (
	"errors"
	"fmt"
	"io"

	"github.com/weir-gateway/weir/internal/detect"
)

// PassageRule hides what a detector finds.
type PassageRule struct {
	Detector detect.Detector
	Class    string // counted under this name
	Spec     Spec
}

// Passages hides what detectors find within texts. It is safe for concurrent use.
type Passages struct {
	masker *Masker
	want   detect.Set
	rules  [detect.Count]PassageRule // by detector
}

// Passages makes a masker of passages, nil of no rules. There is one rule for a
// detector at most.
func (m *Masker) Passages(rules []PassageRule) (*Passages, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	p := &Passages{masker: m}
	for _, r := range rules {
		if err := r.Spec.Check(); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Detector, err)
		}
		p.want |= detect.Of(r.Detector)
		p.rules[r.Detector] = r
	}
	return p, nil
}

// Found is what was found and hidden. Its zero value is ready.
type Found struct {
	Counts   [detect.Count]int // by detector
	findings []detect.Finding  // scratch, like the next
	text     []byte
}

// Any says whether anything was found so far.
func (f *Found) Any() bool { return f.Counts != [detect.Count]int{} }

// Names are the counts by the names of the detectors, nil of none.
func (f *Found) Names() map[string]int {
	var names map[string]int
	for d, n := range f.Counts {
		if n == 0 {
			continue
		}
		if names == nil {
			names = map[string]int{}
		}
		names[detect.Detector(d).String()] = n
	}
	return names
}

// Class is the class that the findings of a detector are counted under.
func (p *Passages) Class(d detect.Detector) string { return p.rules[d].Class }

// Text appends a text with what was found in it hidden. Where nothing was found it
// appends nothing and says so.
func (p *Passages) Text(dst, text []byte, f *Found) (out []byte, changed bool) {
	if len(p.find(text, f)) == 0 {
		return dst, false
	}
	return p.hide(dst, text, f.findings, f), true
}

// find leaves what it finds in the scratch, too.
func (p *Passages) find(text []byte, f *Found) []detect.Finding {
	f.findings = detect.Append(f.findings[:0], text, p.want)
	return f.findings
}

func (p *Passages) hide(dst, text []byte, findings []detect.Finding, f *Found) []byte {
	at := 0
	for _, one := range findings {
		dst = append(dst, text[at:one.Start]...)
		dst = p.passage(dst, one.Detector, text[one.Start:one.End])
		at = one.End
		f.Counts[one.Detector]++
	}
	return append(dst, text[at:]...)
}

// passage hides one passage. One that its mask has no replacement for is redacted:
// a text cannot be NULL in the middle.
func (p *Passages) passage(dst []byte, d detect.Detector, value []byte) []byte {
	out, null := p.masker.text(p.rules[d].Spec, dst, value)
	if null {
		return append(dst, Redacted...)
	}
	return out
}

// copyBuffer is how much is read of a text at once, in bytes.
const copyBuffer = 16 << 10

// Copy reads a text from src and writes it to dst without the passages in it.
func (p *Passages) Copy(dst io.Writer, src io.Reader, replaced Replaced, f *Found) error {
	s := p.Stream()
	var out []byte
	in := make([]byte, copyBuffer)
	for {
		n, err := src.Read(in)
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return err
		}
		if out = s.Append(out[:0], in[:n], last, f, replaced); len(out) > 0 {
			if _, err := dst.Write(out); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
	}
}

// Stream hides what is found in a text that comes in pieces.
type Stream struct {
	passages *Passages
	stream   *detect.Stream
}

// Stream makes a Stream.
func (p *Passages) Stream() *Stream { return &Stream{p, detect.NewStream(p.want)} }

// Append appends what is certain of the text by now, after the last piece all of
// it. Each passage that was hidden is told.
func (s *Stream) Append(dst, piece []byte, last bool, f *Found, told Replaced) []byte {
	text, findings := s.stream.Feed(piece, last)
	if told != nil {
		for _, one := range findings {
			told(s.passages.Class(one.Detector), text[one.Start:one.End])
		}
	}
	return s.passages.hide(dst, text, findings, f)
}
