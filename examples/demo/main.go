// Command demo plays weir's main job with real parts, and checks each step: an
// agent works through psql and curl, is masked, blocked, held and approved, a
// stranger is turned away, and an auditor reads all of it. With -keep everything
// stays running until Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/integration/stage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the issuer library logs its routes
	keep := flag.Bool("keep", false, "play nothing; leave everything running and say what to type")
	flag.Parse()
	err := run(ctx, *keep)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, keep bool) (err error) {
	weir, err := parts.Root()
	if err != nil {
		return err
	}
	fmt.Println("Setting the stage")
	s, err := stage.Start(ctx, stage.Options{
		Dir: filepath.Join(weir, "demo"), Weir: filepath.Join(weir, "bin", "weir"), Progress: os.Stdout,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := s.StartGateway(ctx); err != nil {
		return err
	}
	p, err := newPlayer(ctx, s, os.Stdout)
	if err != nil {
		return err
	}
	if keep {
		p.invite()
		select {
		case <-ctx.Done():
			return nil
		case <-s.Gateway().Done():
			return fmt.Errorf("weir up ended:\n%s", s.GatewayLog())
		}
	}
	return p.play(ctx)
}
