package conformance

import "math/rand/v2"

// draws are the decisions that a random statement is made of. They are kept, so that
// the statement can be made again with fewer: 0 is always the simplest.
type draws struct {
	random *rand.Rand // nil: those of given, then 0
	given  []int
	taken  []int
}

// intN draws from 0 to n-1.
func (d *draws) intN(n int) int {
	x := 0
	switch {
	case d.random != nil:
		x = d.random.IntN(n)
	case len(d.taken) < len(d.given):
		x = d.given[len(d.taken)] % n
	}
	d.taken = append(d.taken, x)
	return x
}

// percent says yes in so many cases of a hundred; no is the simplest.
func (d *draws) percent(n int) bool { return d.intN(100) >= 100-n }

// one draws one of several; the first is the simplest.
func one[T any](d *draws, of ...T) T { return of[d.intN(len(of))] }

// shorter are decisions that may make a simpler statement of the same kind: the most
// daring first.
func shorter(taken []int) [][]int {
	var all [][]int
	for size := len(taken) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(taken); at += size {
			without := append(append([]int{}, taken[:at]...), taken[at+size:]...)
			zero := append([]int{}, taken...)
			clear(zero[at : at+size])
			all = append(all, without, zero)
		}
	}
	return all
}
