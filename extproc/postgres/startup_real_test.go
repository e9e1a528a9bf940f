package postgres

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
	"pgregory.net/rapid"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
)

// start is how a client begins: bytes that it writes and answers that it waits
// for. "TLS" in place of bytes begins the handshake.
type start []string

const startTLS = "TLS"

// side is one of the two that a start is played against.
type side struct{ address, user, password string }

// playStart plays a start, signs in and says what the client has seen: the
// server's words, and then the values of some settings.
func playStart(t fataler, s side, steps start, settings ...string) []string {
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer func() { conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	var seen []string
	for i, step := range steps {
		if step == startTLS {
			secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{alpn}})
			if err := secure.Handshake(); err != nil {
				return append(seen, "no TLS")
			}
			conn = secure
			continue
		}
		if _, err := conn.Write([]byte(step)); err != nil {
			return append(seen, "end")
		}
		if i+1 < len(steps) && (strings.HasPrefix(step, string(codePacket(sslRequestCode)[4:8])) || len(step) < 40) {
			answer := make([]byte, 1)
			if _, err := io.ReadFull(conn, answer); err != nil {
				return append(seen, "end")
			}
			if answer[0] == 'E' { // the beginning of an error
				rest, _ := io.ReadAll(conn)
				var m pgproto3.ErrorResponse
				if len(rest) < 4 || m.Decode(rest[4:]) != nil {
					return append(seen, "garbage")
				}
				return append(seen, told(&m))
			}
			seen = append(seen, "answer "+string(answer))
		}
	}
	return append(seen, signInAndAsk(pgproto3.NewFrontend(conn, conn), s.password, settings)...)
}

// fataler is a test or a property's.
type fataler interface{ Fatalf(string, ...any) }

func told(m *pgproto3.ErrorResponse) string {
	return m.Severity + " " + m.Code + " " + strings.TrimPrefix(m.Message, "target orders: ")
}

func signInAndAsk(f *pgproto3.Frontend, password string, settings []string) (seen []string) {
	for {
		m, err := f.Receive()
		if err != nil {
			return append(seen, "end")
		}
		switch m := m.(type) {
		case *pgproto3.AuthenticationCleartextPassword:
			f.Send(&pgproto3.PasswordMessage{Password: password})
		case *pgproto3.NegotiateProtocolVersion:
			seen = append(seen, "negotiate", string(rune('0'+m.NewestMinorProtocol&0xf)), strings.Join(m.UnrecognizedOptions, ","))
		case *pgproto3.ErrorResponse:
			return append(seen, told(m))
		case *pgproto3.DataRow:
			seen = append(seen, string(m.Values[0]))
		case *pgproto3.ReadyForQuery:
			if len(settings) == 0 {
				return append(seen, "ready")
			}
			f.Send(&pgproto3.Query{String: "SHOW " + settings[0]})
			settings = settings[1:]
		}
		if err := f.Flush(); err != nil {
			return append(seen, "end")
		}
	}
}

// startSides are PostgreSQL itself, and the gateway in front of it.
func startSides(t *testing.T) (direct, through side) {
	t.Helper()
	_, secure := serverTLS(t)
	w, server := realWorld(t, pgserver.Options{Auth: pgserver.Password, TLS: secure})
	w.offerTLS()
	w.cfg.Databases = []string{"*"}
	return side{server.Addr(), "weir_orders", "upstream-secret"}, side{w.serve(server.Addr()), "weir_orders", "good"}
}

