package spool

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestWhatWasSyncedIsFound writes a journal, loses what was not synced in any way
// that a disk may, and looks at what is there.
func TestWhatWasSyncedIsFound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "journal")
		if err != nil {
			rt.Fatal(err)
		}
		j, found, err := openJournal(dir, 1000)
		if err != nil || len(found) > 0 {
			rt.Fatal(found, err)
		}
		defer func() { j.close() }()
		var shipped, synced uint64
		syncedAt, syncedEnd := 0, int64(0)
		texts := map[uint64]byte{}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0, 1, 2:
				shipped = rapid.Uint64Range(shipped, j.number).Draw(rt, "shipped")
			case 3: // a crash: of what was not synced anything may be left
				first := int64(0)
				if j.at == syncedAt {
					first = syncedEnd
				}
				if j.number > synced && first < j.offset {
					hole := rapid.Int64Range(first, j.offset-1).Draw(rt, "hole")
					if _, err := j.segments[j.at].WriteAt([]byte{0xff, 0xff, 0xff}, hole); err != nil {
						rt.Fatal(err)
					}
				}
				j.close()
				if j, found, err = openJournal(dir, 1000); err != nil {
					rt.Fatal(err)
				}
				for n, text := range texts {
					switch {
					case holds(found, n, text):
					case n <= synced && n > shipped:
						rt.Fatalf("record %d of %d is gone", n, synced)
					default:
						delete(texts, n)
					}
				}
				for i, r := range found {
					if i > 0 && r.number <= found[i-1].number && r.number > shipped {
						rt.Fatalf("%d follows %d", r.number, found[i-1].number)
					}
					if texts[r.number] != r.data[0] {
						rt.Fatalf("record %d is another", r.number)
					}
				}
				j.skip(shipped)
				synced, syncedAt, syncedEnd = j.number, j.at, j.offset
			default:
				text := rapid.Byte().Draw(rt, "text")
				err := j.write(bytes.Repeat([]byte{text}, rapid.IntRange(1, 200).Draw(rt, "size")), shipped)
				if errors.Is(err, errSegmentsFull) {
					shipped = j.number
					continue
				}
				if err != nil {
					rt.Fatal(err)
				}
				texts[j.number] = text
				if rapid.Bool().Draw(rt, "sync") {
					if err := j.sync(); err != nil {
						rt.Fatal(err)
					}
					synced, syncedAt, syncedEnd = j.number, j.at, j.offset
				}
			}
		}
	})
}

func holds(found []record, number uint64, text byte) bool {
	for _, r := range found {
		if r.number == number {
			return r.data[0] == text
		}
	}
	return false
}

// FuzzScan reads segments that anything may have written.
func FuzzScan(f *testing.F) {
	whole := record{2, 1, []byte("two")}.appendTo(record{1, 0, []byte("one")}.appendTo(nil))
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(bytes.Clone(whole), whole...))
	f.Add(record{7, 7, nil}.appendTo(nil))
	f.Add(make([]byte, 100))
	f.Add(record{9, 1, []byte("nine")}.appendTo(append(bytes.Clone(whole[:40]), make([]byte, 30)...)))
	f.Fuzz(func(t *testing.T, segment []byte) {
		records, end := scan(segment)
		rest := segment[:end]
		for i, r := range records {
			if r.number == 0 || i > 0 && r.number <= records[i-1].number {
				t.Errorf("record %d has number %d", i, r.number)
			}
			whole := r.appendTo(nil)
			at := bytes.Index(rest, whole)
			if at < 0 {
				t.Fatalf("%x is not in %x", whole, rest)
			}
			rest = rest[at+len(whole):]
		}
		if len(rest) > 0 {
			t.Errorf("%x lies behind the last", rest)
		}
	})
}

