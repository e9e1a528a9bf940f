package postgres

import (
	"context"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// Describe says what a text is, as a session that has just begun would say it to
// policy. Nothing is run.
func Describe(ctx context.Context, a Analyzer, target string, tell Introduce, text string, class Classification, c sqlmeta.Catalog, searchPath []string) (*gate.Operation, error) {
	an, err := a.Analyze(ctx, text, c, searchPath)
	if err != nil {
		return nil, err
	}
	sh, err := shapeOf(target, an, class, c, func([]sqlmeta.Statement) (*shape, error) { return nil, nil })
	if err != nil {
		return nil, err
	}
	tell.guard(sh)
	s := session{txStatus: txIdle}
	return s.operation(sh, text, []any{}), nil
}
