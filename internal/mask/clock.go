package mask

import (
	"encoding/binary"
	"strconv"

	"github.com/jackc/pgx/v5/pgtype"
)

const microsAnHour = 3600 * 1e6

// clockCell masks time and timetz. Of them date_trunc alone keeps anything: the
// hour, or with a longer unit nothing but 00:00:00.
func (b builder) clockCell(zoned bool) Cell {
	if b.spec.With != DateTrunc {
		return nil
	}
	hour, bin := b.spec.Unit == "hour", b.bin
	return func(dst, value []byte) ([]byte, bool) {
		micros, zone, ok := readClock(value, zoned, bin)
		if !ok || micros < 0 || micros > 24*microsAnHour {
			return dst, true
		}
		hours := 0
		if hour {
			hours = int(micros / microsAnHour)
		}
		if bin {
			dst = binary.BigEndian.AppendUint64(dst, uint64(int64(hours)*microsAnHour))
		} else {
			dst = append(appendTwo(dst, hours), ":00:00"...)
		}
		return append(dst, zone...), false
	}
}

// readClock reads a time of day in microseconds, and the zone behind it as it stands.
func readClock(value []byte, zoned, bin bool) (micros int64, zone []byte, ok bool) {
	if !bin {
		if micros, zone, ok = parseClock(value); !ok || !zoned {
			return micros, nil, ok && len(zone) == 0
		}
		_, rest, ok := parseOffset(zone)
		return micros, zone, ok && len(rest) == 0
	}
	size := 8
	if zoned {
		size = 12
	}
	if len(value) != size {
		return 0, nil, false
	}
	return int64(binary.BigEndian.Uint64(value)), value[8:], true
}

// intervalCell masks interval, as the server's date_trunc does. Text in another
// IntervalStyle than postgres becomes NULL.
func (b builder) intervalCell() Cell {
	if b.spec.With != DateTrunc {
		return nil
	}
	unit, bin := b.spec.Unit, b.bin
	return func(dst, value []byte) ([]byte, bool) {
		months, days, micros, ok := readInterval(value, bin)
		if !ok {
			return dst, true
		}
		switch unit {
		case "year":
			months, days, micros = months/12*12, 0, 0
		case "month":
			days, micros = 0, 0
		case "day":
			micros = 0
		default:
			micros = micros / microsAnHour * microsAnHour
		}
		if bin {
			dst = binary.BigEndian.AppendUint64(dst, uint64(micros))
			dst = binary.BigEndian.AppendUint32(dst, uint32(days))
			return binary.BigEndian.AppendUint32(dst, uint32(months)), false
		}
		dst = append(strconv.AppendInt(dst, int64(months), 10), " mons "...)
		dst = append(strconv.AppendInt(dst, int64(days), 10), " days "...)
		hours := micros / microsAnHour
		if hours < 0 {
			dst, hours = append(dst, '-'), -hours
		}
		if hours < 10 {
			dst = append(dst, '0')
		}
		return append(strconv.AppendInt(dst, hours, 10), ":00:00"...), false
	}
}

func readInterval(value []byte, bin bool) (months, days int32, micros int64, ok bool) {
	if !bin {
		var v pgtype.Interval
		if err := v.Scan(string(value)); err != nil || !v.Valid {
			return 0, 0, 0, false
		}
		return v.Months, v.Days, v.Microseconds, true
	}
	if len(value) != 16 {
		return 0, 0, 0, false
	}
	const most, least = 0x7fffffff, -0x80000000 // infinity is all of the one, or of the other
	micros = int64(binary.BigEndian.Uint64(value))
	days, months = int32(binary.BigEndian.Uint32(value[8:])), int32(binary.BigEndian.Uint32(value[12:]))
	return months, days, micros, days != months || days != most && days != least
}
