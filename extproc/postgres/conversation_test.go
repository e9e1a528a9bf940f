package postgres

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
)

// A conversation is what a real client, the gateway and a real PostgreSQL have said
// to each other, message by message. It is kept as text: each line has the direction
// (">" to the server, "<" to the client), the message's type and its body. The lines
// of the client's connection come first, those of the server's behind them.
//
//	go test ./extproc/postgres -run TestConversations -update
//
// records them anew; each client of conversing that is on this machine is played.

var update = flag.Bool("update", false, "record the conversations anew, with real clients and a real PostgreSQL")

// said is one message.
type said struct {
	to   byte // '>' or '<'
	kind string
	body []byte
}

func (l said) String() string {
	return fmt.Sprintf("%c %s %s", l.to, l.kind, strconv.Quote(string(l.body)))
}

// same says whether two messages are the same, but for what is random.
func (l said) same(other said) bool {
	if l.kind == "K" && other.kind == "K" { // process id and secret key
		return true
	}
	return l.kind == other.kind && bytes.Equal(l.body, other.body)
}

// messages reads the messages of one direction. The first of a client have no type.
type messages struct {
	r       *bufio.Reader
	untyped bool
	begun   bool // the server has said something
}

// next reads a message; raw is as it was sent.
func (w *messages) next(to byte) (l said, raw []byte, err error) {
	head := make([]byte, 5)
	if w.untyped {
		head = head[:4]
	} else if to == '<' && !w.begun {
		w.begun = true
		if b, err := w.r.Peek(1); err == nil && b[0] == 'N' { // the answer to SSLRequest has no length
			_, _ = w.r.Discard(1)
			return said{to, "no-tls", nil}, []byte("N"), nil
		}
	}
	if _, err := io.ReadFull(w.r, head); err != nil {
		return said{}, nil, err
	}
	size := binary.BigEndian.Uint32(head[len(head)-4:])
	if size < 4 || size > 1<<24 {
		return said{}, nil, fmt.Errorf("a message of %d bytes", size)
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(w.r, body); err != nil {
		return said{}, nil, err
	}
	kind := string(head[:1])
	if w.untyped {
		kind = "startup"
		w.untyped = binary.BigEndian.Uint32(body) == 80877103 // SSLRequest: the startup packet follows
	}
	return said{to, kind, body}, append(head, body...), nil
}

func (l said) raw() []byte {
	if l.kind == "no-tls" {
		return []byte("N")
	}
	var b []byte
	if l.kind != "startup" {
		b = append(b, l.kind...)
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(4+len(l.body))), l.body...)
}

// tape records one connection, in the order in which a message could cause another.
type tape struct {
	mu    sync.Mutex
	lines []said
}

// record passes messages on until a side ends, and keeps each before the other side
// has it.
func (r *tape) record(client, server net.Conn) {
	var both sync.WaitGroup
	pass := func(to byte, dst, src net.Conn) {
		w := &messages{r: bufio.NewReader(src), untyped: to == '>'}
		for {
			l, raw, err := w.next(to)
			if err != nil {
				break
			}
			r.mu.Lock()
			r.lines = append(r.lines, l)
			r.mu.Unlock()
			if _, err := dst.Write(raw); err != nil {
				break
			}
		}
		_ = dst.Close()
	}
	both.Go(func() { pass('>', server, client) })
	both.Go(func() { pass('<', client, server) })
	both.Wait()
}

// tap is an address that passes connections on and records them. longest gives the one
// with most to say: pgbench opens one first, only to look around.
func tap(t *testing.T, upstream string) (address string, longest func() *tape) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var tapes []*tape
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", upstream)
			if err != nil {
				t.Error(err)
				return
			}
			one := &tape{}
			tapes = append(tapes, one)
			all.Go(func() { one.record(client, server) })
		}
	})
	end := sync.OnceFunc(func() {
		l.Close()
		all.Wait()
	})
	t.Cleanup(end)
	return l.Addr().String(), func() *tape {
		end()
		return slices.MaxFunc(tapes, func(a, b *tape) int { return len(a.lines) - len(b.lines) })
	}
}

