package postgres

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/recorder"
	"github.com/weir-gateway/weir/recorder/spool"
)

// Many sessions share the memory of buffers, of what is known of texts, and of
// evidence. In this test each principal has a word of its own, its canary, in all
// that it says and all that it may read, and a secret of its own that is masked.
// Nobody may ever hear another's canary, or any secret, and the evidence of a
// session may hold none but its own.

const (
	canaryMark = "kanarie-"
	secretMark = "geheim-"
	// canaryRows are the rows of each principal; one more is larger than any buffer.
	canaryRows  = 3
	largeCanary = 20_000 // canaries in it
)

// canary is the word of principal n, of 11 bytes.
func canary(n int) string { return fmt.Sprintf("%s%02d-", canaryMark, n) }

const canarySQL = `
CREATE TABLE canaries (owner int, n int, secret text, body text, PRIMARY KEY (owner, n));
INSERT INTO canaries SELECT o, n, format('geheim-%s-%s', lpad(o::text, 2, '0'), lpad((100 * o + n)::text, 4, '0')),
	repeat('kanarie-' || lpad(o::text, 2, '0') || '-', CASE WHEN n > 3 THEN 20000 ELSE n END)
	FROM generate_series(0, 99) o, generate_series(1, 4) n WHERE n <= 3 OR o < 48;
CREATE TABLE inbox (owner int, body text);
GRANT ALL ON canaries, inbox TO weir_orders;
`

// canaryIssuer knows the tokens good-0, good-1 and so on, each another principal's.
type canaryIssuer struct{}

func (canaryIssuer) Authenticate(_ context.Context, token string) (gate.Principal, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(token, "good-"))
	if err != nil {
		return gate.Principal{}, publicError("the token is not valid here")
	}
	return gate.Principal{
		Subject: canary(n), Roles: []string{"group:" + canary(n)}, Claims: map[string]any{"word": canary(n)}, Token: gate.Token{Hash: token},
	}, nil
}

// canaryMasks are the masks of principals, in turn.
var canaryMasks = []gate.MaskSpec{{With: "partial", KeepLast: 4}, {With: "redact"}, {With: "null"}, {With: "fake"}}

// canaryRules give each principal its own mask, refuse DELETE, and withhold the
// third row that a write returns.
func canaryRules(in *gate.Input) gate.Decision {
	if d := noDelete(in); d.Effect != gate.Allow {
		return d
	}
	n, err := strconv.Atoi(strings.Trim(strings.TrimPrefix(in.Principal.Subject, canaryMark), "-"))
	if err != nil {
		return gate.Denied("nobody", "who are you", "")
	}
	d := gate.Decision{Effect: gate.Allow, Mask: []gate.Mask{{Class: "pii.secret", MaskSpec: canaryMasks[n%len(canaryMasks)]}}}
	if in.Operation != nil && in.Operation.Action == "insert" {
		d.Limits = gate.Limits{MaxRows: canaryRows - 1}
	}
	return d
}

// keeping is a spool in memory.
type keeping struct {
	mu       sync.Mutex
	messages map[spool.Lane][][]byte
}

func (k *keeping) Append(_ context.Context, lane spool.Lane, data []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.messages[lane] = append(k.messages[lane], bytes.Clone(data))
	return nil
}

func (k *keeping) Put(ctx context.Context, lane spool.Lane, data []byte) error {
	return k.Append(ctx, lane, data)
}
func (*keeping) MaxMessage() int { return 8 << 20 }

func TestCanaries(t *testing.T) {
	const sessions, rounds = 40, 1
	w, server := realWorld(t, pgserver.Options{Settings: map[string]string{"max_connections": "200"}})
	defer w.tellLog()
	if err := server.Exec(t.Context(), "shop", canarySQL); err != nil {
		t.Fatal(err)
	}
	auditor, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	kept := &keeping{messages: map[spool.Lane][][]byte{}}
	r, err := recorder.New(recorder.Config{Auditors: []string{auditor.Recipient().String()}}, kept, w.deps.Log)
	if err != nil {
		t.Fatal(err)
	}
	w.recorder, w.policy, w.deps.Identity = r, rules(canaryRules), canaryIssuer{}
	w.cfg.Introduce.Name = true
	w.classify(classes{"public.canaries.secret": {"pii.secret"}})
	w.toClient = func(conn net.Conn) net.Conn { // who is slow to read is felt at once
		_ = conn.(*net.TCPConn).SetWriteBuffer(largeBuffer)
		return conn
	}
	address := w.serve(server.Addr())

	clients := make([]*canaryClient, sessions)
	var all sync.WaitGroup
	for n := range clients {
		clients[n] = &canaryClient{n: n, address: address, slow: n%7 == 3, said: map[string]int{}}
		all.Go(func() {
			if err := clients[n].live(rounds); err != nil {
				t.Errorf("principal %d: %v", n, err)
			}
		})
	}
	all.Wait()
	waitFor(t, func() bool { return w.handler.live.Count() == 0 })
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		for _, heard := range c.heard {
			if err := onlyOwn(c.n, heard.bytes); err != nil {
				t.Errorf("principal %d heard: %v", c.n, err)
			}
		}
	}
	evidence := readEvidence(t, kept)
	evidence.checkEvents(t, clients)
	evidence.checkPayload(t, clients)
	evidence.checkOriginals(t, auditor)
	checkInbox(t, server, sessions, rounds)
}

// checkInbox wants what was copied in, each row with its own principal, and nothing
// of the writes that were withheld.
func checkInbox(t *testing.T, server *pgserver.Server, sessions, rounds int) {
	t.Helper()
	conn, err := server.Connect(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var wrong, rows int
	if err := conn.QueryRow(t.Context(),
		"SELECT count(*) FILTER (WHERE body <> repeat('kanarie-' || lpad(owner::text, 2, '0') || '-', 100)), count(*) FROM inbox",
	).Scan(&wrong, &rows); err != nil {
		t.Fatal(err)
	}
	if want := sessions * rounds * copiedIn; wrong != 0 || rows != want {
		t.Errorf("%d rows were written, %d of them wrong; wanted %d", rows, wrong, want)
	}
}

// onlyOwn fails where bytes hold another's canary, or any secret.
func onlyOwn(n int, b []byte) error {
	if at := bytes.Index(b, []byte(secretMark)); at >= 0 {
		return fmt.Errorf("a secret: %q", around(b, at))
	}
	return onlyMarked(canaryMark, n, b)
}

// onlyMarked fails where a mark is followed by another number than n.
func onlyMarked(mark string, n int, b []byte) error {
	own := fmt.Sprintf("%02d", n)
	for from := 0; ; {
		at := bytes.Index(b[from:], []byte(mark))
		if at < 0 {
			return nil
		}
		from += at + len(mark)
		if next := b[from:min(len(b), from+2)]; !strings.HasPrefix(own, string(next)) { // cut short at the end
			return fmt.Errorf("not its own: %q", around(b, from))
		}
	}
}

func around(b []byte, at int) []byte { return b[max(0, at-60):min(len(b), at+60)] }
