package app

import (
	"context"
	"errors"
	"iter"

	"golang.org/x/sync/errgroup"

	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/web"
)

// store is ClickHouse as the gateway uses it.
type store struct{}

func (g *Gateway) startStore(context.Context, *config.Config, *errgroup.Group) error {
	g.store = &store{}
	return nil
}

func (s *store) where() ClickHouseStatus     { return ClickHouseStatus{} }
func (s *store) ready(context.Context) error { return nil }

var errNot = errors.New("not wired")

func (s *store) Sessions(ctx context.Context, f web.Filter) ([]web.Session, error) {
	return nil, errNot
}
func (s *store) Session(ctx context.Context, id string) (*web.Session, []web.Operation, error) {
	return nil, nil, errNot
}
func (s *store) Replay(ctx context.Context, id string) iter.Seq2[web.ReplayItem, error] {
	return func(yield func(web.ReplayItem, error) bool) { yield(web.ReplayItem{}, errNot) }
}
