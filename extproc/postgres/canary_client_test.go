package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/weir-gateway/weir/internal/mask"
)

// canaryClient is a principal of TestCanaries, on one connection after the other.
type canaryClient struct {
	n       int
	address string
	slow    bool

	conn  net.Conn
	f     *pgproto3.Frontend
	pid   uint32
	key   []byte
	heard []*heard
	said  map[string]int // statements and their parameters, and how often they were said
}

// heard is what a client has heard on one connection.
type heard struct {
	bytes  []byte
	closed bool // the client left before all had come
}

func (h *heard) Write(p []byte) (int, error) {
	h.bytes = append(h.bytes, p...)
	return len(p), nil
}

// sips reads little at a time.
type sips struct{ r io.Reader }

func (s sips) Read(p []byte) (int, error) {
	runtime.Gosched()
	return s.r.Read(p[:min(len(p), 1500)])
}

// live is what a client does: all of it in each round, not all in the same order.
func (c *canaryClient) live(rounds int) error {
	steps := []struct {
		name string
		do   func(*canaryClient) error
	}{
		{"query", (*canaryClient).query}, {"shared text", (*canaryClient).sharedText}, {"large", (*canaryClient).large},
		{"pipeline", (*canaryClient).pipeline}, {"copy out", (*canaryClient).copyOut}, {"copy in", (*canaryClient).copyIn},
		{"errors", (*canaryClient).errors}, {"notice", (*canaryClient).notice}, {"refused", (*canaryClient).refused},
		{"withheld", (*canaryClient).withheld}, {"name", (*canaryClient).name}, {"cancelled", (*canaryClient).cancelled},
		{"vanish", (*canaryClient).vanish},
	}
	if err := c.connect(); err != nil {
		return err
	}
	for round := range rounds {
		for i := range steps {
			step := steps[(i*5+c.n+round)%len(steps)]
			if err := step.do(c); err != nil {
				return fmt.Errorf("%s: %w", step.name, err)
			}
		}
	}
	_, err := c.conn.Write(wire(&pgproto3.Terminate{}))
	return errors.Join(err, c.conn.Close())
}

func (c *canaryClient) connect() error {
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	var from io.Reader = conn
	if c.slow {
		_ = conn.(*net.TCPConn).SetReadBuffer(largeBuffer)
		from = sips{conn}
	}
	h := &heard{}
	c.heard = append(c.heard, h)
	c.conn, c.f = conn, pgproto3.NewFrontend(io.TeeReader(from, h), conn)
	c.f.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{
		"user": "anyone", "database": "shop", "application_name": canary(c.n),
	}})
	c.f.Send(&pgproto3.PasswordMessage{Password: fmt.Sprintf("good-%d", c.n)}) // it will be asked for
	if err := c.f.Flush(); err != nil {
		return err
	}
	for {
		switch m, err := c.f.Receive(); m := m.(type) {
		case nil:
			return err
		case *pgproto3.ErrorResponse:
			return fmt.Errorf("sign-in: %s", m.Message)
		case *pgproto3.BackendKeyData:
			c.pid, c.key = m.ProcessID, bytes.Clone(m.SecretKey)
		case *pgproto3.ReadyForQuery:
			return nil
		}
	}
}

// says notes what the evidence must hold.
func (c *canaryClient) says(text string, parameters ...string) string {
	c.said[strings.Join(append([]string{text}, parameters...), "\x00")]++
	return text
}

// ask sends messages, and describes what comes up to a ReadyForQuery.
func (c *canaryClient) ask(messages ...pgproto3.FrontendMessage) (got []string, err error) {
	for _, m := range messages {
		c.f.Send(m)
	}
	if err := c.f.Flush(); err != nil {
		return nil, err
	}
	for {
		m, err := c.f.Receive()
		if err != nil {
			return got, fmt.Errorf("%w, behind %.200q", err, got)
		}
		if s := describeMessage(m); s != "" {
			got = append(got, s)
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			return got, nil
		}
	}
}

// wants fails unless the answer is as it must be.
func (c *canaryClient) wants(want []string, messages ...pgproto3.FrontendMessage) error {
	got, err := c.ask(messages...)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(append(want, "ready I"), got); diff != "" {
		return fmt.Errorf("the client saw (-want +got): %.2000s", diff)
	}
	return nil
}

