package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// arrival is one connection that wants a place.
type arrival struct {
	host  string
	stop  context.CancelFunc
	got   chan func() // its leave
	wrong chan error
}

func arrive(l *line, host string) *arrival {
	ctx, cancel := context.WithCancel(context.Background())
	a := &arrival{host, cancel, make(chan func(), 1), make(chan error, 1)}
	go func() {
		leave, err := l.enter(ctx, host)
		if err != nil {
			a.wrong <- err
			return
		}
		a.got <- leave
	}()
	return a
}

// in says whether it has a place.
func (a *arrival) in() bool { return len(a.got) == 1 }

func TestLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(line)
		l.bound(2, 3)
		var flood []*arrival
		for range 5 {
			flood = append(flood, arrive(l, "bad"))
			synctest.Wait()
		}
		if !flood[0].in() || !flood[1].in() || flood[2].in() {
			t.Fatal("of one host more or less than two are in")
		}
		good := arrive(l, "good")
		synctest.Wait()
		if !good.in() {
			t.Fatal("another host waits behind the flood")
		}
		late, bad := arrive(l, "late"), arrive(l, "bad")
		synctest.Wait()
		if late.in() {
			t.Fatal("more than three are in")
		}
		leave := <-flood[0].got
		leave()
		leave() // no place is given back twice
		synctest.Wait()
		if !late.in() || flood[2].in() {
			t.Error("the host with the fewest places is not the next")
		}
		flood[2].stop() // it leaves the line
		synctest.Wait()
		(<-flood[1].got)()
		synctest.Wait()
		if flood[2].in() || !flood[3].in() || flood[4].in() {
			t.Error("of one host it is not the first that waits")
		}
		for _, a := range []*arrival{good, late, flood[3]} {
			(<-a.got)()
		}
		synctest.Wait()
		for _, a := range []*arrival{flood[4], bad} {
			(<-a.got)()
		}
		if l.taken != 0 || len(l.held) != 0 || len(l.waiting) != 0 {
			t.Errorf("it keeps %+v", l)
		}
	})
}

func TestLineInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(line) // the zero value has no place
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.enter(ctx, "a"); !errors.Is(err, errTooLong) {
			t.Errorf("got %v", err)
		}
		if len(l.waiting) != 0 {
			t.Error("it still waits")
		}
	})
}

func TestLineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(line)
		var flood []*arrival
		for range maxWaiting {
			flood = append(flood, arrive(l, "bad"))
		}
		synctest.Wait()
		more := arrive(l, "bad")
		if err := <-more.wrong; !errors.Is(err, errLineFull) {
			t.Errorf("got %v", err)
		}
		good := arrive(l, "good")
		synctest.Wait()
		put := slices.ContainsFunc(flood, func(a *arrival) bool { return len(a.wrong) == 1 })
		if len(l.waiting) != maxWaiting || len(good.wrong) != 0 || !put {
			t.Errorf("%d wait, and the other host was turned away: %v", len(l.waiting), len(good.wrong) != 0)
		}
		for _, a := range append(flood, good) {
			a.stop()
		}
	})
}

// Whatever comes and goes, no bound is passed, no place is lost, and nobody waits
// who could be in.
func TestLineAlways(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := new(line)
		perHost, total := rapid.IntRange(1, 4).Draw(t, "per host"), rapid.IntRange(1, 8).Draw(t, "total")
		l.bound(perHost, total)
		var waiting []*waiter
		var in []string
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				w := &waiter{host: fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "host")), ready: make(chan error, 1)}
				if err := l.queue(w); err != nil {
					t.Fatal(err)
				}
				waiting = append(waiting, w)
			case 1:
				if len(in) > 0 {
					n := rapid.IntRange(0, len(in)-1).Draw(t, "who leaves")
					l.leave(in[n])
					in = slices.Delete(in, n, n+1)
				}
			case 2:
				if len(waiting) > 0 {
					n := rapid.IntRange(0, len(waiting)-1).Draw(t, "who gives up")
					if err := l.giveUp(waiting[n]); err == nil {
						in = append(in, waiting[n].host)
					}
					waiting = slices.Delete(waiting, n, n+1)
				}
			}
			waiting = slices.DeleteFunc(waiting, func(w *waiter) bool {
				select {
				case err := <-w.ready:
					if err != nil {
						t.Fatal(err)
					}
					in = append(in, w.host)
					return true
				default:
					return false
				}
			})
			held := map[string]int{}
			for _, host := range in {
				if held[host]++; held[host] > perHost {
					t.Fatalf("host %s has %d places", host, held[host])
				}
			}
			if len(in) > total || len(in) != l.taken || len(waiting) != len(l.waiting) {
				t.Fatalf("%d are in, %d taken; %d wait, %d in line", len(in), l.taken, len(waiting), len(l.waiting))
			}
			for _, w := range waiting {
				if len(in) < total && held[w.host] < perHost {
					t.Fatalf("host %s waits though there is a place", w.host)
				}
			}
		}
	})
}

func TestHostOf(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7:4711": "192.0.2.7", "[::ffff:192.0.2.7]:1": "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64", "[2001:db8:1:2::9]:2": "2001:db8:1:2::/64", "[fe80::1%eth0]:1": "fe80::/64",
		"somewhere": "somewhere", "": "",
	} {
		if got := hostOf(address); got != want {
			t.Errorf("%q is %q, want %q", address, got, want)
		}
	}
}
