package spool

import (
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

// scan reads the records of a segment up to the first that is not whole or does
// not continue the numbers: what lies behind it is of the segment's last use.
func scan(segment []byte) []record {
	var out []record
	for len(segment) >= recordHead {
		size := uint64(binary.LittleEndian.Uint32(segment[4:]))
		if size > uint64(len(segment)-recordHead) {
			break
		}
		r := record{number: binary.LittleEndian.Uint64(segment[8:]), shipped: binary.LittleEndian.Uint64(segment[16:])}
		whole := segment[:recordHead+size]
		if binary.LittleEndian.Uint32(whole) != crc32.Checksum(whole[4:], checksums) ||
			r.number == 0 || len(out) > 0 && r.number != out[len(out)-1].number+1 {
			break
		}
		r.data = whole[recordHead:]
		out = append(out, r)
		segment = segment[len(whole):]
	}
	return out
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
}

// errSegmentsFull reports that the other segment holds what is not shipped yet.
var errSegmentsFull = errors.New("the journal is full")

// openJournal opens or makes the journal in dir, of segments of size bytes, and
// returns the records that are in it, in order.
func openJournal(dir string, size int64) (*journal, []record, error) {
	j := &journal{dir: dir, size: size}
	var found [2][]record
	for i := range j.segments {
		var err error
		if found[i], err = j.openSegment(i); err != nil {
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
	j.offset = sizeOf(found[j.at])
	return j, slices.Concat(found[1-j.at], found[j.at]), nil
}

func (j *journal) openSegment(i int) ([]record, error) {
	f, err := os.OpenFile(filepath.Join(j.dir, fmt.Sprintf("journal-%d", i)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	j.segments[i] = f
	content := make([]byte, j.size)
	if _, err := f.ReadAt(content, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	records := scan(content)
	// What lies behind them is wiped: records that were never synced must not follow
	// the ones that are to come.
	end := sizeOf(records)
	if _, err := f.WriteAt(make([]byte, j.size-end), end); err != nil {
		return nil, err
	}
	return records, errors.Join(f.Sync(), syncDir(j.dir))
}

// sizeOf is how many bytes records take.
func sizeOf(records []record) (n int64) {
	for _, r := range records {
		n += int64(recordHead + len(r.data))
	}
	return n
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
func (j *journal) sync() error { return syncData(j.segments[j.at]) }

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
	fresh.number = number + 1
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
