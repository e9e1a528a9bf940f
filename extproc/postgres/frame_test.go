package postgres

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// pieces is a reader that gives a stream in pieces of the given sizes.
type pieces struct {
	b     []byte
	sizes []int
}

func (p *pieces) Read(to []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := len(p.b)
	if len(p.sizes) > 0 {
		n, p.sizes = max(p.sizes[0], 1), p.sizes[1:]
	}
	n = copy(to, p.b[:min(n, len(p.b))])
	p.b = p.b[n:]
	return n, nil
}

// However a stream is cut, the same messages come out of it.
func TestFramesDoNotDependOnCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want [][]byte
		for range rapid.IntRange(1, 20).Draw(t, "messages") {
			size := rapid.SampledFrom([]int{0, 1, 100, smallBuffer - 5, smallBuffer, largeBuffer - 6, largeBuffer, 3 * largeBuffer}).Draw(t, "size")
			frame := appendMessage(nil, rapid.Byte().Draw(t, "kind"), bytes.Repeat([]byte{byte(len(want))}, size))
			want = append(want, frame)
			stream = append(stream, frame...)
		}
		sizes := rapid.SliceOf(rapid.SampledFrom([]int{1, 3, 5, 1000, smallBuffer, largeBuffer, 1 << 20})).Draw(t, "sizes")
		f := newFrameReader(&pieces{stream, sizes})
		blocked := 0
		f.onBlock = func() error { blocked++; return nil }
		for i, frame := range want {
			kind, size, err := f.next()
			if err != nil || kind != frame[0] || size != len(frame) {
				t.Fatalf("message %d: %q of %d bytes, %v", i, kind, size, err)
			}
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				got, err := f.take(size)
				if err != nil || !bytes.Equal(got, frame) {
					t.Fatalf("message %d was taken wrongly: %v", i, err)
				}
			case 1:
				var got []byte
				for len(got) < size {
					b, err := f.chunk(size - len(got))
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, b...)
				}
				if !bytes.Equal(got, frame) {
					t.Fatalf("message %d was taken wrongly in pieces", i)
				}
			default:
				if err := f.discard(size); err != nil {
					t.Fatal(err)
				}
			}
			if f.r == f.w {
				f.shrink()
			}
		}
		if _, _, err := f.next(); !errors.Is(err, io.EOF) {
			t.Fatalf("behind the last message: %v", err)
		}
	})
}

func TestUnread(t *testing.T) {
	f := newFrameReader(bytes.NewReader(appendMessage(nil, 'Q', cstring("SELECT 1"))))
	if _, _, err := f.next(); err != nil {
		t.Fatal(err)
	}
	more := appendMessage(nil, 'Q', bytes.Repeat([]byte{'x'}, 20_000))
	first, err := f.take(14)
	if err != nil {
		t.Fatal(err)
	}
	f.unread(more)
	if string(first[5:13]) != "SELECT 1" {
		t.Fatalf("what was taken became %q", first)
	}
	if got, err := f.take(len(more)); err != nil || !bytes.Equal(got, more) {
		t.Fatal("what was read elsewhere did not come")
	}
}

// A length is a promise: it takes no memory before the bytes come.
func TestPromisedLength(t *testing.T) {
	f := newFrameReader(bytes.NewReader([]byte{'D', 0x3f, 0xff, 0xff, 0xff, 1, 2, 3}))
	_, size, err := f.next()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.take(size); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	if len(f.buf) > largeBuffer {
		t.Errorf("%d bytes were allocated for 8", len(f.buf))
	}
	for _, bad := range [][]byte{{'D', 0, 0, 0, 3}, {'D', 0xff, 0xff, 0xff, 0xff}, {'D', 0x40, 0, 0, 0}} {
		if _, _, err := newFrameReader(bytes.NewReader(bad)).next(); !errors.Is(err, errFrame) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// What passes unchanged stays where it was read, as long as nothing comes between.
func TestPassDoesNotCopy(t *testing.T) {
	one, two, other := []byte{'D', 0, 0, 0, 5, 'x'}, []byte{'D', 0, 0, 0, 4}, []byte{'C', 0, 0, 0, 5, 0}
	f := newFrameReader(bytes.NewReader(slices.Concat(one, two, other, one)))
	d := deliveries{in: f}
	if _, _, err := f.next(); err != nil {
		t.Fatal(err)
	}
	if got := f.ahead(len(one), 'D'); got != len(two) {
		t.Errorf("a message of %d bytes lies ahead, want %d", got, len(two))
	}
	if got := f.ahead(len(one)+len(two), 'D'); got != 0 {
		t.Errorf("another kind of message counts as one of %d bytes", got)
	}
	for _, m := range [][]byte{one, two, other} {
		frame, err := f.take(len(m))
		if err != nil {
			t.Fatal(err)
		}
		d.pass(frame, nil, true)
	}
	if len(d.out) > 0 || &d.run[0] != &f.buf[0] || !bytes.Equal(d.data(), slices.Concat(one, two, other)) {
		t.Errorf("copied %q, passed %q", d.out, d.run)
	}
	d.gather()
	frame, err := f.take(len(one))
	if err != nil {
		t.Fatal(err)
	}
	d.pass(frame, nil, true)
	if !bytes.Equal(d.data(), slices.Concat(one, two, other, one)) {
		t.Errorf("delivered %q", d.data())
	}
}

// A message that is not whole, or of an impossible length, does not lie ahead.
func TestAheadIsWhole(t *testing.T) {
	for _, rest := range []string{"", "D", "D\x00\x00\x00", "D\x00\x00\x00\x03", "D\x00\x00\x00\x05", "D\xff\xff\xff\xff", "D\x80\x00\x00\x00xx"} {
		f := newFrameReader(strings.NewReader("D\x00\x00\x00\x04" + rest))
		if _, _, err := f.next(); err != nil {
			t.Fatal(err)
		}
		if got := f.ahead(5, 'D'); got != 0 {
			t.Errorf("%q: %d bytes", rest, got)
		}
	}
}
