package mask

import (
	"encoding/binary"
	"math"
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

// timeCell masks date, timestamp and timestamptz. Text in another style than
// ISO becomes NULL, since it cannot be told which part is which.
func timeCell(s Spec, typeOID uint32, bin bool) Cell {
	switch {
	case s.With != DateTrunc:
		return nullCell
	case bin && typeOID == pgtype.DateOID:
		return func(dst, value []byte) ([]byte, bool) { return truncDate(dst, value, s.Unit) }
	case bin:
		return func(dst, value []byte) ([]byte, bool) { return truncTimestamp(dst, value, s.Unit) }
	default:
		return func(dst, value []byte) ([]byte, bool) { return truncISO(dst, value, s.Unit) }
	}
}

// postgresEpoch is day 0 of PostgreSQL's binary dates.
var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// maxMicros keeps the arithmetic within what a time.Duration can hold (292 years).
const maxMicros = math.MaxInt64 / 1000

func truncDate(dst, value []byte, unit string) ([]byte, bool) {
	if len(value) != 4 {
		return dst, true
	}
	days := int32(binary.BigEndian.Uint32(value))
	if days == math.MaxInt32 || days == math.MinInt32 { // infinity
		return dst, true
	}
	t := truncate(postgresEpoch.AddDate(0, 0, int(days)), unit)
	return binary.BigEndian.AppendUint32(dst, uint32(int32(daysSince(t)))), false
}

func truncTimestamp(dst, value []byte, unit string) ([]byte, bool) {
	if len(value) != 8 {
		return dst, true
	}
	micros := int64(binary.BigEndian.Uint64(value))
	if micros > maxMicros || micros < -maxMicros {
		return dst, true
	}
	t := truncate(postgresEpoch.Add(time.Duration(micros)*time.Microsecond), unit)
	return binary.BigEndian.AppendUint64(dst, uint64(t.Sub(postgresEpoch).Microseconds())), false
}

func truncate(t time.Time, unit string) time.Time {
	switch unit {
	case "year":
		return time.Date(t.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	case "month":
		return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	case "day":
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	default:
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), 0, 0, 0, time.UTC)
	}
}

func daysSince(t time.Time) int64 {
	return (t.Unix() - postgresEpoch.Unix()) / (24 * 60 * 60)
}

// isoShape is what PostgreSQL sends for DateStyle ISO: the digits that stay for
// each unit, counted from the left, over this shape.
const isoShape = "0000-01-01 00:00:00"

var isoKept = map[string]int{"year": 4, "month": 7, "day": 10, "hour": 13}

// truncISO keeps the leading part of an ISO date or timestamp and resets the
// rest, fractions dropped. A time zone's offset stays: it says nothing of when.
func truncISO(dst, value []byte, unit string) ([]byte, bool) {
	shape := isoShape
	if len(value) == len("0000-00-00") {
		shape = isoShape[:len("0000-00-00")]
	}
	if len(value) < len(shape) || !looksLike(value[:len(shape)], shape) {
		return dst, true
	}
	kept := min(isoKept[unit], len(shape))
	dst = append(dst, value[:kept]...)
	dst = append(dst, shape[kept:]...)
	rest := value[len(shape):]
	for i, c := range rest {
		if c == '+' || c == '-' || c == ' ' { // offset, or " BC"
			return append(dst, rest[i:]...), false
		}
	}
	return dst, false
}

func looksLike(value []byte, shape string) bool {
	for i := range shape {
		digit := value[i] >= '0' && value[i] <= '9'
		wantDigit := shape[i] >= '0' && shape[i] <= '9'
		if digit != wantDigit || (!digit && value[i] != shape[i]) {
			return false
		}
	}
	return true
}
