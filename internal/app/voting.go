package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-gateway/weir/internal/approval"
	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/web"
)

func (g *Gateway) buildApprovals(ctx context.Context, cfg *config.Config) (err error) {
	kinds := make([]gate.Kind, len(cfg.Approvals.Kinds))
	for i, k := range cfg.Approvals.Kinds {
		kinds[i] = gate.Kind(k)
	}
	g.approvals, err = approval.New(ctx, g.spool.JetStream(), approval.Config{
		Replicas: cfg.Evidence.Replicas, Keep: cfg.Approvals.Keep.D(), Kinds: kinds,
	}, g.recorder, g.log.With("part", "approvals"))
	return err
}

// voting speaks of approvals in the web's words.
type voting struct{ *approval.Store }

// Get implements web.Approvals.
func (v voting) Get(ctx context.Context, id string) (*gate.Approval, error) {
	a, err := v.Store.Get(ctx, id)
	return a, forWeb(err)
}

// Vote implements web.Approvals.
func (v voting) Vote(ctx context.Context, id string, p gate.Principal, approve bool, reason string) (*gate.Approval, error) {
	a, err := v.Store.Vote(ctx, id, p, approve, reason)
	return a, forWeb(err)
}

func forWeb(err error) error {
	var refused *approval.Refusal
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("%w: %w", web.ErrVote, err)
	case errors.Is(err, approval.ErrNotFound):
		return web.ErrNotFound
	}
	return err
}
