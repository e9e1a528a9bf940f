package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
)

const (
	// segmentSize is the size of each of the journal's two files. It is taken from the
	// disk beforehand: syncing bytes within a file is faster than syncing a file that
	// grows, and the journal can never find the disk full.
	segmentSize = 4 << 20
	// recordHead is what stands before a record's data: its checksum and length (uint32),
	// its number and the number up to which all was shipped (uint64), little-endian.
	recordHead = 4 + 4 + 8 + 8
)

var checksums = crc32.MakeTable(crc32.Castagnoli)

// record is one entry of the journal. One without data only says what was shipped.
type record struct {
	number, shipped uint64
	data            []byte
}

// appendTo appends the record's bytes.
func (r record) appendTo(buf []byte) []byte {
	start := len(buf)
	buf = binary.LittleEndian.AppendUint32(buf, 0)
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(r.data)))
	buf = binary.LittleEndian.AppendUint64(buf, r.number)
	buf = binary.LittleEndian.AppendUint64(buf, r.shipped)
	buf = append(buf, r.data...)
	binary.LittleEndian.PutUint32(buf[start:], crc32.Checksum(buf[start+4:], checksums))
	return buf
}

// scan reads the records of a segment, whose numbers rise, and says where the last
// one ends. What lies behind it is of the segment's last use. Where a record is not
// whole, those that lie behind it are looked for: they may have been acknowledged.
// (An event has no zero bytes, so nothing in one looks like a record.)
func scan(segment []byte) (records []record, end int64) {
	number := uint64(0)
	for at := 0; len(segment)-at >= recordHead; {
		if r, whole := parse(segment[at:]); whole && r.number > number {
			records, number = append(records, r), r.number
			at += recordHead + len(r.data)
			end = int64(at)
			continue
		}
		left := len(bytes.TrimLeft(segment[at:], "\x00"))
		if left == 0 {
			break
		}
		// A number, which is not 0, ends 16 bytes behind its record's begin.
		at = max(at+1, len(segment)-left-15)
	}
	return records, end
}

// parse reads the record that buf, of recordHead bytes at least, begins with.
func parse(buf []byte) (r record, whole bool) {
	size := uint64(binary.LittleEndian.Uint32(buf[4:]))
	if size > uint64(len(buf)-recordHead) {
		return record{}, false
	}
	r.number, r.shipped = binary.LittleEndian.Uint64(buf[8:]), binary.LittleEndian.Uint64(buf[16:])
	r.data = buf[recordHead : recordHead+size]
	return r, binary.LittleEndian.Uint32(buf) == crc32.Checksum(buf[4:recordHead+size], checksums)
}

// journal is where what is appended to an embedded spool is on disk first, in two
// files that are filled in turn. It is not safe for concurrent use.
type journal struct {
	dir      string
	size     int64 // of a segment
	segments [2]*os.File
	last     [2]uint64 // number of each segment's last record
	at       int       // the segment that is being filled
	offset   int64     // in it
	number   uint64    // of the last record
	buf      []byte
	flush    func(*os.File) error // syncData
}

// errSegmentsFull reports that the other segment holds what is not shipped yet.
var errSegmentsFull = errors.New("the journal is full")

// openJournal opens or makes the journal in dir, of segments of size bytes, and
// returns the records that are in it, in order.
func openJournal(dir string, size int64) (*journal, []record, error) {
	j := &journal{dir: dir, size: size, flush: syncData}
	var found [2][]record
	var ends [2]int64
	for i := range j.segments {
		var err error
		if found[i], ends[i], err = j.openSegment(i); err != nil {
			j.close()
			return nil, nil, fmt.Errorf("journal: %w", err)
		}
		if n := len(found[i]); n > 0 {
			j.last[i] = found[i][n-1].number
		}
	}
	if j.last[1] > j.last[0] {
		j.at = 1
	}
	j.number = j.last[j.at]
	j.offset = ends[j.at]
	return j, slices.Concat(found[1-j.at], found[j.at]), nil
}

func (j *journal) openSegment(i int) (records []record, end int64, err error) {
	f, err := os.OpenFile(filepath.Join(j.dir, fmt.Sprintf("journal-%d", i)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, 0, err
	}
	j.segments[i] = f
	content := make([]byte, j.size)
	if _, err := f.ReadAt(content, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	records, end = scan(content)
	// What lies behind them is wiped: it must not follow the records that are to come.
	if _, err := f.WriteAt(make([]byte, j.size-end), end); err != nil {
		return nil, 0, err
	}
	return records, end, errors.Join(f.Sync(), syncDir(j.dir))
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// write adds a record, which the system has when it returns, and the disk after
// sync. errSegmentsFull means that nothing was written; after any other error the
// journal must be made anew.
func (j *journal) write(data []byte, shipped uint64) error {
	size := int64(recordHead + len(data))
	if j.offset+size > j.size {
		if j.last[1-j.at] > shipped {
			return errSegmentsFull
		}
		// A sync is of one file: who waits for a record waits for those before it as well.
		if err := j.sync(); err != nil {
			return err
		}
		j.at, j.offset = 1-j.at, 0
	}
	j.buf = record{j.number + 1, shipped, data}.appendTo(j.buf[:0])
	if _, err := j.segments[j.at].WriteAt(j.buf, j.offset); err != nil {
		return err
	}
	j.number++
	j.last[j.at] = j.number
	j.offset += size
	return nil
}

// sync has on disk what was written.
func (j *journal) sync() error { return j.flush(j.segments[j.at]) }

// skip goes on after number, up to which all is shipped: nothing that the journal
// holds is needed then, if it does not come as far.
func (j *journal) skip(number uint64) {
	if number > j.number {
		j.number, j.offset = number, 0 // a segment's numbers have no gap: it is filled anew
	}
}

// renew makes the journal anew, empty; its numbers go on.
func (j *journal) renew() error {
	j.close()
	number := j.number
	for i := range j.segments {
		if err := os.Remove(filepath.Join(j.dir, fmt.Sprintf("journal-%d", i))); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	fresh, _, err := openJournal(j.dir, j.size)
	if err != nil {
		return err
	}
	// One more than was written: a record of which nobody knows has a number too.
	fresh.number, fresh.flush = number+1, j.flush
	*j = *fresh
	return nil
}

func (j *journal) close() {
	for _, f := range j.segments {
		if f != nil {
			_ = f.Close()
		}
	}
}
