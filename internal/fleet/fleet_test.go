package fleet

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sessions of a gateway, by target, process id and secret.
type sessions struct {
	mu   sync.Mutex
	keys map[string]func(context.Context) error
	hits []string
}

func keyOf(target string, pid uint32, secret []byte) string {
	return fmt.Sprint(target, pid, hex.EncodeToString(secret))
}

func (s *sessions) Cancel(target string, pid uint32, secret []byte) func(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := keyOf(target, pid, secret)
	cancel := s.keys[key]
	if cancel == nil {
		return nil
	}
	return func(ctx context.Context) error {
		s.mu.Lock()
		s.hits = append(s.hits, key)
		s.mu.Unlock()
		return cancel(ctx)
	}
}

func (s *sessions) add(target string, pid uint32, secret []byte, cancel func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys = map[string]func(context.Context) error{}
	}
	if cancel == nil {
		cancel = func(context.Context) error { return nil }
	}
	s.keys[keyOf(target, pid, secret)] = cancel
}

func (s *sessions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.hits)
}

// gateway is one of the fleet.
type gateway struct {
	*Fleet
	sessions *sessions
	conn     *nats.Conn
	log      *bytes.Buffer
}

// gateways joins n of them on one NATS.
func gateways(t *testing.T, n int) []*gateway {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS does not start")
	}
	var all []*gateway
	for range n {
		g := &gateway{sessions: &sessions{}, log: new(bytes.Buffer)}
		if g.conn, err = nats.Connect(s.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1)); err != nil {
			t.Fatal(err)
		}
		if g.Fleet, err = Join(g.conn, g.sessions, slog.New(slog.NewTextHandler(g.log, nil))); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Leave(); g.conn.Close() })
		all = append(all, g)
	}
	return all
}

func TestCancel(t *testing.T) {
	all := gateways(t, 3)
	here, there := all[0], all[2]
	name := there.Here()
	short, long := []byte{1, 2, 3, 4}, bytes.Repeat([]byte("s"), 40)
	there.sessions.add("orders", 7, short, nil)
	there.sessions.add("orders", 7, long, nil)
	all[1].sessions.add("billing", 7, short, nil)
	elsewhere := all[1].Here()
	for _, tc := range []struct {
		what   string
		there  *Name
		target string
		pid    uint32
		secret []byte
		want   bool
	}{
		{"a short key", nil, "orders", 7, short, true},
		{"a long key", &name, "orders", 7, long, true},
		{"a long key that names another gateway", &elsewhere, "orders", 7, long, false},
		{"a gateway that nobody is", &Name{1}, "orders", 7, long, false},
		{"another process id", &name, "orders", 8, long, false},
		{"another target", &name, "billing", 7, long, false},
		{"a part of the key", &name, "orders", 7, long[:39], false},
	} {
		before := there.sessions.count()
		got, err := here.Cancel(t.Context(), tc.there, tc.target, tc.pid, tc.secret)
		if err != nil || got != tc.want || there.sessions.count()-before != map[bool]int{true: 1}[tc.want] {
			t.Errorf("%s: %v %v, cancelled %d", tc.what, got, err, there.sessions.count()-before)
		}
	}
	if all[1].sessions.count() != 0 {
		t.Error("another gateway's session was cancelled")
	}
}

// Nobody answers for a short key that nobody has.
func TestUnknownShortKey(t *testing.T) {
	all := gateways(t, 2)
	if got, err := all[0].Cancel(t.Context(), nil, "orders", 1, []byte{1, 2, 3, 4}); got || err != nil {
		t.Error(got, err)
	}
}

// The answer comes when the server has been asked, also where that failed: there
// is nothing that whoever asked could do.
func TestAnswerComesAfterwards(t *testing.T) {
	all := gateways(t, 2)
	name := all[1].Here()
	reached := false
	all[1].sessions.add("orders", 1, []byte("secret-of-a-session"), func(context.Context) error {
		time.Sleep(50 * time.Millisecond)
		reached = true
		return errors.New("the server is down")
	})
	got, err := all[0].Cancel(t.Context(), &name, "orders", 1, []byte("secret-of-a-session"))
	if !got || err != nil || !reached {
		t.Error(got, err, reached)
	}
	all[1].Leave()
	if log := all[1].log.String(); !strings.Contains(log, "the server is down") || strings.Contains(log, "secret-of-a-session") || strings.Contains(log, hex.EncodeToString([]byte("secret"))) {
		t.Error(log)
	}
}

func TestNoWayToTheOthers(t *testing.T) {
	all := gateways(t, 2)
	name := all[1].Here()
	all[0].conn.Close()
	if got, err := all[0].Cancel(t.Context(), &name, "orders", 1, []byte("key")); got || err == nil {
		t.Error(got, err)
	}
	if _, err := Join(all[0].conn, &sessions{}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a gateway joined without a connection")
	}
}

func TestWhoHasLeftDoesNotAnswer(t *testing.T) {
	all := gateways(t, 2)
	name := all[1].Here()
	all[1].sessions.add("orders", 1, []byte("key"), nil)
	all[1].Leave()
	if got, err := all[0].Cancel(t.Context(), &name, "orders", 1, []byte("key")); got || err != nil || all[1].sessions.count() != 0 {
		t.Error(got, err)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"target":"orders","pid":7,"secret":"AQIDBA=="}`))
	f.Add([]byte(`{"target":"orders","pid":-1}`))
	f.Add([]byte(`{"secret":"`))
	f.Add(bytes.Repeat([]byte(" "), maxRequest+1))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &sessions{}
		s.add("orders", 7, []byte{1, 2, 3, 4}, nil)
		fleet := &Fleet{sessions: s, log: slog.New(slog.DiscardHandler)}
		fleet.answer(&nats.Msg{Data: data}, true)
		fleet.Leave()
		if s.count() > 0 && (!bytes.Contains(data, []byte("7")) || len(data) > maxRequest) {
			t.Errorf("%q cancels", data)
		}
	})
}
