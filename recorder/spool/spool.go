package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config says where the spool is. Exactly one of Dir and URL is set.
type Config struct {
	// Dir is the folder of an embedded spool. Nobody else may use it.
	Dir string
	// URL is an external NATS with JetStream (several with commas).
	URL string
	// Credentials is the text of a .creds file for an external NATS.
	Credentials string
	// Replicas of each stream of an external NATS: 1, 3 or 5. Default: 3.
	Replicas int
	// MaxBytes bounds what may wait to be read: a quarter of it events, the rest
	// payloads. Default: 10 GiB.
	MaxBytes int64
	// MinFree is how much of an embedded spool's disk stays free. Below it the
	// spool refuses, as one that has hit the end of its disk is harder to mend.
	// Default: 64 MiB.
	MinFree int64
	// Timeout bounds the wait for one acknowledgement. Default: 5 s.
	Timeout time.Duration
	// Join makes one message of what was appended to the events lane one after the
	// other. Without it each is a message of its own.
	Join func(parts ...[]byte) []byte
}

// Reasons for which nothing was appended. An error of Append that is neither
// means that the spool may or may not have kept the data.
var (
	// ErrFull reports that the spool's bound or its disk is reached.
	ErrFull = errors.New("the spool is full")
	// ErrRefused reports that the spool is down or does not accept the data.
	ErrRefused = errors.New("the spool did not take it")
)

// Spool is an open spool. It is safe for concurrent use.
type Spool struct {
	cfg    Config
	log    *slog.Logger
	server *embedded // nil for an external one
	conn   *nats.Conn
	js     jetstream.JetStream

	handles map[string]jetstream.Stream
	state   jetstream.KeyValue // cursors
	leases  jetstream.KeyValue // nil for an embedded one

	shipper *shipper    // of an embedded one
	full    atomic.Bool // the disk is nearly full
	down    atomic.Bool // the embedded server is being mended
	suspect chan struct{}
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// Open starts or reaches a spool and makes its streams where they are missing.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Spool, error) {
	if (cfg.Dir == "") == (cfg.URL == "") {
		return nil, errors.New("spool: set exactly one of Dir and URL")
	}
	cfg.defaults()
	s := &Spool{cfg: cfg, log: log, suspect: make(chan struct{}, 1), handles: map[string]jetstream.Stream{}}
	if err := s.connect(); err != nil {
		return nil, err
	}
	if err := s.makeStreams(ctx); err != nil {
		s.shutdown()
		return nil, err
	}
	working, stop := context.WithCancel(context.Background())
	s.stop = stop
	if s.server != nil {
		var err error
		if s.shipper, err = openShipper(ctx, s); err != nil {
			stop()
			s.shutdown()
			return nil, fmt.Errorf("spool: %w", err)
		}
		s.checkDisk()
		s.done.Go(func() { s.watch(working) })
		s.done.Go(func() { s.shipper.run(working) })
	}
	return s, nil
}

func (c *Config) defaults() {
	if c.Replicas == 0 {
		c.Replicas = 3
	}
	if c.Dir != "" {
		c.Replicas = 1
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 10 << 30
	}
	if c.MinFree == 0 {
		c.MinFree = 64 << 20
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
}

func (s *Spool) connect() (err error) {
	options := []nats.Option{
		nats.Name("weir"), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), // nothing is kept in memory for later
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				s.log.Warn("the connection to the spool broke", "err", err)
			}
		}),
	}
	if s.cfg.URL != "" {
		if s.cfg.Credentials != "" {
			options = append(options, nats.UserCredentialBytes([]byte(s.cfg.Credentials)))
		}
		if s.conn, err = nats.Connect(s.cfg.URL, options...); err != nil {
			return fmt.Errorf("spool: NATS at %s: %w", redact(s.cfg.URL), err)
		}
	} else {
		if s.server, err = startEmbedded(s.cfg.Dir, s.log); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		if s.conn, err = nats.Connect("", append(options, nats.InProcessServer(s.server.server))...); err != nil {
			s.server.shutdown()
			return fmt.Errorf("spool: %w", err)
		}
	}
	if s.js, err = jetstream.New(s.conn); err != nil {
		s.shutdown()
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// JetStream is the JetStream that the spool lives in, for others' state.
func (s *Spool) JetStream() jetstream.JetStream { return s.js }

// MaxMessage is how many bytes one Append can take.
func (s *Spool) MaxMessage() int { return min(maxMessage, int(s.conn.MaxPayload())) }

// Err says why the spool takes nothing right now, nil when it is well.
func (s *Spool) Err() error {
	switch {
	case s.down.Load():
		return fmt.Errorf("%w: it is being mended", ErrRefused)
	case s.full.Load():
		return fmt.Errorf("%w: its disk has less than %d MiB left", ErrFull, s.cfg.MinFree>>20)
	case !s.conn.IsConnected() || s.server != nil && !s.server.server.JetStreamEnabled():
		return fmt.Errorf("%w: there is no connection to it", ErrRefused)
	}
	return nil
}

// Close ends the connection and an embedded server. Everything acknowledged is
// on disk; what cannot be brought from the journal to the stream any more is at the
// next start.
func (s *Spool) Close() error {
	s.stop()
	s.done.Wait()
	if s.shipper != nil {
		ending, done := context.WithTimeout(context.Background(), s.cfg.Timeout)
		defer done()
		if err := s.shipper.shipAll(ending); err != nil {
			s.log.Warn("events stay in the spool's journal until the next start", "err", err)
		}
		s.shipper.close(ending)
	}
	s.shutdown()
	return nil
}

func (s *Spool) shutdown() {
	s.conn.Close()
	if s.server != nil {
		s.server.shutdown()
	}
}