func TestConversations(t *testing.T) {
	if *update {
		recordConversations(t)
	}
	files, err := filepath.Glob(filepath.Join("testdata", "conversations", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			client, server, err := readConversation(file)
			if err != nil {
				t.Fatal(err)
			}
			replay(t, client, server)
		})
	}
}

// conversationWorld has the real analysis and an empty catalog.
func conversationWorld(t *testing.T) *world {
	w := fakeWorld(t)
	analyzer, err := sharedAnalyzer()
	if err != nil {
		t.Fatal(err)
	}
	w.deps.Analyzer = analyzer
	return w
}

// recordConversations plays each client against a gateway before a real PostgreSQL.
func recordConversations(t *testing.T) {
	_, server := realWorld(t, pgserver.Options{Auth: pgserver.Trust})
	for name, play := range conversing {
		upstream, toServer := tap(t, server.Addr())
		w := conversationWorld(t)
		address, toClient := tap(t, w.serve(upstream))
		if err := play(t, address); err != nil {
			t.Logf("%s is not recorded: %v", name, err)
			continue
		}
		waitFor(t, func() bool { return w.handler.live.Count() == 0 })
		writeConversation(t, filepath.Join("testdata", "conversations", name+".txt"), toClient(), toServer())
	}
}

func writeConversation(t *testing.T, file string, connections ...*tape) {
	var b strings.Builder
	for i, c := range connections {
		b.WriteString([]string{"# the client's connection\n", "# the server's connection\n"}[i])
		for _, l := range c.lines {
			b.WriteString(l.String() + "\n")
		}
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readConversation(file string) (client, server []said, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	var parts [][]said
	for n, s := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if strings.HasPrefix(s, "#") {
			parts = append(parts, nil)
			continue
		}
		fields := strings.SplitN(s, " ", 3)
		if len(fields) != 3 || len(parts) == 0 {
			return nil, nil, fmt.Errorf("%s:%d: no message", file, n+1)
		}
		body, err := strconv.Unquote(fields[2])
		if err != nil {
			return nil, nil, fmt.Errorf("%s:%d: %w", file, n+1, err)
		}
		last := &parts[len(parts)-1]
		*last = append(*last, said{fields[0][0], fields[1], []byte(body)})
	}
	if len(parts) != 2 {
		return nil, nil, errors.New(file + " does not hold two connections")
	}
	return parts[0], parts[1], nil
}

// replay says to the gateway what the client and the server said, and wants to hear
// what they heard.
func replay(t *testing.T, client, server []said) {
	w := conversationWorld(t)
	defer w.tellLog()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := w.serve(l.Addr().String())
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		recite(t, "server", conn, server, '<')
	}()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	recite(t, "client", conn, client, '>')
	<-done
}

// recite says the lines of one end, each when all before it have been heard.
func recite(t *testing.T, who string, conn net.Conn, lines []said, says byte) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	heard := &messages{r: bufio.NewReader(conn), untyped: says == '<'}
	hears := byte('<')
	if says == '<' {
		hears = '>'
	}
	for i, l := range lines {
		if l.to == says {
			if _, err := conn.Write(l.raw()); err != nil {
				t.Errorf("%s, message %d (%s): %v", who, i+1, l, err)
				return
			}
			continue
		}
		if l.kind == "H" && hears == '>' {
			continue
		}
		got, _, err := heard.next(hears)
		for err == nil && hears == '>' && got.kind == "H" { // the gateway adds a Flush where it waits for an answer
			got, _, err = heard.next(hears)
		}
		if err != nil || !got.same(l) {
			t.Errorf("%s, message %d: heard\n\t%s (%v), wanted\n\t%s", who, i+1, got, err, l)
			return
		}
	}
	if says == '<' {
		return // as the server does when its client has taken leave
	}
	for {
		got, _, err := heard.next(hears)
		if err != nil {
			return
		}
		if hears == '<' || got.kind != "H" {
			t.Errorf("%s: heard more: %s", who, got)
		}
	}
}
