package extproc

import "testing"

func TestBufferPool(t *testing.T) {
	p := newBufferPool(64, 16)
	for n, want := range map[int]int{0: 16, 1: 16, 16: 16, 17: 64, 64: 64, 65: 65} {
		b := p.Get(n)
		if len(*b) != n || cap(*b) != want {
			t.Errorf("of %d bytes: length %d, room for %d", n, len(*b), cap(*b))
		}
		p.Put(b)
		if again := p.Get(n); len(*again) != n || cap(*again) != want {
			t.Errorf("of %d bytes again: length %d, room for %d", n, len(*again), cap(*again))
		}
	}
	grown := append(*p.Get(16), 1)
	p.Put(&grown) // is no buffer of the pool's any more
	if b := p.Get(16); cap(*b) != 16 {
		t.Errorf("room for %d", cap(*b))
	}
}
