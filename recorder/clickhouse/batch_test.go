package clickhouse

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/weir-gateway/weir/recorder/spool"
)

// A piece has its token again when it is read again, and no other piece has it.
func TestTokenNamesAPiece(t *testing.T) {
	piece := func(change func(m []spool.Message)) string {
		m := []spool.Message{
			{Lane: spool.Events, Seq: 1, Time: time.Unix(1, 1), Data: bytes.Repeat([]byte("a"), 1000)},
			{Lane: spool.Events, Seq: 2, Time: time.Unix(1, 2), Data: bytes.Repeat([]byte("b"), 10)},
		}
		change(m)
		return tokenOf(m)
	}
	same := piece(func([]spool.Message) {})
	if again := piece(func([]spool.Message) {}); again != same {
		t.Errorf("%s, then %s", same, again)
	}
	var seen []string
	for name, change := range map[string]func(m []spool.Message){
		"place":  func(m []spool.Message) { m[1].Seq = 3 },
		"time":   func(m []spool.Message) { m[0].Time = m[0].Time.Add(1) },
		"length": func(m []spool.Message) { m[0].Data = append(m[0].Data, 'a') },
		"begin":  func(m []spool.Message) { m[0].Data[20] = 'x' },
		"end":    func(m []spool.Message) { m[0].Data[990] = 'x' },
		"short":  func(m []spool.Message) { m[1].Data[9] = 'x' },
	} {
		token := piece(change)
		if token == same || slices.Contains(seen, token) {
			t.Errorf("%s: not told apart", name)
		}
		seen = append(seen, token)
	}
}