// secret is what the client may see of its secret in a row.
func (c *canaryClient) secret(row int) (shown string) {
	switch number := fmt.Sprintf("%04d", 100*c.n+row); canaryMasks[c.n%len(canaryMasks)].With {
	case "partial":
		return "******-**-" + number
	case "redact":
		return "[redacted]"
	case "fake":
		cell, _ := sharedMasker().Cell(mask.Spec{With: mask.Fake}, pgtype.TextOID, false, nil)
		out, _ := cell(nil, fmt.Appendf(nil, "%s%02d-%s", secretMark, c.n, number))
		return string(out)
	}
	return "NULL"
}

// body is the text of the client's row.
func (c *canaryClient) body(row int) string {
	if row > canaryRows {
		row = largeCanary
	}
	return strings.Repeat(canary(c.n), row)
}

func (c *canaryClient) rows(first, last int) (out []string) {
	for row := first; row <= last; row++ {
		out = append(out, fmt.Sprintf("row %d|%s|%s", row, c.secret(row), c.body(row)))
	}
	return append(out, fmt.Sprintf("done SELECT %d", last-first+1))
}

func (c *canaryClient) query() error {
	text := c.says(fmt.Sprintf("SELECT n, secret, body FROM canaries WHERE owner = %d AND n <= 3 ORDER BY n -- %s", c.n, canary(c.n)))
	return c.wants(append([]string{"columns n,secret,body"}, c.rows(1, 3)...), &pgproto3.Query{String: text})
}

// canaryText is the same for all.
const canaryText = "SELECT n, secret, body FROM canaries WHERE owner = $1 AND n BETWEEN $2 AND $3 AND $4::text IS NOT NULL ORDER BY n"

func (c *canaryClient) shared(first, last int) (parameters []string, want []string) {
	parameters = []string{fmt.Sprint(c.n), fmt.Sprint(first), fmt.Sprint(last), canary(c.n)}
	c.says(canaryText, parameters...)
	return parameters, append([]string{"bound"}, c.rows(first, last)...)
}

func (c *canaryClient) sharedText() error {
	parameters, want := c.shared(1, 2)
	return c.wants(append([]string{"parsed"}, want...), script(run1(canaryText, parameters...), synced)...)
}

func (c *canaryClient) large() error {
	parameters, want := c.shared(2, 4)
	return c.wants(append([]string{"parsed"}, want...), script(run1(canaryText, parameters...), synced)...)
}

func (c *canaryClient) pipeline() error {
	want := []string{"parsed"}
	messages := []pgproto3.FrontendMessage{&pgproto3.Parse{Name: "p", Query: canaryText}}
	for i := range 30 {
		row := 1 + i%canaryRows
		parameters, rows := c.shared(row, row)
		messages = append(messages, bindRun("p", "", parameters...)...)
		want = append(want, rows...)
	}
	messages = append(messages, &pgproto3.Close{ObjectType: 'S', Name: "p"}, &pgproto3.Sync{})
	return c.wants(append(want, "closed"), messages...)
}

func (c *canaryClient) copyOut() error {
	text := c.says(fmt.Sprintf("COPY (SELECT n, secret, body FROM canaries WHERE owner = %d ORDER BY n) TO STDOUT", c.n))
	want := []string{"copy out"}
	for row := range canaryRows + 1 {
		secret := c.secret(row + 1)
		if secret == "NULL" {
			secret = `\N`
		}
		want = append(want, fmt.Sprintf("data %d\t%s\t%s", row+1, secret, c.body(row+1)))
	}
	return c.wants(append(want, "copy done", "done COPY 4"), &pgproto3.Query{String: text})
}

const copiedIn = 50 // rows in each round

func (c *canaryClient) copyIn() error {
	messages := []pgproto3.FrontendMessage{&pgproto3.Query{String: c.says("COPY inbox FROM STDIN /* " + canary(c.n) + " */")}}
	for range copiedIn {
		messages = append(messages, &pgproto3.CopyData{Data: fmt.Appendf(nil, "%d\t%s\n", c.n, strings.Repeat(canary(c.n), 100))})
	}
	return c.wants([]string{"copy in", fmt.Sprintf("done COPY %d", copiedIn)}, append(messages, &pgproto3.CopyDone{})...)
}

