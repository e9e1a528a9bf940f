package extproc

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// The bytes of a body message, the one message that is sent for every chunk of
// every session. All others go through the protobuf library.
//
//	ProcessingRequest  {4|5: HttpBody{1: body, 2: end_of_stream}, 8: metadata_context}
//	ProcessingResponse {3|4: BodyResponse{1: CommonResponse{3: BodyMutation{3: StreamedBodyResponse{1: body, 2: end_of_stream}}}}}
const (
	tagRequestBody     = 4<<3 | 2
	tagResponseBody    = 5<<3 | 2
	tagMetadataContext = 8<<3 | 2
	tagBody            = 1<<3 | 2
	tagEndOfStream     = 2 << 3

	tagRequestBodyAnswer  = 3<<3 | 2
	tagResponseBodyAnswer = 4<<3 | 2
	tagResponse           = 1<<3 | 2
	tagBodyMutation       = 3<<3 | 2
	tagStreamedResponse   = 3<<3 | 2
)

// scanner walks over a message that lies in several buffers.
type scanner struct {
	bufs mem.BufferSlice
	at   int    // index of the next buffer
	rest []byte // of the current one
	pos  int    // bytes consumed
}

func (s *scanner) next() (byte, bool) {
	for len(s.rest) == 0 {
		if s.at == len(s.bufs) {
			return 0, false
		}
		s.rest = s.bufs[s.at].ReadOnlyData()
		s.at++
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	s.pos++
	return b, true
}

// varint reads a length or a flag. More than 32 bits are not accepted: no field
// here needs them.
func (s *scanner) varint() (int, bool) {
	v := 0
	for shift := 0; shift < 32; shift += 7 {
		b, ok := s.next()
		if !ok {
			return 0, false
		}
		v |= int(b&0x7f) << shift
		if b < 0x80 {
			return v, true
		}
	}
	return 0, false
}

func (s *scanner) skip(n int) bool {
	for n > len(s.rest) {
		n -= len(s.rest)
		s.pos += len(s.rest)
		if s.at == len(s.bufs) {
			s.rest = nil
			return false
		}
		s.rest = s.bufs[s.at].ReadOnlyData()
		s.at++
	}
	s.rest = s.rest[n:]
	s.pos += n
	return true
}

// bodyMessage is where in a message the body lies.
type bodyMessage struct {
	dir          direction
	start, count int
	end          bool
}

// scanBody reads a ProcessingRequest that is a plain body message, as Envoy
// writes it. It is false for any other one, which the caller must decode in
// full: no shape is guessed at.
func scanBody(data mem.BufferSlice) (bodyMessage, bool) {
	var m bodyMessage
	seen := false
	s := scanner{bufs: data}
	for {
		tag, more := s.next()
		if !more {
			return m, seen
		}
		size, ok := s.varint()
		switch {
		case !ok:
			return m, false
		case tag == tagMetadataContext && size == 0: // which Envoy adds to every message
		case (tag == tagRequestBody || tag == tagResponseBody) && !seen:
			seen = true
			m.dir = direction(tag>>3 - tagRequestBody>>3)
			if !m.scanHTTPBody(&s, s.pos+size) {
				return m, false
			}
		default:
			return m, false
		}
	}
}

func (m *bodyMessage) scanHTTPBody(s *scanner, end int) bool {
	seenBody := false
	for s.pos < end {
		tag, _ := s.next()
		n, ok := s.varint()
		switch {
		case !ok || s.pos > end:
			return false
		case tag == tagBody && !seenBody && n <= end-s.pos:
			seenBody = true
			m.start, m.count = s.pos, n
			if !s.skip(n) {
				return false
			}
		case tag == tagEndOfStream:
			m.end = n != 0
		default:
			return false
		}
	}
	return s.pos == end
}

// maxBodyOverhead is the most that appendBodyAnswer adds to a body.
const maxBodyOverhead = 5*(1+3) + 2

// appendBodyAnswer appends the ProcessingResponse that puts a chunk into one
// direction. The chunk must be shorter than 1 MiB.
func appendBodyAnswer(b []byte, dir direction, body []byte, end bool) []byte {
	streamed := 0
	if len(body) > 0 {
		streamed = protowire.SizeBytes(len(body)) + 1
	}
	if end {
		streamed += 2
	}
	mutation := 1 + protowire.SizeBytes(streamed)
	common := 1 + protowire.SizeBytes(mutation)
	answer := 1 + protowire.SizeBytes(common)
	outer := byte(tagRequestBodyAnswer)
	if dir == response {
		outer = tagResponseBodyAnswer
	}
	b = protowire.AppendVarint(append(b, outer), uint64(answer))
	b = protowire.AppendVarint(append(b, tagResponse), uint64(common))
	b = protowire.AppendVarint(append(b, tagBodyMutation), uint64(mutation))
	b = protowire.AppendVarint(append(b, tagStreamedResponse), uint64(streamed))
	if len(body) > 0 {
		b = protowire.AppendBytes(append(b, tagBody), body)
	}
	if end {
		b = append(b, tagEndOfStream, 1)
	}
	return b
}