// What is only in the journal when a process or its machine ends comes to the stream
// at the next start, once and in its order.
func TestTheNextStartShipsWhatIsLeft(t *testing.T) {
	dir, after := t.TempDir(), t.TempDir()
	s := openSpool(t, Config{Dir: dir})
	appendAll(t, s, Events, "1", "2")
	readTexts(t, s.EventQueue(), 0, 2)
	doNotShip(s)
	appendAll(t, s, Events, "3", "4")
	if err := os.CopyFS(after, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = openSpool(t, Config{Dir: after})
		for i, text := range readTexts(t, s.EventQueue(), 0, 4) {
			if text != fmt.Sprint(i+1) {
				t.Errorf("message %d is %s", i+1, text)
			}
		}
		if err := s.shipper.drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b, err := s.EventQueue().Backlog(t.Context()); err != nil || b.Last != 4 {
			t.Errorf("backlog %+v, %v", b, err)
		}
		next := t.TempDir()
		if err := os.CopyFS(next, os.DirFS(after)); err != nil {
			t.Fatal(err)
		}
		after = next
	}
}

// What the stream has forgotten is not shipped again.
func TestWhatWasReleasedStaysAway(t *testing.T) {
	dir, after := t.TempDir(), t.TempDir()
	s := openSpool(t, Config{Dir: dir})
	appendAll(t, s, Events, "1", "2")
	readTexts(t, s.EventQueue(), 0, 2)
	for noted := uint64(0); noted < 2; time.Sleep(time.Millisecond) {
		if err := s.shipper.writing.Acquire(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		noted = s.shipper.noted
		s.shipper.writing.Release(1)
	}
	if err := s.EventQueue().Release(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(after, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, Config{Dir: after})
	appendAll(t, s, Events, "3")
	if got := readTexts(t, s.EventQueue(), 0, 1); got[0] != "3" {
		t.Errorf("got %s", got[0])
	}
}

func TestABrokenJournalIsMadeAnew(t *testing.T) {
	s := openSpool(t, Config{})
	appendAll(t, s, Events, "1", "2")
	if err := s.shipper.writing.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	s.shipper.journal.close()
	s.shipper.writing.Release(1)
	if err := s.Append(t.Context(), Events, []byte("lost")); err == nil || errors.Is(err, ErrRefused) || errors.Is(err, ErrFull) {
		t.Errorf("nobody knows whether it was kept: %v", err)
	}
	for {
		err := s.Append(t.Context(), Events, []byte("3"))
		if err == nil {
			break
		}
		if !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	for i, text := range readTexts(t, s.EventQueue(), 0, 3) {
		if text != fmt.Sprint(i+1) {
			t.Errorf("message %d is %s", i+1, text)
		}
	}
}

// A journal whose files are both full waits for the stream.
func TestTheJournalGoesRound(t *testing.T) {
	s := openSpool(t, Config{Join: func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }})
	big := bytes.Repeat([]byte("x"), segmentSize/5)
	want := 0
	for range 25 {
		if err := s.Put(t.Context(), Events, big); err != nil {
			t.Fatal(err)
		}
		want += len(big)
	}
	r, err := s.EventQueue().Read(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	for got := 0; got < want; {
		m, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got += len(m.Data)
	}
}

// doNotShip has nothing shipped of what is appended from here, as long as it is little.
func doNotShip(s *Spool) {
	s.shipper.mu.Lock()
	defer s.shipper.mu.Unlock()
	s.shipper.armed = true
	s.shipper.timer.Stop()
}

// A flipped bit costs the entry that it is in, and is told.
func TestADamagedEntryIsTold(t *testing.T) {
	dir, after := t.TempDir(), t.TempDir()
	s := openSpool(t, Config{Dir: dir})
	doNotShip(s)
	appendAll(t, s, Events, "one", "two", "three")
	if err := os.CopyFS(after, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(after, "journal-0")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[bytes.Index(content, []byte("two"))] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	s, err = Open(t.Context(), Config{Dir: after}, slog.New(slog.NewTextHandler(&told, nil)))
	if err != nil {
		t.Fatal(err)
	}
	got := readTexts(t, s.EventQueue(), 0, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got[0] != "one" || got[1] != "three" {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(told.String(), "lacks entries") || !strings.Contains(told.String(), "first=2 last=2") {
		t.Errorf("told: %s", &told)
	}
}

// What a crash left without a note is noted before the stream forgets it.
func TestAReleaseIsNotedFirst(t *testing.T) {
	dir, crashed, again := t.TempDir(), t.TempDir(), t.TempDir()
	s := openSpool(t, Config{Dir: dir})
	doNotShip(s)
	appendAll(t, s, Events, "1", "2")
	if err := s.shipper.writing.Acquire(t.Context(), 1); err != nil { // nothing is noted
		t.Fatal(err)
	}
	signal(s.shipper.due)
	readTexts(t, s.EventQueue(), 0, 2)
	err := os.CopyFS(crashed, os.DirFS(dir))
	s.shipper.writing.Release(1)
	if err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, Config{Dir: crashed})
	if err := s.EventQueue().Release(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(again, os.DirFS(crashed)); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, Config{Dir: again})
	appendAll(t, s, Events, "3")
	if got := readTexts(t, s.EventQueue(), 0, 1); got[0] != "3" {
		t.Errorf("%s comes twice", got[0])
	}
}

// After a failed sync the system says that the next one is well: the files are not
// trusted again, whoever asked for the sync.
func TestAFailedSyncIsNotTriedAgain(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, Config{Dir: dir})
	doNotShip(s)
	failing := true
	s.shipper.journal.flush = func(f *os.File) error {
		if failing {
			failing = false
			return syscall.EIO
		}
		return syncData(f)
	}
	if err := s.Put(t.Context(), Events, []byte("1")); err != nil {
		t.Fatal(err)
	}
	if err := s.EventQueue().Release(t.Context(), 0); !errors.Is(err, syscall.EIO) {
		t.Fatalf("released: %v", err)
	}
	for err := errors.New(""); err != nil; time.Sleep(time.Millisecond) {
		if err = s.Append(t.Context(), Events, []byte("2")); err != nil && !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
	}
	if journalHolds(t, dir, 1) {
		t.Error("the same file is trusted again")
	}
	after := t.TempDir()
	if err := os.CopyFS(after, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if got := readTexts(t, s.EventQueue(), 0, 2); got[0] != "1" || got[1] != "2" {
		t.Errorf("got %q", got)
	}
	var told bytes.Buffer
	if s, err := Open(t.Context(), Config{Dir: after}, slog.New(slog.NewTextHandler(&told, nil))); err != nil || s.Close() != nil {
		t.Fatal(err)
	}
	if strings.Contains(told.String(), "lacks entries") {
		t.Errorf("what was never acknowledged is missed: %s", &told)
	}
}

// journalHolds says whether a spool's journal has the entry with a number.
func journalHolds(t *testing.T, dir string, number uint64) bool {
	t.Helper()
	for i := range 2 {
		content, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("journal-%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		records, _ := scan(content)
		if slices.ContainsFunc(records, func(r record) bool { return r.number == number }) {
			return true
		}
	}
	return false
}

// A journal that broke keeps its files until all that it acknowledged is shipped.
func TestABrokenJournalIsKeptWhileItIsNeeded(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, Config{Dir: dir})
	doNotShip(s)
	appendAll(t, s, Events, "1")
	if err := s.shipper.writing.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	s.shipper.broken = syscall.EIO
	s.shipper.writing.Release(1)
	if err := s.shipper.mend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !journalHolds(t, dir, 1) {
		t.Error("what was acknowledged is on disk nowhere")
	}
}

// Nobody waits for a disk that hangs. What it takes in the end is kept.
func TestADiskThatHangs(t *testing.T) {
	s := openSpool(t, Config{Timeout: 100 * time.Millisecond})
	hang := make(chan struct{})
	s.shipper.journal.flush = func(f *os.File) error {
		<-hang
		return syncData(f)
	}
	err := s.Append(t.Context(), Events, []byte("1"))
	if err == nil || errors.Is(err, ErrRefused) || errors.Is(err, ErrFull) {
		t.Errorf("nobody knows whether it is kept: %v", err)
	}
	if err := s.Append(t.Context(), Events, []byte("2")); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
	close(hang)
	for s.Append(t.Context(), Events, []byte("3")) != nil {
		time.Sleep(time.Millisecond)
	}
	if got := readTexts(t, s.EventQueue(), 0, 2); got[0] != "1" || got[1] != "3" {
		t.Errorf("got %q", got)
	}
}
