package catalog

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// slashes is psql's commands that look into the catalog.
var slashes = strings.Fields(`\d \d+ \dt \dt+ \dv+ \dm \di+ \ds \dE \df \df+ \dn+ \du+ \l+ \dT+ \dD \dp \ddp \dx+ \dy \dF+ \dFd \dFp \dFt
	\db+ \dc \dC+ \dd \do+ \dL \dA+ \dAc \dAf \dAo \dAp \dew \des \det \deu \drds \drg \dRp+ \dRs \dX \dP+ \dO \dl \dconfig \z`)

// What psql, pg_dump and pgbench send of their own must be understood, all of
// it, and described as the server describes it.
func TestToolsAreUnderstood(t *testing.T) {
	clients := parts.Need(t, parts.Clients)
	server := serveWith(t, postgres.Options{Settings: map[string]string{
		"log_statement": "all", "log_destination": "jsonlog", "logging_collector": "on", "log_filename": "all.log",
	}})
	run := func(program string, args ...string) {
		t.Helper()
		cmd := exec.Command(clients.Client(program), args...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
	}
	dsn := server.DSN("postgres")
	psql := []string{"-X", "-d", dsn, "-c", `\d customers`, "-c", `\d+ masked`, "-c", `\d+ events`, "-c", `\d seq`, "-c", `\sf leak`, "-c", `\sv masked`}
	for _, s := range slashes {
		psql = append(psql, "-c", s)
	}
	run("psql", psql...)
	run("pg_dump", "-d", dsn, "-f", filepath.Join(t.TempDir(), "dump"))
	run("pgbench", "-i", "-q", dsn)
	for _, script := range []string{"tpcb-like", "simple-update", "select-only"} {
		run("pgbench", "-b", script, "-M", "prepared", "-t", "2", dsn)
	}

	texts := logged(t, filepath.Join(server.Home(), "data", "log", "all.json"))
	if len(texts) < 200 {
		t.Fatalf("the server logged only %d statements", len(texts))
	}
	ctx := context.Background()
	conn := connect(t, server)
	catalog, analyzer := snapshot(t, open(t, server)), newAnalyzer(t)
	for _, text := range texts {
		an, err := analyzer.Analyze(ctx, text, catalog, []string{"$user", "public"})
		if err != nil {
			t.Fatal(err)
		}
		for i := range an.Statements {
			understood(t, &an.Statements[i])
		}
		if len(an.Statements) == 1 {
			compareWithServer(t, conn, &an.Statements[0])
		}
	}
}

// understood fails for a statement of which something is not known, though it is
// about nothing that only the session knows.
func understood(t *testing.T, s *sqlmeta.Statement) {
	t.Helper()
	if s.Prepare != nil && s.Prepare.Inner == nil || strings.Contains(s.Text, "drop table if exists") {
		return
	}
	for _, risk := range s.Risks {
		switch risk {
		case sqlmeta.RiskUnparsed, sqlmeta.RiskOpaque, sqlmeta.RiskUnknownRelation, sqlmeta.RiskUnknownColumn,
			sqlmeta.RiskUnknownFunction, sqlmeta.RiskOpaqueFunction, sqlmeta.RiskParserSettings, sqlmeta.RiskSetRole:
			t.Errorf("%s\n%s", risk, s.Text)
		}
	}
}

func compareWithServer(t *testing.T, conn *pgx.Conn, s *sqlmeta.Statement) {
	t.Helper()
	if !slices.Contains([]string{sqlmeta.ActionSelect, sqlmeta.ActionShow}, s.Action) {
		return
	}
	d, err := conn.PgConn().Prepare(context.Background(), "", s.Text, nil)
	if err != nil {
		return // of a table that has gone, or a type that only the tool gave
	}
	if diff := cmp.Diff(described(d), analysed(s)); diff != "" {
		t.Errorf("%s\nserver (-), analysis (+):\n%s", s.Text, diff)
	}
}

var executed = regexp.MustCompile(`^(statement|execute [^:]*): `)

// logged is the statements of a server's JSON log, each once.
func logged(t *testing.T, file string) []string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	seen := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry struct {
			Message     string
			Application string `json:"application_name"`
		}
		if err := json.Unmarshal(lines.Bytes(), &entry); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", file, err))
		}
		head := executed.FindString(entry.Message)
		if text := entry.Message[len(head):]; head != "" && !seen[text] && entry.Application != "" {
			seen[text] = true
			out = append(out, text)
		}
	}
	return out
}
