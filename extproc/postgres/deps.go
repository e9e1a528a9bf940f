package postgres

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-gateway/weir/internal/detect"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/mask"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// Identity turns a token into a principal. An error with a method
// Public() string says so to the client.
type Identity interface {
	Authenticate(ctx context.Context, token string) (gate.Principal, error)
}

// Certificates turns the chain that a client has shown, leaf first, into a
// principal. Errors are as those of Identity.
type Certificates interface {
	Verify(chain []*x509.Certificate) (gate.Principal, error)
}

// Analyzer says what a text reads, writes and calls. Results are shared.
type Analyzer interface {
	Analyze(ctx context.Context, text string, c sqlmeta.Catalog, searchPath []string) (*sqlmeta.Analysis, error)
}

// Catalog keeps what one database holds.
type Catalog interface {
	Snapshot(ctx context.Context) (sqlmeta.Catalog, error)
	// Refresh reads the catalog again and returns when Snapshot gives the new one.
	Refresh(ctx context.Context) error
	// Holds says whether what a snapshot says of names still is so, at a moment after
	// the call.
	Holds(ctx context.Context, of sqlmeta.Catalog, names sqlmeta.Names) (bool, error)
	// Written is a text by which a session asks, in a transaction, how often it has
	// written to the catalog. WrittenNothing reads the answer, and says whether that, and
	// what Own reads, can be relied upon.
	Written() string
	WrittenNothing(answer string) (nothing, certain bool)
	// Own are the texts by which it asks for the catalog as the transaction sees it, in
	// columns of bytes. They change settings; what they have changed is to be rolled
	// back. Within is that catalog, from all the rows; where base, which everybody sees,
	// holds, it does.
	Own() []string
	Within(base sqlmeta.Catalog, rows []string) (sqlmeta.Catalog, error)
	// Changes notes a change that begins. Until done is called Snapshot reads each time.
	Changes() (done func())
}

// Classification says which columns hold what. An implementation is an immutable
// snapshot and comparable (a pointer).
type Classification interface {
	Column(target, schema, table, column string) []string
	// Within says which of a column's classes are those of its whole values, and which
	// those of what JSONPaths name in its documents.
	Within(target, schema, table, column string) (own []string, paths map[string][]string)
	Classified(target string) bool
	// Classes are all that columns of the target may have.
	Classes(target string) []string
	// Detectors are what is looked for in its texts.
	Detectors(target string) []detect.Asked
}

// Masker makes masks for columns. types may be nil.
type Masker interface {
	Cell(spec mask.Spec, typeOID uint32, binary bool, types mask.Types) (mask.Cell, error)
	Passages(rules []mask.PassageRule) (*mask.Passages, error)
}

// Deps are what a Handler works with. All that say nothing else are required.
type Deps struct {
	Identity Identity
	// Certificates is required where the target offers sign-in by certificate.
	Certificates Certificates
	// Discovery is required where it offers sign-in by OAuth.
	Discovery func() Discovery
	// Password is what the gateway signs in to the server with. Without it the
	// server may not ask for one.
	Password func(ctx context.Context) (string, error)
	Gate     *gate.Gate
	Analyzer Analyzer
	// Catalog finds the catalog of a database of this target.
	Catalog func(database string) (Catalog, error)
	// Classification gives the one in force.
	Classification func() Classification
	Masker         Masker
	// Dial opens another connection to the server at address (host:port; "" where
	// that is not known), to cancel a statement that has reached a limit. Without it
	// such a statement runs to its end, and what it returns is swallowed.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Fleet are the other gateways, where there are some.
	Fleet Fleet
	// Live is shared by the handlers that one target has over time. Without it
	// a Handler has its own.
	Live *Live
	Log  *slog.Logger
	// Metrics registers what this target counts, and labels it with the target.
	Metrics prometheus.Registerer
}

func (d *Deps) check(cfg *Config) error {
	if d.Identity == nil || d.Gate == nil || d.Analyzer == nil || d.Catalog == nil ||
		d.Classification == nil || d.Masker == nil || d.Log == nil {
		return errors.New("postgres: every dependency but Certificates, Discovery, Password, Dial, Fleet, Live and Metrics is required")
	}
	if slices.Contains(cfg.SignIn, SignInCertificate) && d.Certificates == nil || slices.Contains(cfg.SignIn, SignInOAuth) && d.Discovery == nil {
		return errors.New("postgres: sign-in by certificate needs Certificates, and by oauth Discovery")
	}
	return nil
}
