package approval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/weir-gateway/weir/internal/gate"
)

// Config says where approvals are kept and who may vote.
type Config struct {
	Bucket   string        // default "weir_approvals"
	Replicas int           // copies in JetStream; default 1
	History  uint8         // revisions of each approval; default 8, at most 64
	Keep     time.Duration // how long an approval stays after its last change; default 30 days
	Kinds    []gate.Kind   // whose votes count; default humans only
	Lease    time.Duration // how long one change may take to be recorded; default 15 s

	Now func() time.Time // default time.Now
}

func (c *Config) complete() {
	if c.Bucket == "" {
		c.Bucket = "weir_approvals"
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.History == 0 {
		c.History = 8
	}
	if c.Keep == 0 {
		c.Keep = 30 * 24 * time.Hour
	}
	if len(c.Kinds) == 0 {
		c.Kinds = []gate.Kind{gate.Human}
	}
	if c.Lease == 0 {
		c.Lease = 15 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// Recorder keeps evidence: it returns once the event is on disk.
type Recorder interface {
	Record(ctx context.Context, e *gate.Event) error
}

// Store keeps approvals. It is safe for concurrent use, and by several
// processes at once.
type Store struct {
	cfg      Config
	kv       jetstream.KeyValue
	recorder Recorder
	log      *slog.Logger
	maxValue int // bytes of a request
}

var _ gate.Approvals = (*Store)(nil)

// roomForVotes is kept free in each value, in bytes.
const roomForVotes = 256 << 10

// New opens the bucket, and makes it where there is none.
func New(ctx context.Context, js jetstream.JetStream, cfg Config, recorder Recorder, log *slog.Logger) (*Store, error) {
	if recorder == nil {
		return nil, errors.New("approval: a recorder is needed")
	}
	cfg.complete()
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: cfg.Bucket, Description: "held operations and the votes on them",
		History: cfg.History, TTL: cfg.Keep, Storage: jetstream.FileStorage, Replicas: cfg.Replicas,
	})
	if err != nil {
		return nil, fmt.Errorf("approval: bucket %s: %w", cfg.Bucket, err)
	}
	return &Store{
		cfg: cfg, kv: kv, recorder: recorder, log: log,
		maxValue: int(js.Conn().MaxPayload()) - roomForVotes,
	}, nil
}

// stored is what the bucket holds.
type stored struct {
	Approval gate.Approval `json:"approval"`
	// Lease belongs to the one who is recording a change. The change itself is
	// not here yet.
	Lease *lease `json:"lease,omitempty"`

	revision uint64
}

type lease struct {
	Owner string    `json:"owner"`
	Until time.Time `json:"until"`
}

// Request stores a pending approval durably. It is an error where there is one
// of this id already.
func (s *Store) Request(ctx context.Context, a *gate.Approval) error {
	if !validID(a.ID) {
		return fmt.Errorf("approval: %q is not an id", a.ID)
	}
	if err := checkRequest(a); err != nil {
		return fmt.Errorf("approval: %w", err)
	}
	value, err := json.Marshal(stored{Approval: *a})
	if err != nil {
		return fmt.Errorf("approval: %w", err)
	}
	if len(value) > s.maxValue {
		return fmt.Errorf("approval: the operation is too large to be held (%d bytes, at most %d)", len(value), s.maxValue)
	}
	if _, err := s.kv.Create(ctx, a.ID, value); err != nil {
		return fmt.Errorf("approval %s: %w", a.ID, err)
	}
	return nil
}

// Get returns one approval as it stands; ErrNotFound where there is none.
func (s *Store) Get(ctx context.Context, id string) (*gate.Approval, error) {
	now, err := s.load(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.settled(ctx, &now.Approval)
}

// List returns the approvals in a state, or all where it is empty, the oldest
// first.
func (s *Store) List(ctx context.Context, state gate.ApprovalState) ([]*gate.Approval, error) {
	w, err := s.kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("approvals: %w", err)
	}
	all, err := drain(ctx, w)
	_ = w.Stop()
	if err != nil {
		return nil, fmt.Errorf("approvals: %w", err)
	}
	out := []*gate.Approval{}
	for _, entry := range all {
		st, err := decode(entry)
		if err != nil {
			return nil, err
		}
		a, err := s.settled(ctx, &st.Approval)
		if err != nil {
			return nil, err
		}
		if state == "" || a.State == state {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b *gate.Approval) int { return a.Requested.Compare(b.Requested) })
	return out, nil
}

// drain reads what a watch begins with.
func drain(ctx context.Context, w jetstream.KeyWatcher) ([]jetstream.KeyValueEntry, error) {
	var all []jetstream.KeyValueEntry
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case entry, ok := <-w.Updates():
			if !ok {
				return nil, errors.New("the watch ended")
			}
			if entry == nil { // all there was
				return all, nil
			}
			all = append(all, entry)
		}
	}
}

// settled is an approval as it stands by the clock: what nobody has expired yet
// is expired now.
func (s *Store) settled(ctx context.Context, a *gate.Approval) (*gate.Approval, error) {
	if a.State != gate.Pending || s.cfg.Now().Before(a.Expires) {
		return a, nil
	}
	return s.expire(ctx, a.ID)
}

func (s *Store) load(ctx context.Context, id string) (*stored, error) {
	if !validID(id) {
		return nil, ErrNotFound
	}
	entry, err := s.kv.Get(ctx, id)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("approval %s: %w", id, err)
	}
	return decode(entry)
}

func decode(entry jetstream.KeyValueEntry) (*stored, error) {
	st := &stored{revision: entry.Revision()}
	if err := json.Unmarshal(entry.Value(), st); err != nil {
		return nil, fmt.Errorf("approval %s: %w", entry.Key(), err)
	}
	return st, nil
}

// validID lets only UUIDs become keys: an id comes from outside.
func validID(id string) bool { return len(id) == 36 && uuid.Validate(id) == nil }