// As PostgreSQL itself answers what a client begins with, the gateway does.
func TestStartsAsPostgres(t *testing.T) {
	direct, through := startSides(t)
	ssl, gss := string(codePacket(sslRequestCode)), string(codePacket(gssRequestCode))
	packet := func(version uint32, more ...string) string {
		return string(startPacket(version, append([]string{"user", direct.user, "database", "shop"}, more...)...))
	}
	plain := packet(pgproto3.ProtocolVersion30)
	long := string([]byte{0, 0, 0, 12, 0x04, 0xd2, 0x16, 0x2f, 'm', 'o', 'r', 'e'}) // SSLRequest, and more in it
	for name, steps := range map[string]start{
		"clear":                       {plain},
		"TLS":                         {ssl, startTLS, plain},
		"direct TLS":                  {startTLS, plain},
		"direct TLS, then a request":  {startTLS, ssl, plain},
		"direct TLS, then GSS":        {startTLS, gss, plain},
		"GSS, then TLS":               {gss, ssl, startTLS, plain},
		"GSS twice":                   {gss, gss, plain},
		"TLS, then GSS":               {ssl, startTLS, gss, plain},
		"TLS, then TLS":               {ssl, startTLS, ssl, plain},
		"a longer request":            {long, startTLS, plain},
		"3.1":                         {packet(3<<16 | 1)},
		"3.2":                         {packet(pgproto3.ProtocolVersion32)},
		"3.3":                         {packet(3<<16 | 3)},
		"3.9999":                      {packet(3<<16 | 9999)},
		"4.0":                         {packet(4 << 16)},
		"0.0":                         {packet(0)},
		"an extension":                {packet(pgproto3.ProtocolVersion30, "_pq_.fancy", "1", "_pq_.b", "")},
		"an extension of 3.2":         {packet(pgproto3.ProtocolVersion32, "_pq_.fancy", "1")},
		"the same twice":              {packet(pgproto3.ProtocolVersion30, "database", "postgres", "work_mem", "1MB", "work_mem", "2MB")},
		"options twice":               {packet(pgproto3.ProtocolVersion30, "options", "-c work_mem=1MB", "options", "-c geqo=off")},
		"options last":                {packet(pgproto3.ProtocolVersion30, "work_mem", "1MB", "options", "-c work_mem=2MB")},
		"no user":                     {string(startPacket(pgproto3.ProtocolVersion30, "database", "shop"))},
		"an extension, and no user":   {string(startPacket(pgproto3.ProtocolVersion30, "_pq_.a", "b"))},
		"a user without a name":       {string(startPacket(pgproto3.ProtocolVersion30, "user", "", "database", "shop"))},
		"USER":                        {packet(pgproto3.ProtocolVersion30, "USER", "x")},
		"no such setting":             {packet(pgproto3.ProtocolVersion30, "nosuch", "x")},
		"a setting of the server's":   {packet(pgproto3.ProtocolVersion30, "shared_buffers", "1GB")},
		"a value that is none":        {packet(pgproto3.ProtocolVersion30, "work_mem", "much")},
		"a setting in upper case":     {packet(pgproto3.ProtocolVersion30, "WORK_MEM", "3MB", "dateSTYLE", "German")},
		"a setting of somebody's own": {packet(pgproto3.ProtocolVersion30, "my.app", "x")},
		"replication off":             {packet(pgproto3.ProtocolVersion30, "replication", "F")},
		"replication of":              {packet(pgproto3.ProtocolVersion30, "replication", "of")},
		"replication o":               {packet(pgproto3.ProtocolVersion30, "replication", "o")},
		"replication empty":           {packet(pgproto3.ProtocolVersion30, "replication", "")},
		"replication perhaps":         {packet(pgproto3.ProtocolVersion30, "replication", "perhaps")},
		"bytes behind the end":        {plain[:3] + string(plain[3]+1) + plain[4:] + "x"},
		"no end":                      {plain[:3] + string(plain[3]-1) + plain[4:len(plain)-1]},
		"a name without a value":      {string([]byte{0, 0, 0, 13, 0, 3, 0, 0, 'u', 's', 'e', 'r', 0})},
		"a blank option":              {packet(pgproto3.ProtocolVersion30, "options", "  ")},
		"an option without its value": {packet(pgproto3.ProtocolVersion30, "options", "-c")},
		"a setting without its value": {packet(pgproto3.ProtocolVersion30, "options", "-c work_mem")},
		"a long one without a value":  {packet(pgproto3.ProtocolVersion30, "options", "--work_mem")},
		"a word":                      {packet(pgproto3.ProtocolVersion30, "options", "-c work_mem=1MB word")},
		"an option of nobody":         {packet(pgproto3.ProtocolVersion30, "options", "-x")},
		"the user as a setting":       {packet(pgproto3.ProtocolVersion30, "options", "-c user=postgres")},
		"replication as a setting":    {packet(pgproto3.ProtocolVersion30, "options", "--replication=database")},
	} {
		t.Run(name, func(t *testing.T) {
			want := playStart(t, direct, steps, "work_mem", "DateStyle", "geqo")
			got := playStart(t, through, steps, "work_mem", "DateStyle", "geqo")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-PostgreSQL +gateway)\n%s", diff)
			}
		})
	}
}

