package detect

import "bytes"

const (
	// reach is how far back a finding can begin before the last word of a text, and
	// what announces it, in bytes.
	reach = 96
	// longestHeld bounds what is held back until a word or a key ends.
	longestHeld = 64 << 10
	// enough is what is held back of a word that is longer: the header of a token.
	enough = 4 << 10
)

// Stream finds the same in a text that comes in pieces as Scan does in the whole,
// wherever the pieces end. It is not safe for concurrent use.
//
// Of what is longer than 64 KiB the first part is found, and what follows it is
// found as its rest, each piece for itself.
type Stream struct {
	want  Set
	buf   []byte // up to from it has been given; a little of it is kept for what follows
	from  int
	found []Finding
	rest  *Detector // what was given last may go on
}

// NewStream makes a Stream.
func NewStream(want Set) *Stream { return &Stream{want: want} }

// Feed takes the next piece and gives the text that nothing can change any more
// what is found in it, with the findings in it. Both hold until the next call.
// After the last piece that is all.
func (s *Stream) Feed(piece []byte, last bool) (text []byte, found []Finding) {
	kept := max(0, s.from-reach)
	s.buf = append(s.buf[:copy(s.buf, s.buf[kept:])], piece...)
	s.from -= kept
	s.found = s.found[:0]
	start := s.from
	at := s.goOn(start)
	scan := scanner{text: s.buf, want: s.want & All, found: s.found, from: at, open: -1}
	scan.run(at)
	s.found = scan.found
	end := len(s.buf)
	if !last {
		end = s.settled(at, scan.open)
	}
	s.cut(&end)
	s.from = end
	for i := range s.found {
		s.found[i].Start -= start
		s.found[i].End -= start
	}
	return s.buf[start:end], s.found
}

// goOn finds the rest of what was found before it had come to its end.
func (s *Stream) goOn(start int) int {
	if s.rest == nil {
		return start
	}
	end := start
	for end < len(s.buf) && (inWord(s.buf[end]) || *s.rest == PrivateKey && inKey(s.buf[end])) {
		end++
	}
	d := *s.rest
	if end < len(s.buf) {
		s.rest = nil
	}
	if end > start {
		s.found = append(s.found, Finding{start, end, d})
	}
	return end
}

// settled says up to where what follows changes nothing.
func (s *Stream) settled(at, open int) int {
	i := len(s.buf)
	for i > at && inWord(s.buf[i-1]) {
		i--
	}
	for i = max(at, i-reach); i > at && inWord(s.buf[i-1]); {
		i--
	}
	i = max(i, at+bytes.LastIndexByte(s.buf[at:], '\n')+1) // nothing but keys goes on behind a line
	if open >= 0 {
		i = min(i, open)
	}
	if len(s.buf)-i <= longestHeld {
		return i
	}
	if n := len(s.found); n > 0 && s.found[n-1].End > len(s.buf)-enough { // it is longer than is waited for
		d := s.found[n-1].Detector
		s.rest = &d
		return len(s.buf)
	}
	return len(s.buf) - enough
}

// cut leaves out the findings behind the end, and moves it behind one that it
// would cut: that one is complete.
func (s *Stream) cut(end *int) {
	for i, f := range s.found {
		if f.Start >= *end {
			s.found = s.found[:i]
			return
		}
		*end = max(*end, f.End)
	}
}

// inWord says whether a byte may be within what is found, spaces apart.
func inWord(c byte) bool {
	switch c {
	case '.', '%', '+', '-', '\'', '=', '/', '@':
		return true
	default:
		return isWord(c)
	}
}
