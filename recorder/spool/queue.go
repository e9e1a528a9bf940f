package spool

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Lane says what is appended and how surely it is kept.
type Lane string

// The lanes, which are subjects. Events and cuts share one stream and its order
// and are on disk before Append returns. Payloads are with the server when
// Append returns, and on its disk moments later.
const (
	Events   Lane = "weir.events.batch"
	Cuts     Lane = "weir.events.cut"
	Payloads Lane = "weir.payloads"
)

const (
	eventStream   = "WEIR_EVENTS"
	payloadStream = "WEIR_PAYLOADS"
	stateBucket   = "WEIR_SPOOL"
	leaseBucket   = "WEIR_LEASE"
)

// makeStreams makes the streams and the bucket, or brings them up to the
// configuration.
func (s *Spool) makeStreams(ctx context.Context) error {
	events := s.streamConfig(eventStream, s.cfg.MaxBytes/4, string(Events), string(Cuts))
	payloads := s.streamConfig(payloadStream, s.cfg.MaxBytes-s.cfg.MaxBytes/4, string(Payloads))
	if s.server != nil {
		payloads.PersistMode = jetstream.AsyncPersistMode
	}
	for _, c := range []jetstream.StreamConfig{events, payloads} {
		handle, err := s.js.CreateOrUpdateStream(ctx, c)
		if err != nil {
			return fmt.Errorf("spool: stream %s: %w", c.Name, err)
		}
		s.handles[c.Name] = handle
	}
	var err error
	s.state, err = s.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: stateBucket, Description: "how far the spool has been read", Replicas: s.cfg.Replicas,
	})
	if err != nil {
		return fmt.Errorf("spool: bucket %s: %w", stateBucket, err)
	}
	if s.server != nil {
		return nil // its data folder has one user
	}
	s.leases, err = s.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: leaseBucket, Description: "which gateway reads the spool", TTL: leaseTime, Replicas: s.cfg.Replicas,
	})
	if err != nil {
		return fmt.Errorf("spool: bucket %s: %w", leaseBucket, err)
	}
	return nil
}

func (s *Spool) streamConfig(name string, maxBytes int64, subjects ...string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: name, Subjects: subjects, Description: "evidence on its way to ClickHouse",
		Storage: jetstream.FileStorage, Replicas: s.cfg.Replicas,
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, MaxBytes: maxBytes,
		// What is appended is packed already; the server would pack it again each time
		// that a part of a block is released.
		Compression: jetstream.NoCompression,
		DenyDelete:  true, // one message out of the middle is never deleted
	}
}

// Append puts data at the end of a lane. It returns nil once it is kept.
// ErrFull and ErrRefused mean that it was not kept; after any other error it
// may have been.
func (s *Spool) Append(ctx context.Context, lane Lane, data []byte) error {
	return s.take(ctx, lane, data, true)
}

// Put is Append that does not wait for an embedded spool's disk: a crash of the
// process loses nothing of it, one of the machine may.
func (s *Spool) Put(ctx context.Context, lane Lane, data []byte) error {
	return s.take(ctx, lane, data, false)
}

func (s *Spool) take(ctx context.Context, lane Lane, data []byte, durable bool) error {
	if err := s.Err(); err != nil {
		return err
	}
	if len(data) > s.MaxMessage() {
		return fmt.Errorf("%w: %d bytes are more than a message holds (%d)", ErrRefused, len(data), s.MaxMessage())
	}
	switch {
	case lane == Payloads:
	case s.shipper == nil && lane == Events:
		data = s.join(data)
	case s.shipper != nil && lane == Events && len(data) <= segmentSize/4:
		return s.shipper.append(ctx, data, durable)
	case s.shipper != nil:
		return s.shipper.directly(ctx, lane, data)
	}
	return s.publish(ctx, &nats.Msg{Subject: string(lane), Data: data})
}

// join makes a message of the events lane.
func (s *Spool) join(parts ...[]byte) []byte {
	if s.cfg.Join == nil {
		return parts[0]
	}
	return s.cfg.Join(parts...)
}

// publish has a message in its stream.
func (s *Spool) publish(ctx context.Context, m *nats.Msg) error {
	if err := s.Err(); err != nil {
		return err
	}
	waiting, done := context.WithTimeout(ctx, s.cfg.Timeout)
	defer done()
	_, err := s.js.PublishMsg(waiting, m)
	if err == nil {
		return nil
	}
	if reason := s.refusal(err); reason != nil {
		return reason
	}
	if s.server != nil && ctx.Err() == nil {
		signal(s.suspect)
	}
	return fmt.Errorf("the spool gave no answer: %w", err)
}

// Codes of JetStream's errors that the client library has no name for.
const (
	codeStoreFailed  = 10077 // with "maximum bytes exceeded"
	codeNoResources  = 10023
	codeAccountLimit = 10002
	codeStoreLimit   = 10047
)

// refusal turns an error that surely means "not stored" into one of ours.
func (s *Spool) refusal(err error) error {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api):
		switch api.ErrorCode {
		case codeStoreFailed, codeNoResources, codeAccountLimit, codeStoreLimit:
			return fmt.Errorf("%w: %s", ErrFull, api.Description)
		}
		return fmt.Errorf("%w: %s", ErrRefused, api.Description)
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}