// Where the server ends a connection without a word the gateway may say why, but
// it ends it too.
func TestNonsenseEndsAsWithPostgres(t *testing.T) {
	direct, through := startSides(t)
	for name, bytes := range map[string]string{
		"HTTP": "GET / HTTP/1.1\r\n\r\n", "zeros": strings.Repeat("\x00", 64), "a length of 7": "\x00\x00\x00\x07\x00\x03\x00",
		"a length of 10,001": "\x00\x00\x27\x15\x00\x03\x00\x00", "a negative length": "\xff\xff\xff\xff\x00\x03\x00\x00",
	} {
		if want := playStart(t, direct, start{bytes}); !cmp.Equal(want, []string{"end"}) {
			t.Errorf("%s: PostgreSQL says %q", name, want)
		}
		if got := playStart(t, through, start{bytes}); len(got) != 1 || got[0] != "FATAL 08P01 invalid length of startup packet" {
			t.Errorf("%s: the gateway says %q", name, got)
		}
	}
}

// Who speaks a protocol before 3 is told so in its words.
func TestOldProtocolsAsPostgres(t *testing.T) {
	direct, through := startSides(t)
	for _, version := range []uint32{1 << 16, 2 << 16, 2<<16 | 1} {
		var said [2]string
		for i, s := range []side{direct, through} {
			conn := dial(t, s.address)
			if _, err := conn.Write(startPacket(version, "user", "x")); err != nil {
				t.Fatal(err)
			}
			all, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			said[i] = string(all)
		}
		if said[0] != said[1] {
			t.Errorf("PostgreSQL says %q, the gateway %q", said[0], said[1])
		}
	}
}

// Options mean what they mean to PostgreSQL, and are refused where it refuses them.
func TestOptionsAsPostgres(t *testing.T) {
	direct, through := startSides(t)
	pieces := []string{
		"-c", " ", " ", `\ `, `\\`, `\`, "\t", "-", "--", "=", "'", `"`, "work_mem", "work-mem", "=1MB", "=2048", "Work_Mem=3MB", "geqo=off",
		"--work_mem=4MB", "-cgeqo=off", "-S", "512", "-e", "-eS", "-fs", "-fq", "-tpa", "-txx", "-O", "-P", "-s", "-W", "-T", "-n", "-E", "-C", "-v",
		"-D", "-r", "-j", "-b", "-N", "-B", "16", "-d", "-d3", "x", ":", "datestyle=German", "search_path=a,b", "-F", "a.b=c", "-i",
	}
	rapid.Check(t, func(r *rapid.T) {
		line := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 8).Draw(r, "options"), "")
		steps := start{string(startPacket(pgproto3.ProtocolVersion30, "user", direct.user, "database", "shop", "options", line))}
		ask := []string{"work_mem", "geqo", "DateStyle", "search_path", "enable_seqscan"}
		want, got := playStart(r, direct, steps, ask...), playStart(r, through, steps, ask...)
		if diff := cmp.Diff(coded(want), coded(got)); diff != "" {
			r.Fatalf("options %q (-PostgreSQL +gateway)\n%s\n%q\n%q", line, diff, want, got)
		}
	})
}

// coded is what was seen without the words of errors: which of several mistakes
// is told of first may differ.
func coded(seen []string) []string {
	out := make([]string, len(seen))
	for i, s := range seen {
		if out[i] = s; strings.HasPrefix(s, "FATAL ") {
			out[i] = "FATAL"
		}
	}
	return out
}
