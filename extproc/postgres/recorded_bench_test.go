package postgres

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/policies"
	"github.com/weir-gateway/weir/recorder"
	"github.com/weir-gateway/weir/recorder/spool"
)

// BenchmarkRecorded is BenchmarkStatement by 40 sessions, with the rules of the
// gateway's own measurements and with its recorder, before a spool that keeps
// nothing. What counts is the processor time of a statement: client and server
// in memory take the same of it whatever the session does.
func BenchmarkRecorded(b *testing.B) {
	b.Run("buffered", func(b *testing.B) { benchmarkRecorded(b, true) })
	b.Run("durable", func(b *testing.B) { benchmarkRecorded(b, false) })
}

// discard is a spool that takes everything and keeps nothing.
type discard struct{}

func (discard) Put(context.Context, spool.Lane, []byte) error    { return nil }
func (discard) Append(context.Context, spool.Lane, []byte) error { return nil }
func (discard) MaxMessage() int                                  { return 8 << 20 }

// agents is an issuer all of whose principals are one agent, as an issuer in a
// cloud describes it.
type agents struct{}

func (agents) Authenticate(context.Context, string) (gate.Principal, error) {
	return gate.Principal{
		Subject: "agent-1", Issuer: "https://login.example/t/v2.0", Kind: gate.Agent, Roles: []string{"group:support", "role:reader"}, Auth: "oidc",
		Claims: map[string]any{"aud": "weir", "azp": "x", "exp": 1.764e9, "iat": 1.764e9, "idtyp": "app", "tid": "5f2c"},
		Token:  gate.Token{Hash: "h", Expires: time.Now().Add(time.Hour)},
	}, nil
}

func benchmarkRecorded(b *testing.B, buffered bool) {
	log := slog.New(slog.DiscardHandler)
	w := newCanned(b, false)
	engine, err := policies.New(b.Context(), policies.Config{Bundle: "../../bench/policy"}, policies.Deps{Log: log})
	if err != nil {
		b.Fatal(err)
	}
	r, err := recorder.New(recorder.Config{}, discard{}, log)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Close(context.Background()) }()
	w.deps.Identity, w.policy, w.recorder, w.cfg.Target.Buffered = agents{}, engine, r, buffered
	w.start()
	sessions := make([]*cannedSession, 40)
	for i := range sessions {
		sessions[i] = w.open(b, wideRows(1))
		sessions[i].exchange(wire(&pgproto3.Parse{Name: "s", Query: cannedText + " WHERE a = $1"}, &pgproto3.Sync{}))
		defer sessions[i].close()
	}
	statement := wire(
		&pgproto3.Bind{PreparedStatement: "s", Parameters: [][]byte{[]byte("77120")}}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{},
	)
	sessions[0].exchange(statement)
	b.ReportAllocs()
	b.ResetTimer()
	before := processorTime(b)
	var all sync.WaitGroup
	for i, s := range sessions {
		all.Go(func() {
			for range (b.N + i) / len(sessions) {
				s.exchange(statement)
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N)/1e3, "cpu-µs/op")
}
