package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
		texts := map[uint64]byte{}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0, 1, 2:
				shipped = rapid.Uint64Range(shipped, j.number).Draw(rt, "shipped")
			case 3: // a crash: of what was not synced anything may be left
				at, offset := j.at, j.offset
				if j.number > synced {
					hole := rapid.Int64Range(0, offset).Draw(rt, "hole")
					first := sizeOf(upTo(j.at, dir, synced))
					if hole >= first && hole < offset {
						if _, err := j.segments[at].WriteAt([]byte{0xff, 0xff, 0xff}, hole); err != nil {
							rt.Fatal(err)
						}
					}
				}
				j.close()
				if j, found, err = openJournal(dir, 1000); err != nil {
					rt.Fatal(err)
				}
				for n := shipped + 1; n <= synced; n++ {
					if !holds(found, n, texts[n]) {
						rt.Fatalf("record %d of %d is gone", n, synced)
					}
				}
				for i, r := range found {
					if i > 0 && r.number != found[i-1].number+1 {
						rt.Fatalf("%d follows %d", r.number, found[i-1].number)
					}
					if texts[r.number] != r.data[0] {
						rt.Fatalf("record %d is another", r.number)
					}
				}
				j.skip(shipped)
				synced = j.number
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
					synced = j.number
				}
			}
		}
	})
}

// upTo are a segment's records up to a number.
func upTo(segment int, dir string, number uint64) []record {
	content, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("journal-%d", segment)))
	if err != nil {
		panic(err)
	}
	records := scan(content)
	for len(records) > 0 && records[len(records)-1].number > number {
		records = records[:len(records)-1]
	}
	return records
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
	f.Fuzz(func(t *testing.T, segment []byte) {
		var again []byte
		records := scan(segment)
		for i, r := range records {
			if r.number == 0 || i > 0 && r.number != records[i-1].number+1 {
				t.Errorf("record %d has number %d", i, r.number)
			}
			again = r.appendTo(again)
		}
		if !bytes.HasPrefix(segment, again) || int64(len(again)) != sizeOf(records) {
			t.Errorf("%x is not the beginning of %x", again, segment)
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
	s.shipper.mu.Lock() // nothing is shipped from here
	s.shipper.armed = true
	s.shipper.timer.Stop()
	s.shipper.mu.Unlock()
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
		s.shipper.writing.Lock()
		noted = s.shipper.noted
		s.shipper.writing.Unlock()
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
	s.shipper.writing.Lock()
	s.shipper.journal.close()
	s.shipper.writing.Unlock()
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
