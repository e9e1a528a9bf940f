package mask

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

func validUnit(unit string) bool {
	switch unit {
	case "year", "month", "day", "hour":
		return true
	}
	return false
}

// timeCell masks date, timestamp and timestamptz. Text in another style than ISO
// becomes NULL, since it cannot be told which part is which. A timestamptz is
// truncated in UTC: in binary format there is no other zone.
func (b builder) timeCell(oid uint32) Cell {
	switch b.spec.With {
	case DateTrunc, Hash, Fake:
	default:
		return nil
	}
	m, s, bin := b.m, b.spec, b.bin
	return func(dst, value []byte) ([]byte, bool) {
		t, ok := readTime(value, oid, bin)
		if !ok {
			return dst, true
		}
		if s.With == DateTrunc {
			t = truncate(t, s.Unit)
		} else {
			t = m.otherTime(t, oid)
		}
		if t.Before(firstDay) {
			return dst, true
		}
		return appendTime(dst, t, oid, bin), false
	}
}

// postgresEpoch is day 0 of PostgreSQL's binary dates.
var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// firstDay is the first that the server has (Date/Time Types).
var firstDay = time.Date(-4713, 11, 24, 0, 0, 0, 0, time.UTC)

const secondsADay = 24 * 60 * 60

// otherTime is a day, or a second of one, from 1900 to 2099. The server's and Go's
// greatest times are farther away.
func (m *Masker) otherTime(t time.Time, oid uint32) time.Time {
	const days = 73049 // 1900-01-01 to 2099-12-31
	var in [12]byte
	binary.BigEndian.PutUint64(in[:], uint64(t.Unix()))
	binary.BigEndian.PutUint32(in[8:], uint32(t.Nanosecond()))
	sum := m.sumOf(in[:])
	n := binary.BigEndian.Uint64(sum[:8])
	seconds := int64(n % (days * secondsADay))
	if oid == pgtype.DateOID {
		seconds = int64(n%days) * secondsADay
	}
	return time.Unix(time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).Unix()+seconds, 0).UTC()
}

// readTime reads a date or a timestamp; not ok for infinity.
func readTime(value []byte, oid uint32, bin bool) (time.Time, bool) {
	switch {
	case !bin:
		return parseISO(value, oid)
	case oid == pgtype.DateOID:
		if len(value) != 4 {
			return time.Time{}, false
		}
		days := int32(binary.BigEndian.Uint32(value))
		return time.Unix(postgresEpoch.Unix()+int64(days)*secondsADay, 0).UTC(), days != math.MaxInt32 && days != math.MinInt32
	case len(value) != 8:
		return time.Time{}, false
	}
	micros := int64(binary.BigEndian.Uint64(value))
	seconds := micros / 1e6
	return time.Unix(postgresEpoch.Unix()+seconds, (micros%1e6)*1000).UTC(), micros != math.MaxInt64 && micros != math.MinInt64
}

func appendTime(dst []byte, t time.Time, oid uint32, bin bool) []byte {
	seconds := t.Unix() - postgresEpoch.Unix()
	switch {
	case !bin:
		return appendISO(dst, t, oid)
	case oid == pgtype.DateOID:
		return binary.BigEndian.AppendUint32(dst, uint32(int32(seconds/secondsADay)))
	default: // whole seconds, whatever was masked
		return binary.BigEndian.AppendUint64(dst, uint64(seconds*1e6))
	}
}

func truncate(t time.Time, unit string) time.Time {
	year, month, day := t.Date()
	hour := 0
	switch unit {
	case "year":
		month, day = 1, 1
	case "month":
		day = 1
	case "hour":
		hour = t.Hour()
	}
	return time.Date(year, month, day, hour, 0, 0, 0, time.UTC)
}

