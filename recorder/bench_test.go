package recorder

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/spool"
)

func benchRecorder(b *testing.B) *Recorder {
	b.Helper()
	s, err := spool.Open(b.Context(), spool.Config{Dir: b.TempDir(), Join: event.Joiner()}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	r, err := New(Config{}, s, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			b.Error(err)
		}
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return r
}

// BenchmarkFsync is what one write to this disk takes: the yardstick for Record.
func BenchmarkFsync(b *testing.B) {
	f, err := os.Create(b.TempDir() + "/f")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	data := make([]byte, 2<<10)
	for b.Loop() {
		if _, err := f.Write(data); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecord shows group commit: the time for each event falls with the
// number of callers.
func BenchmarkRecord(b *testing.B) {
	for _, callers := range []int{1, 10, 100} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			r := benchRecorder(b)
			e := request("0197c3f2-0000-7000-8000-000000000000", "0197c3f2-0000-7000-8000-000000000001")
			e.Body = map[string]any{"operation": map[string]any{"text": "select id, email from customers where id = $1"}}
			var running sync.WaitGroup
			b.ResetTimer()
			for i := range callers {
				running.Go(func() {
					for range (b.N + i) / callers {
						if err := r.Record(context.Background(), e); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			running.Wait()
		})
	}
}

func BenchmarkHandoff(b *testing.B) {
	r := benchRecorder(b)
	e := completed("0197c3f2-0000-7000-8000-000000000000", "0197c3f2-0000-7000-8000-000000000001")
	for b.Loop() {
		if err := r.Handoff(context.Background(), e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPayload(b *testing.B) {
	for _, size := range []int{100, 16 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := benchRecorder(b)
			p := piece("0197c3f2-0000-7000-8000-000000000000", "o", gate.ResponseStream, "")
			for len(p.Data) < size {
				p.Data = fmt.Appendf(p.Data, "%d|Ada Lovelace|ada@example.com|%d\n", len(p.Data), len(p.Data)*7919)
			}
			b.SetBytes(int64(len(p.Data)))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if n++; n%1000 == 0 { // before the cap
					if err := r.Handoff(context.Background(), completed(p.Session, "o")); err != nil {
						b.Fatal(err)
					}
				}
				if err := r.Payload(context.Background(), p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
