package app

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// stack remembers how to end what was started, the last first.
type stack []ending

type ending struct {
	name string
	end  func(context.Context) error
}

func (s *stack) push(name string, end func(context.Context) error) {
	*s = append(*s, ending{name, end})
}

// unwind ends everything within the given time.
func (s *stack) unwind(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var errs []error
	for i := len(*s) - 1; i >= 0; i-- {
		if err := (*s)[i].end(ctx); err != nil {
			errs = append(errs, fmt.Errorf("ending %s: %w", (*s)[i].name, err))
		}
	}
	*s = nil
	return errors.Join(errs...)
}
