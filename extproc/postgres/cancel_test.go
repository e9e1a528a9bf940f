package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"
)

// The client is told the server's process id, and a secret that the server does
// not know.
func TestCancelKeyIsOurOwn(t *testing.T) {
	for _, version := range []uint32{pgproto3.ProtocolVersion30, pgproto3.ProtocolVersion32} {
		w := fakeWorld(t)
		server := newFakeServer()
		address := w.serve(server.serve(t))
		seen := map[string]bool{}
		for range 5 {
			c := dialVersion(t, address, version)
			size := shortSecret
			if version == pgproto3.ProtocolVersion32 {
				size = len(Name{}) + longSecret
			}
			if c.pid != 4711 || len(c.key) != size || bytes.Contains(c.key, []byte{1, 2, 3, 4}) || seen[string(c.key)] {
				t.Errorf("protocol %x: process id %d, secret %x", version, c.pid, c.key)
			}
			seen[string(c.key)] = true
			request(t, address, &pgproto3.CancelRequest{ProcessID: 4711, SecretKey: []byte{1, 2, 3, 4}}) // the server's, guessed
			request(t, address, &pgproto3.CancelRequest{ProcessID: c.pid, SecretKey: c.key})
			if got := <-server.cancels; got.ProcessID != 4711 || !bytes.Equal(got.SecretKey, []byte{1, 2, 3, 4}) {
				t.Errorf("the server was asked to cancel %+v", got)
			}
			if len(server.cancels) > 0 {
				t.Error("the server's own secret works at the gateway")
			}
		}
		for secret := range seen {
			if strings.Contains(w.logged(), secret) {
				t.Error("a key is in the log")
			}
		}
	}
}

