package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// settlesWithin is how long a target may take to see the scratch schema, if the
// options do not say: gateways that keep a catalog read it anew now and then.
const settlesWithin = 35 * time.Second

// control makes sure that the target is in front of the database that was seeded, and
// answers what touches nothing protected: a gateway that refuses everything keeps
// everything, and so does one that leads elsewhere.
func (p *player) control(ctx context.Context, within time.Duration) error {
	end := time.Now().Add(cmp.Or(within, settlesWithin))
	for {
		p.refresh(ctx)
		retry, err := p.ask(ctx)
		if err == nil || !retry || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// ask reads the mark of the scratch schema through the target. retry says whether
// that may succeed later.
func (p *player) ask(ctx context.Context) (retry bool, err error) {
	s, err := p.dial(ctx)
	if err != nil {
		return false, fmt.Errorf("connecting to the target: %w", err)
	}
	defer s.close()
	a := &answer{}
	if a.messages, a.err = s.exchange(ctx, "", &pgproto3.Query{String: "SELECT mark FROM control"}); a.err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		return false, fmt.Errorf("the target does not answer: SELECT mark FROM %s.control: %s", p.world.schema, cmp.Or(a.firstError(), broken(a)))
	}
	want := p.world.values.literals["{mark}"]
	for _, m := range a.messages {
		if row, ok := m.(*pgproto3.DataRow); ok && len(row.Values) == 1 {
			if string(row.Values[0]) == want {
				return false, nil
			}
			return true, errors.New("the target masks SELECT mark FROM control, which is not protected, or is not in front of the database of --direct")
		}
	}
	why := a.firstError()
	if why == "" {
		why = "no row"
	}
	return true, fmt.Errorf("the target does not answer SELECT mark FROM %s.control, which is not protected: %s. Is it in front of the database of --direct, and may its user read there? Where all is refused nothing can be said", p.world.schema, why)
}
