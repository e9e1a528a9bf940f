package spool

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// readAhead bounds the bytes that a reader holds in memory: a message of the
// largest size must go in.
const readAhead = maxMessage + 1<<20

// Queue is one stream of the spool as its reader sees it. One reader at a time
// may use it.
type Queue struct {
	spool  *Spool
	stream string
	key    string // of the cursor
}

// EventQueue holds the events and cuts lanes, PayloadQueue the payloads lane.
func (s *Spool) EventQueue() *Queue { return &Queue{spool: s, stream: eventStream, key: "events"} }
func (s *Spool) PayloadQueue() *Queue {
	return &Queue{spool: s, stream: payloadStream, key: "payloads"}
}

// Message is one appended message.
type Message struct {
	Lane Lane
	Seq  uint64 // of the stream, 1, 2, 3, …
	Time time.Time
	Data []byte
}

// Reader reads a queue in order.
type Reader struct {
	messages jetstream.MessagesContext
}

// Read starts to read after the message with the number after.
func (q *Queue) Read(ctx context.Context, after uint64) (*Reader, error) {
	consumer, err := q.spool.js.OrderedConsumer(ctx, q.stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
		InactiveThreshold: time.Minute,
	})
	if err != nil {
		return nil, fmt.Errorf("spool: reading %s: %w", q.stream, err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(1000, readAhead))
	if err != nil {
		return nil, fmt.Errorf("spool: reading %s: %w", q.stream, err)
	}
	return &Reader{messages: messages}, nil
}

// Next returns the next message. It waits for one until ctx ends.
func (r *Reader) Next(ctx context.Context) (Message, error) {
	m, err := r.messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return Message{}, err
	}
	meta, err := m.Metadata()
	if err != nil {
		return Message{}, fmt.Errorf("spool: %w", err)
	}
	return Message{Lane: Lane(m.Subject()), Seq: meta.Sequence.Stream, Time: meta.Timestamp, Data: m.Data()}, nil
}

// Stop ends the reader.
func (r *Reader) Stop() { r.messages.Stop() }

// Release gives up all messages up to and including upTo: their reader has them
// in a safe place.
func (q *Queue) Release(ctx context.Context, upTo uint64) error {
	if q.stream == eventStream && q.spool.shipper != nil {
		if err := q.spool.shipper.settled(ctx); err != nil {
			return fmt.Errorf("spool: releasing %s: %w", q.stream, err)
		}
	}
	if err := q.spool.handles[q.stream].Purge(ctx, jetstream.WithPurgeSequence(upTo+1)); err != nil {
		return fmt.Errorf("spool: releasing %s: %w", q.stream, err)
	}
	return nil
}

// Backlog is what a queue holds.
type Backlog struct {
	First, Last uint64 // numbers of the oldest and newest message; Last < First for none
	Oldest      time.Time
	Bytes       uint64 // with what has no number yet
}

// Backlog says what the queue holds.
func (q *Queue) Backlog(ctx context.Context) (Backlog, error) {
	info, err := q.spool.handles[q.stream].Info(ctx)
	if err != nil {
		return Backlog{}, fmt.Errorf("spool: %s: %w", q.stream, err)
	}
	state := info.State
	b := Backlog{First: state.FirstSeq, Last: state.LastSeq, Bytes: state.Bytes}
	if state.Msgs > 0 {
		b.Oldest = state.FirstTime
	} else {
		b.First = b.Last + 1 // a new stream says 0
	}
	if q.stream == eventStream && q.spool.shipper != nil {
		bytes, oldest := q.spool.shipper.waiting()
		if b.Bytes += uint64(bytes); b.Oldest.IsZero() {
			b.Oldest = oldest
		}
	}
	return b, nil
}
