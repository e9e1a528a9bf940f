// Command parts sets up the programs under .weir/ that the tests and the demo
// need, and prints where they are. With names it sets up only those.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/weir-gateway/weir/integration/parts"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "parts:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string) error {
	paths, err := parts.Ensure(ctx, names...)
	if err != nil && len(names) == 0 && errors.Is(err, parts.ErrMissing) {
		return fmt.Errorf("%w\n(the parts that do exist here: go run ./integration/parts/cmd/parts NAME...)", err)
	}
	if err != nil {
		return err
	}
	for _, line := range [][2]string{
		{"envoy", paths.Envoy}, {"postgres", paths.PostgresBin}, {"clients", paths.PsqlBin}, {"chdb", paths.LibCHDB},
	} {
		if line[1] != "" {
			fmt.Printf("%-9s %s\n", line[0], line[1])
		}
	}
	return nil
}
