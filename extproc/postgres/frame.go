package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

const (
	headerLen = 5 // type byte and length (PostgreSQL, "Message formats")

	// smallBuffer is what an idle session holds, largeBuffer what a busy one
	// reads with.
	smallBuffer = 8 << 10
	largeBuffer = 64 << 10

	// maxFrame is PostgreSQL's own bound of a message (PQ_LARGE_MESSAGE_LIMIT).
	maxFrame = 1<<30 - 1
)

var errFrame = errors.New("a message has an impossible length")

var largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}

// frameReader cuts a stream into messages, in place. What it returns is valid
// until the next call that may read.
type frameReader struct {
	conn    io.Reader
	onBlock func() error // called before every read that may wait

	small  []byte
	pooled *[]byte // a large buffer, nil while the small one does
	buf    []byte  // small, *pooled, or one made for an oversized message
	r, w   int     // what has been read but not taken is buf[r:w]
	reads  int     // how often something came
}

func newFrameReader(conn io.Reader) *frameReader {
	f := &frameReader{conn: conn, small: make([]byte, smallBuffer)}
	f.buf = f.small
	return f
}

func (f *frameReader) buffered() int { return f.w - f.r }

// next waits for a message and returns its type and its whole size in bytes,
// type and length included. It takes nothing.
func (f *frameReader) next() (kind byte, size int, err error) {
	if err := f.need(headerLen); err != nil {
		return 0, 0, err
	}
	n := binary.BigEndian.Uint32(f.buf[f.r+1:])
	if n < 4 || n > maxFrame {
		return 0, 0, fmt.Errorf("%w: %d bytes", errFrame, n)
	}
	return f.buf[f.r], int(n) + 1, nil
}

// take waits for n bytes and takes them.
func (f *frameReader) take(n int) ([]byte, error) {
	if err := f.need(n); err != nil {
		return nil, err
	}
	b := f.buf[f.r : f.r+n : f.r+n]
	f.r += n
	return b, nil
}

// taken is the last n bytes that were taken. They must not have been read over.
func (f *frameReader) taken(n int) []byte { return f.buf[f.r-n : f.r : f.r] }

// follows says that of the bytes taken last, next are the last and lie right
// behind before.
func (f *frameReader) follows(before, next []byte) bool {
	at := f.r - len(next) - len(before)
	return at >= 0 && len(before) > 0 && len(next) > 0 && &f.buf[at] == &before[0] && &f.buf[at+len(before)] == &next[0]
}

// ahead is the size of the message that begins n bytes on, if it is of the given
// kind and all of it is there, else 0.
func (f *frameReader) ahead(n int, kind byte) int {
	b := f.buf[f.r+n : f.w]
	if len(b) < headerLen || b[0] != kind {
		return 0
	}
	size := binary.BigEndian.Uint32(b[1:])
	if size < 4 || size > uint32(len(b)-1) {
		return 0
	}
	return int(size) + 1
}

// chunk takes between 1 and max bytes, as many as are there.
func (f *frameReader) chunk(limit int) ([]byte, error) {
	if err := f.need(1); err != nil {
		return nil, err
	}
	return f.take(min(limit, f.buffered()))
}

// discard takes n bytes and forgets them.
func (f *frameReader) discard(n int) error {
	for n > 0 {
		b, err := f.chunk(n)
		if err != nil {
			return err
		}
		n -= len(b)
	}
	return nil
}

// unread puts bytes that somebody else has read behind those in the buffer. What
// was taken before stays valid.
func (f *frameReader) unread(b []byte) {
	if len(f.buf)-f.w < len(b) {
		bigger := make([]byte, f.buffered()+len(b))
		f.w = copy(bigger, f.buf[f.r:f.w])
		f.buf, f.pooled, f.r = bigger, nil, 0
	}
	f.w += copy(f.buf[f.w:], b)
	f.reads++
}

func (f *frameReader) need(n int) error {
	for f.buffered() < n {
		if f.onBlock != nil {
			if err := f.onBlock(); err != nil {
				return err
			}
		}
		f.room(n - f.buffered())
		got, err := f.conn.Read(f.buf[f.w:])
		f.w += got
		f.reads++
		if got == 0 && err != nil {
			if errors.Is(err, io.EOF) && f.buffered() > 0 {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		if got > 0 && f.w == len(f.buf) && len(f.buf) < largeBuffer {
			f.grow(largeBuffer)
		}
	}
	return nil
}

// room makes place to read into, for n more bytes if it can be had. A buffer
// grows with what has come, not with what a length promises.
func (f *frameReader) room(n int) {
	if f.r == f.w {
		f.r, f.w = 0, 0
		if len(f.buf) > largeBuffer {
			f.shrink()
		}
	}
	have := f.buffered()
	switch {
	case len(f.buf)-f.w >= max(n, 1):
	case have == len(f.buf):
		f.grow(min(have+n, 4*len(f.buf)))
	case have+n > len(f.buf) && f.r == 0:
	default:
		f.w = copy(f.buf, f.buf[f.r:f.w])
		f.r = 0
	}
}

// grow moves to a buffer of at least n bytes.
func (f *frameReader) grow(n int) {
	var bigger []byte
	old := f.pooled
	if n <= largeBuffer {
		f.pooled = largeBuffers.Get().(*[]byte)
		bigger = *f.pooled
	} else {
		f.pooled = nil
		bigger = make([]byte, n)
	}
	f.w = copy(bigger, f.buf[f.r:f.w])
	f.r = 0
	f.buf = bigger
	if old != nil {
		largeBuffers.Put(old)
	}
}

// shrink gives back what an idle session does not need. The buffer must be empty.
func (f *frameReader) shrink() {
	if f.r != f.w {
		return
	}
	if f.pooled != nil {
		largeBuffers.Put(f.pooled)
		f.pooled = nil
	}
	f.buf, f.r, f.w = f.small, 0, 0
}
