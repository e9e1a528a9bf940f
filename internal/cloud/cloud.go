// Package cloud gets the tokens that stand in for a password at a cloud's
// databases: of Microsoft Entra ID, of AWS RDS, of Google Cloud SQL. Who the
// gateway is there, the machine or its environment says, in each cloud's own way.
// It knows nothing of databases, and keeps a token no longer than it is good for.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// Kind is whose tokens they are.
type Kind string

// The clouds.
const (
	Entra  Kind = "entra"   // Azure Database for PostgreSQL
	AWSRDS Kind = "aws_rds" // AWS RDS and Aurora
	GCP    Kind = "gcp"     // Google Cloud SQL and AlloyDB
)

// Config says which tokens are wanted.
type Config struct {
	Kind Kind
	// Address is the database's host:port. A token of AWS is for one address.
	Address string
	// User is the database user that a token of AWS is for.
	User string
	// Region of an AWS database, where its address does not tell it.
	Region string
	// ClientID of the Entra identity, where the machine has several.
	ClientID string
	// Client asks Entra and Google's token endpoint; nil is the default one.
	Client *http.Client
}

// The times of a token.
const (
	// early is how long before its end a token is renewed, at most; of a brief one
	// it is a quarter of its life.
	early = 5 * time.Minute
	// lastMoment is what a token must still be good for.
	lastMoment = 15 * time.Second
	// patience bounds how long one who signs in waits for a token, fetchWithin how
	// long a cloud may take to answer; what comes late serves the next one.
	patience    = 6 * time.Second
	fetchWithin = 30 * time.Second
	// again is when to ask again after a failure while the last token is good.
	again = 10 * time.Second
)

// token is a credential. Its text is a secret.
type token struct {
	text    string
	expires time.Time
	renew   time.Time // when to ask for the next
}

// fetcher asks a cloud for a token.
type fetcher interface {
	fetch(ctx context.Context) (token, error)
}

// Source gives tokens. It is safe for concurrent use.
type Source struct {
	from   fetcher
	log    *slog.Logger
	now    func() time.Time
	have   atomic.Pointer[token]
	flight singleflight.Group
}

// New finds out who the gateway is, as far as that needs no network.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*Source, error) {
	s := &Source{log: log, now: time.Now}
	var err error
	switch cfg.Kind {
	case Entra:
		s.from, err = newEntra(&cfg)
	case AWSRDS:
		s.from, err = newAWS(ctx, &cfg)
	case GCP:
		s.from, err = newGCP(&cfg)
	default:
		return nil, fmt.Errorf("cloud: %q is none that tokens are known of", cfg.Kind)
	}
	if err != nil {
		return nil, told(cfg.Kind, err)
	}
	return s, nil
}

// Token is a token that is good now. It is asked for once, however many want it,
// and again shortly before it expires: meanwhile the one before serves.
func (s *Source) Token(ctx context.Context) (string, error) {
	have, now := s.have.Load(), s.now()
	if have != nil && now.Before(have.renew) {
		return have.text, nil
	}
	next := s.flight.DoChan("", s.next)
	if have != nil && now.Before(have.expires.Add(-lastMoment)) {
		return have.text, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case r := <-next:
		if r.Err != nil {
			return "", r.Err
		}
		return r.Val.(*token).text, nil
	case <-ctx.Done():
		return "", fmt.Errorf("no token came in time: %w", ctx.Err())
	}
}

// next asks for a token and keeps it.
func (s *Source) next() (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchWithin)
	defer cancel()
	got, err := s.from.fetch(ctx)
	now := s.now()
	if err == nil && (got.text == "" || !now.Before(got.expires.Add(-lastMoment))) {
		err = errors.New("the token that came is empty, or has expired already")
	}
	if err != nil {
		err = told("", err)
		if have := s.have.Load(); have != nil && now.Before(have.expires) {
			s.log.Warn("a token could not be renewed: the last one serves for now", "err", err, "until", have.expires)
			kept := *have
			if kept.renew = now.Add(again); kept.renew.After(kept.expires.Add(-lastMoment)) {
				kept.renew = kept.expires.Add(-lastMoment)
			}
			s.have.Store(&kept)
		}
		return nil, err
	}
	got.renew = got.expires.Add(-max(lastMoment, min(early, got.expires.Sub(now)/4)))
	s.have.Store(&got)
	return &got, nil
}
