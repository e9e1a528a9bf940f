package cloud

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted is a cloud that answers as a test says.
type scripted struct {
	calls  atomic.Int64
	answer func(n int64) (token, error)
}

func (s *scripted) fetch(context.Context) (token, error) { return s.answer(s.calls.Add(1)) }

func source(f fetcher) (*Source, *bytes.Buffer) {
	log := new(bytes.Buffer)
	return &Source{from: f, log: slog.New(slog.NewTextHandler(log, nil)), now: time.Now}, log
}

func want(t *testing.T, s *Source, text string) {
	t.Helper()
	if got, err := s.Token(t.Context()); err != nil || got != text {
		t.Errorf("%q, %v; want %q", got, err, text)
	}
}

func TestTokenIsKeptUntilShortlyBeforeItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud := &scripted{answer: func(n int64) (token, error) {
			return token{text: strings.Repeat("t", int(n)), expires: time.Now().Add(time.Hour)}, nil
		}}
		s, _ := source(cloud)
		want(t, s, "t")
		time.Sleep(54 * time.Minute)
		want(t, s, "t")
		if n := cloud.calls.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		time.Sleep(2 * time.Minute)
		want(t, s, "t") // while the next is asked for
		synctest.Wait()
		want(t, s, "tt")
		time.Sleep(time.Hour) // past the end of what is kept
		want(t, s, "ttt")
	})
}

func TestManyWaitForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud := &scripted{answer: func(int64) (token, error) {
			time.Sleep(time.Second)
			return token{text: "t", expires: time.Now().Add(time.Hour)}, nil
		}}
		s, _ := source(cloud)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { want(t, s, "t") })
		}
		all.Wait()
		if n := cloud.calls.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestWhatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		cloud := &scripted{answer: func(n int64) (token, error) {
			if down.Load() {
				return token{}, errors.New("no way")
			}
			return token{text: strings.Repeat("t", int(n)), expires: time.Now().Add(time.Hour)}, nil
		}}
		s, log := source(cloud)
		down.Store(true)
		if _, err := s.Token(t.Context()); err == nil || err.Error() != "no way" {
			t.Error(err)
		}
		down.Store(false)
		want(t, s, "tt")
		down.Store(true)
		time.Sleep(56 * time.Minute)
		for range 50 { // the last serves, and the cloud is not asked each time
			want(t, s, "tt")
			synctest.Wait()
		}
		if n := cloud.calls.Load(); n != 3 {
			t.Errorf("asked %d times", n)
		}
		if !strings.Contains(log.String(), "the last one serves for now") || strings.Contains(log.String(), "tt ") {
			t.Error(log)
		}
		time.Sleep(4 * time.Minute)
		if _, err := s.Token(t.Context()); err == nil {
			t.Error("a token that has expired was given")
		}
	})
}

func TestNobodyWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		s, _ := source(&scripted{answer: func(int64) (token, error) {
			<-hang
			return token{text: "late", expires: time.Now().Add(time.Hour)}, nil
		}})
		began := time.Now()
		if _, err := s.Token(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != patience {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		close(hang)
		synctest.Wait()
		want(t, s, "late") // serves the next
	})
}

// Whatever a cloud answers, what is given out is good for a moment more.
func TestOnlyGoodTokensAreGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_000_000_000, 0)
		last := token{}
		lives := rapid.SliceOfN(rapid.IntRange(-100, 5000), 40, 40).Draw(t, "lives")
		s, _ := source(&scripted{answer: func(n int64) (token, error) {
			life := lives[int(n)%len(lives)]
			if life%7 == 0 {
				return token{}, errors.New("no")
			}
			last = token{text: "t", expires: now.Add(time.Duration(life) * time.Second)}
			return last, nil
		}})
		s.now = func() time.Time { return now }
		for range 30 {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "wait")) * time.Second)
			_, err := s.Token(context.Background())
			_, _, _ = s.flight.Do("", func() (any, error) { return nil, nil }) // what is under way has ended
			if have := s.have.Load(); err == nil && !have.expires.After(now) && !last.expires.After(now) {
				t.Fatalf("at %v a token was given that was good until %v", now, have.expires)
			}
		}
	})
}

func TestToldHidesCredentials(t *testing.T) {
	jwt := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ3ZWlyIn0.c2lnbmF0dXJlc2lnbmF0dXJl"
	for _, text := range []string{
		"AADSTS700213: the assertion " + jwt + " is unknown",
		"line one\nline two " + jwt,
		strings.Repeat("word ", 1000),
		strings.Repeat("ü ", 1000),
	} {
		got := told(Entra, errors.New(text)).Error()
		if strings.Contains(got, "eyJ") || strings.Contains(got, "\n") || len(got) > maxTold+20 {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestUnknownKind(t *testing.T) {
	if _, err := New(t.Context(), Config{Kind: "ibm"}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a cloud that nobody knows gives tokens")
	}
}