// A client that does not wait for the end of its request is served all the same.
func TestCancelAndLeave(t *testing.T) {
	w := fakeWorld(t)
	server := newFakeServer()
	address := w.serve(server.serve(t))
	c := dialRaw(t, address)
	conn := dial(t, address)
	raw, err := (&pgproto3.CancelRequest{ProcessID: c.pid, SecretKey: c.key}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(raw); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	<-server.cancels
}

func TestCancelIsCounted(t *testing.T) {
	w := fakeWorld(t)
	w.deps.Metrics = prometheus.NewRegistry()
	server := newFakeServer()
	address := w.serve(server.serve(t))
	c := dialRaw(t, address)
	ask := func(pid uint32, secret []byte) {
		request(t, address, &pgproto3.CancelRequest{ProcessID: pid, SecretKey: secret})
	}
	ask(c.pid, c.key)
	ask(c.pid, append(bytes.Clone(c.key[:3]), c.key[3]+1))
	ask(c.pid+1, c.key)
	ask(c.pid, bytes.Repeat([]byte("x"), 256))
	c.conn.Close()
	waitFor(t, func() bool { return w.handler.live.Count() == 0 })
	ask(c.pid, c.key)
	for what, want := range map[string]float64{cancelledHere: 1, cancelUnknown: 4, cancelFailed: 0} {
		if got := testutil.ToFloat64(w.handler.metrics.cancels.WithLabelValues(what)); got != want {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// hub is a fleet in memory.
type hub struct {
	mu sync.Mutex
	by map[Name]*Live
	// failing is what every way to another gateway gives.
	failing error
}

// member is one gateway's view of it.
type member struct {
	*hub
	name Name
}

func (m member) Here() Name { return m.name }

func (m member) Cancel(ctx context.Context, there *Name, _ string, pid uint32, secret []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, live := range m.by {
		if there != nil && name != *there {
			continue
		}
		if m.failing != nil {
			return false, m.failing
		}
		if cancel := live.Cancel(pid, secret); cancel != nil {
			return true, cancel(ctx)
		}
	}
	return false, nil
}

// A session is cancelled through another gateway than its own, whose server has
// given the same process id to a session there.
func TestCancelThroughAnotherGateway(t *testing.T) {
	all := &hub{by: map[Name]*Live{}}
	var worlds []*world
	var addresses []string
	var servers []*fakeServer
	for i := range 2 {
		w, s := fakeWorld(t), newFakeServer()
		w.deps.Live = new(Live)
		name := Name{7, byte(i)}
		w.deps.Fleet, all.by[name] = member{all, name}, w.deps.Live
		worlds, servers = append(worlds, w), append(servers, s)
		addresses = append(addresses, w.serve(s.serve(t)))
	}
	for _, version := range []uint32{pgproto3.ProtocolVersion30, pgproto3.ProtocolVersion32} {
		for i := range 2 {
			c, other := dialVersion(t, addresses[i], version), dialVersion(t, addresses[1-i], version)
			if c.pid != other.pid {
				t.Fatal("the process ids differ")
			}
			if named := bytes.HasPrefix(c.key, []byte{7, byte(i), 0, 0, 0, 0, 0, 0}); named != (version == pgproto3.ProtocolVersion32) {
				t.Errorf("the secret is %x", c.key)
			}
			request(t, addresses[1-i], &pgproto3.CancelRequest{ProcessID: c.pid, SecretKey: c.key})
			<-servers[i].cancels
			if len(servers[1-i].cancels) > 0 {
				t.Error("the other's session was cancelled too")
			}
		}
	}
	if got := testutil.ToFloat64(worlds[0].handler.metrics.cancels.WithLabelValues(cancelledElsewhere)); got != 2 {
		t.Errorf("counted %v", got)
	}
	all.failing = errors.New("the fleet is out of reach")
	request(t, addresses[0], &pgproto3.CancelRequest{ProcessID: 1, SecretKey: []byte("abcd")})
	if got := testutil.ToFloat64(worlds[0].handler.metrics.cancels.WithLabelValues(cancelFailed)); got != 1 || !strings.Contains(worlds[0].logged(), "the fleet is out of reach") {
		t.Errorf("a failure: counted %v, logged %s", got, worlds[0].logged())
	}
}

// Only the whole key finds a session, and it finds its own, however many share a
// process id.
func TestOnlyTheKeyFindsTheSession(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		live := new(Live)
		var sessions []*session
		for range rapid.IntRange(1, 20).Draw(t, "sessions") {
			s := &session{key: pgproto3.BackendKeyData{ProcessID: rapid.Uint32Range(1, 3).Draw(t, "pid"), SecretKey: []byte{1, 2, 3, 4}}}
			s.secret = newSecret(rapid.SampledFrom([]uint32{0, 2}).Draw(t, "minor"), nil)
			live.add(s)
			sessions = append(sessions, s)
		}
		one := rapid.SampledFrom(sessions).Draw(t, "one")
		if live.find(one.key.ProcessID, one.secret) != one {
			t.Fatal("its own key does not find it")
		}
		wrong := bytes.Clone(one.secret)
		switch rapid.IntRange(0, 3).Draw(t, "how") {
		case 0:
			wrong[rapid.IntRange(0, len(wrong)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		case 1:
			wrong = wrong[:rapid.IntRange(0, len(wrong)-1).Draw(t, "cut")]
		case 2:
			wrong = append(wrong, 0)
		case 3:
			wrong = one.key.SecretKey // the server's
		}
		if live.find(one.key.ProcessID, wrong) == one {
			t.Fatal("a wrong key finds it")
		}
		live.remove(one)
		live.remove(one)
		if live.find(one.key.ProcessID, one.secret) != nil {
			t.Fatal("it is found when it has gone")
		}
		for _, s := range sessions {
			live.remove(s)
		}
		if len(live.byPID) != 0 {
			t.Fatal("something is left")
		}
	})
}

// Whatever comes as a CancelRequest is read as it stands or refused, and finds no
// session whose key it does not hold.
func FuzzCancelRequest(f *testing.F) {
	secret := newSecret(2, nil)
	live := new(Live)
	live.add(&session{key: pgproto3.BackendKeyData{ProcessID: 4711}, secret: secret})
	live.add(&session{key: pgproto3.BackendKeyData{ProcessID: 4712}}) // of a server that gave no key
	add := func(pid uint32, secret []byte) {
		f.Add(append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, cancelRequestCode), pid), secret...))
	}
	add(4711, secret)
	add(4711, secret[:4])
	add(4712, nil)
	add(4712, []byte{0, 0, 0, 0})
	add(0, bytes.Repeat([]byte{1}, 256))
	add(0, bytes.Repeat([]byte{1}, 257))
	f.Fuzz(func(t *testing.T, packet []byte) {
		var r pgproto3.CancelRequest
		if err := r.Decode(packet); err != nil {
			return
		}
		again, err := r.Encode(nil)
		if err != nil || !bytes.Equal(again[4:], packet) || len(r.SecretKey) > 256 {
			t.Fatalf("%x is read as %+v (%v)", packet, r, err)
		}
		gatewayOf(r.SecretKey)
		if live.Cancel(r.ProcessID, r.SecretKey) != nil && (r.ProcessID != 4711 || !bytes.Equal(r.SecretKey, secret)) {
			t.Fatalf("%+v finds a session", r)
		}
	})
}

// A statement is cancelled on the server that its session is on.
func TestCancelReachesTheSessionsServer(t *testing.T) {
	w := fakeWorld(t)
	w.deps.Fleet = nil
	servers := []*fakeServer{newFakeServer(), newFakeServer()}
	w.start()
	var addresses []string
	for _, s := range servers {
		one := fakeWorld(t)
		one.deps, one.cfg = w.deps, w.cfg
		one.deps.Live = w.handler.live
		addresses = append(addresses, one.serve(s.serve(t)))
	}
	for i := range servers {
		c := dialRaw(t, addresses[i])
		request(t, addresses[1-i], &pgproto3.CancelRequest{ProcessID: c.pid, SecretKey: c.key}) // the way of the request leads elsewhere
		select {
		case <-servers[i].cancels:
		case <-servers[1-i].cancels:
			t.Error("the other server was asked")
		case <-time.After(20 * time.Second):
			t.Error("no server was asked")
		}
	}
}