// parseISO reads what PostgreSQL sends for DateStyle ISO (Date/Time Output):
// 2024-05-17, 2024-05-17 10:11:12.345, with +02, +05:30 or -00:01:15 behind it, and
// then BC where it is.
func parseISO(value []byte, oid uint32) (time.Time, bool) {
	var none time.Time
	year, rest, ok := number(value, 4, 6)
	month, rest, ok2 := part(rest, '-')
	day, rest, ok3 := part(rest, '-')
	if !ok || !ok2 || !ok3 || month < 1 || month > 12 || day < 1 || day > 31 {
		return none, false
	}
	var micros, offset int64
	if oid != pgtype.DateOID {
		if len(rest) == 0 || rest[0] != ' ' {
			return none, false
		}
		if micros, rest, ok = parseClock(rest[1:]); !ok {
			return none, false
		}
	}
	if oid == pgtype.TimestamptzOID {
		if offset, rest, ok = parseOffset(rest); !ok {
			return none, false
		}
	}
	if string(rest) == " BC" {
		year, rest = 1-year, nil
	}
	if len(rest) > 0 {
		return none, false
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return time.Unix(t.Unix()+micros/1e6-offset, micros%1e6*1000).UTC(), true
}

// parseClock reads 10:11:12.345, in microseconds.
func parseClock(in []byte) (micros int64, rest []byte, ok bool) {
	hour, rest, ok := number(in, 2, 2)
	minute, rest, ok2 := part(rest, ':')
	second, rest, ok3 := part(rest, ':')
	if !ok || !ok2 || !ok3 || hour > 24 || minute > 59 || second > 60 {
		return 0, nil, false
	}
	micros = int64(hour*3600+minute*60+second) * 1e6
	if len(rest) > 0 && rest[0] == '.' {
		unit := int64(1e6)
		for rest = rest[1:]; len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9'; rest = rest[1:] {
			if unit /= 10; unit == 0 {
				return 0, nil, false
			}
			micros += int64(rest[0]-'0') * unit
		}
	}
	return micros, rest, true
}

// parseOffset reads +02, +05:30 or -00:01:15, in seconds east of UTC.
func parseOffset(in []byte) (seconds int64, rest []byte, ok bool) {
	if len(in) == 0 || in[0] != '+' && in[0] != '-' {
		return 0, nil, false
	}
	hour, rest, ok := number(in[1:], 2, 2)
	seconds = int64(hour) * 3600
	for unit := int64(60); ok && unit > 0 && len(rest) > 0 && rest[0] == ':'; unit /= 60 {
		var n int
		n, rest, ok = part(rest, ':')
		seconds += int64(n) * unit
	}
	if in[0] == '-' {
		seconds = -seconds
	}
	return seconds, rest, ok
}

// number reads digits, at least least of them and at most most.
func number(in []byte, least, most int) (n int, rest []byte, ok bool) {
	i := 0
	for ; i < len(in) && i < most && in[i] >= '0' && in[i] <= '9'; i++ {
		n = n*10 + int(in[i]-'0')
	}
	return n, in[i:], i >= least
}

// part reads a separator and two digits.
func part(in []byte, separator byte) (n int, rest []byte, ok bool) {
	if len(in) == 0 || in[0] != separator {
		return 0, nil, false
	}
	return number(in[1:], 2, 2)
}

// appendISO writes a date or timestamp as the server does for DateStyle ISO, in UTC.
func appendISO(dst []byte, t time.Time, oid uint32) []byte {
	year, month, day := t.Date()
	before := year < 1
	if before {
		year = 1 - year
	}
	for least := 1000; least > year && least > 1; least /= 10 {
		dst = append(dst, '0')
	}
	dst = strconv.AppendInt(dst, int64(year), 10)
	dst = appendTwo(append(dst, '-'), int(month))
	dst = appendTwo(append(dst, '-'), day)
	if oid != pgtype.DateOID {
		dst = appendTwo(append(dst, ' '), t.Hour())
		dst = appendTwo(append(dst, ':'), t.Minute())
		dst = appendTwo(append(dst, ':'), t.Second())
	}
	if oid == pgtype.TimestamptzOID {
		dst = append(dst, "+00"...)
	}
	if before {
		dst = append(dst, " BC"...)
	}
	return dst
}

func appendTwo(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

// truncText truncates a date or time in a JSON document: as the server writes it in
// ISO style, or as RFC 3339 has it. What is kept is kept as it is written; an offset
// stays, since it says nothing of when.
func truncText(dst, value []byte, unit string) ([]byte, bool) {
	const date, clock = len("0000-00-00"), len(" 00:00:00")
	if _, ok := parseISO(value[:min(date, len(value))], pgtype.DateOID); !ok {
		return dst, true
	}
	kept := map[string]int{"year": 4, "month": 7, "day": 10, "hour": 13}[unit]
	if len(value) == date {
		return append(append(dst, value[:min(kept, date)]...), "0000-01-01"[min(kept, date):]...), false
	}
	if value[date] != ' ' && value[date] != 'T' {
		return dst, true
	}
	_, rest, ok := parseClock(value[date+1:])
	if !ok {
		return dst, true
	}
	if len(rest) > 0 && string(rest) != "Z" {
		if _, after, ok := parseOffset(rest); !ok || len(after) > 0 {
			return dst, true
		}
	}
	start := len(dst)
	dst = append(append(dst, value[:kept]...), "0000-01-01 00:00:00"[kept:date+clock]...)
	dst[start+date] = value[date]
	return append(dst, rest...), false
}