// errors are one whose text the client may see, and one whose text would tell a
// secret.
func (c *canaryClient) errors() error {
	before := len(c.last().bytes)
	text := c.says("SELECT ($1 || 'x')::int", canary(c.n))
	if err := c.wants([]string{"parsed", "ERROR 22P02"}, script(run1(text, canary(c.n)), synced)...); err != nil {
		return err
	}
	if !bytes.Contains(c.last().bytes[before:], []byte(canary(c.n)+"x")) {
		return errors.New("the error does not tell the client's own word")
	}
	text = c.says(fmt.Sprintf("SELECT secret::int FROM canaries WHERE owner = %d", c.n))
	return c.wants([]string{"columns secret", "ERROR 22P02"}, &pgproto3.Query{String: text})
}

func (c *canaryClient) last() *heard { return c.heard[len(c.heard)-1] }

// notice is what the server remarks on a name that is too long.
func (c *canaryClient) notice() error {
	name := "this" + strings.Repeat(canary(c.n), 6) // the cut leaves no half canary
	text := c.says("SELECT 1 AS \"" + name + "\"")
	return c.wants([]string{
		"notice identifier \"" + name + "\" will be truncated to \"" + name[:maxName] + "\"", "columns " + name[:maxName], "row 1", "done SELECT 1",
	}, &pgproto3.Query{String: text})
}

func (c *canaryClient) refused() error {
	text := c.says("DELETE FROM canaries WHERE body = '" + canary(c.n) + "'")
	return c.wants([]string{"ERROR 42501"}, &pgproto3.Query{String: text})
}

func (c *canaryClient) withheld() error {
	text := c.says(fmt.Sprintf("INSERT INTO inbox SELECT owner, body FROM canaries WHERE owner = %d AND n <= 3 RETURNING body", c.n))
	got, err := c.ask(&pgproto3.Query{String: text})
	if err == nil && !strings.HasPrefix(got[len(got)-2], "ERROR ") {
		return fmt.Errorf("the client saw %.500q", got)
	}
	return err
}

// name asks by which name the server knows the session.
func (c *canaryClient) name() error {
	text := c.says("SELECT current_setting('application_name')")
	return c.wants([]string{"columns current_setting", "row " + canary(c.n) + " (" + canary(c.n) + ")", "done SELECT 1"}, &pgproto3.Query{String: text})
}

// cancelled asks for what takes forever, and for its end until it ends.
func (c *canaryClient) cancelled() error {
	text := c.says("SELECT '" + canary(c.n) + "', pg_sleep(3600)")
	done := make(chan struct{})
	var canceller sync.WaitGroup
	canceller.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				c.cancel()
			}
		}
	})
	got, err := c.ask(&pgproto3.Query{String: text})
	close(done)
	canceller.Wait()
	if err == nil && got[len(got)-2] != "ERROR 57014" {
		return fmt.Errorf("the client saw %.500q", got)
	}
	return err
}

// cancel returns when the request was taken.
func (c *canaryClient) cancel() {
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = conn.Write(wire(&pgproto3.CancelRequest{ProcessID: c.pid, SecretKey: c.key}))
	_, _ = io.Copy(io.Discard, conn)
}

// vanish leaves in the middle of an answer, of a COPY and of a message, and comes
// back each time.
func (c *canaryClient) vanish() error {
	const note = "/* vanishes */ "
	large := &pgproto3.Query{String: fmt.Sprintf(note+"SELECT n, secret, body FROM canaries WHERE owner = %d", c.n)}
	half := wire(&pgproto3.Query{String: note + "SELECT '" + c.body(4) + "'"})
	for _, message := range [][]byte{
		wire(large, large, large),
		wire(&pgproto3.Query{String: note + "COPY inbox FROM STDIN"}, &pgproto3.CopyData{Data: []byte(c.body(canaryRows))}),
		half[:len(half)/2],
	} {
		if _, err := c.conn.Write(message); err != nil {
			return err
		}
		if &message[0] != &half[0] { // something of an answer is on its way
			if _, err := c.f.Receive(); err != nil {
				return err
			}
		}
		c.last().closed = true
		_ = c.conn.(*net.TCPConn).SetLinger(0)
		_ = c.conn.Close()
		if err := c.connect(); err != nil {
			return err
		}
	}
	return nil
}
