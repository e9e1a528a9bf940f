package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/weir-gateway/weir/internal/canonical"
)

// Operation is one statement or request, as analysis understood it. What could
// not be understood is said in Risks ("unparsed"), never left out. Exactly one
// of the protocol details is set; its fields appear beside the common ones in
// the policy's input.
type Operation struct {
	ID          string   `json:"id"`
	Protocol    string   `json:"protocol"` // "postgres", "http"
	Action      string   `json:"action"`   // "select", "insert", "ddl", …, "get", "post"
	Text        string   `json:"text"`     // the exact text; HTTP: "METHOD path"
	Fingerprint string   `json:"fingerprint,omitempty"`
	Risks       []string `json:"risks"`
	// PrepareOnly says that the target is to parse it and not to run it yet.
	PrepareOnly bool `json:"prepare_only,omitempty"`

	*SQL
	*HTTP
}

// SQL is what a PostgreSQL statement reads, writes and calls.
type SQL struct {
	Statements    []Statement `json:"statements"`
	Parameters    []any       `json:"parameters"` // string, or nil for NULL
	Tables        []Table     `json:"tables"`
	Columns       []Column    `json:"columns"`
	Functions     []string    `json:"functions"`
	Settings      []string    `json:"settings,omitempty"` // that it changes; "?" is one that is not known
	InTransaction bool        `json:"in_transaction"`

	fixed *fixedSQL // nil until Fix
}

// fixedSQL are the parts that all runs of a text have in common, as they stand in
// the events.
type fixedSQL struct{ statements, tables, columns canonical.Raw }

// longestFixed bounds the text of which Fix keeps anything, in bytes.
const longestFixed = 8 << 10

// Fix says that statements, tables and columns do not change any more, and encodes
// them once for all events. Copies have that in common.
func (s *SQL) Fix() error {
	size := 0
	for i := range s.Statements {
		size += len(s.Statements[i].Text)
	}
	if size > longestFixed {
		return nil
	}
	statements, errStatements := canonical.Marshal(s.Statements)
	tables, errTables := canonical.Marshal(s.Tables)
	columns, errColumns := canonical.Marshal(s.Columns)
	if err := errors.Join(errStatements, errTables, errColumns); err != nil {
		return err
	}
	s.fixed = &fixedSQL{statements, tables, columns}
	return nil
}

// Statement is one of the statements of a simple query.
type Statement struct {
	Action string `json:"action"`
	Text   string `json:"text"`
}

// Table is a relation that a statement touches.
type Table struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	Access string `json:"access"` // "read" or "write"
}

// Column is one use of a column. Use is "output", "derived", "fallible", "filter",
// "order", "group", "owner_filter" or "write".
type Column struct {
	Schema  string   `json:"schema"`
	Table   string   `json:"table"`
	Name    string   `json:"name"`
	Classes []string `json:"classes"`
	Use     string   `json:"use"`
	// Paths are the JSONPaths within the column's documents that some of the classes
	// are for, sorted; none where all of them are for the whole values.
	Paths []string `json:"paths,omitempty"`
}

// HTTP is one HTTP request.
type HTTP struct {
	Method  string              `json:"method"`
	Host    string              `json:"host"`
	Path    string              `json:"path"`
	Query   map[string][]string `json:"query"`
	Headers map[string]string   `json:"headers"` // lower-case names, credentials left out
	Body    any                 `json:"body"`    // parsed JSON, or nil
}

// ContentHash binds an approval to exactly this operation: its text and all
// that policy was shown of it, but not its id.
func (o *Operation) ContentHash() (string, error) {
	same := *o
	same.ID = ""
	raw, err := json.Marshal(&same)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}
