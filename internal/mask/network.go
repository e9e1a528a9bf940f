package mask

import (
	"bytes"
	"encoding/hex"
	"net/netip"

	"github.com/jackc/pgx/v5/pgtype"
)

// The address families of inet in binary format: PGSQL_AF_INET and PGSQL_AF_INET6
// (PostgreSQL's utils/inet.h).
const (
	family4 = 2
	family6 = 3
)

// addressCell masks inet and cidr: another address of the same family, with as many
// bits of network.
func (b builder) addressCell(cidr bool) Cell {
	if b.spec.With != Hash && b.spec.With != Fake {
		return nil
	}
	m, bin := b.m, b.bin
	return func(dst, value []byte) ([]byte, bool) {
		p, ok := readAddress(value, bin)
		if !ok {
			return dst, true
		}
		p = m.otherAddress(p)
		if cidr {
			p = p.Masked()
		}
		if bin {
			return appendAddress(dst, p, cidr), false
		}
		if !cidr && p.Bits() == p.Addr().BitLen() {
			return p.Addr().AppendTo(dst), false
		}
		return p.AppendTo(dst), false
	}
}

func (m *Masker) otherAddress(p netip.Prefix) netip.Prefix {
	var in [17]byte
	bits := p.Addr().As16()
	copy(in[:], bits[:])
	in[16] = byte(p.Bits())
	sum := m.sumOf(in[:])
	if p.Addr().Is4() {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(sum[:4])), p.Bits())
	}
	return netip.PrefixFrom(netip.AddrFrom16([16]byte(sum[:16])), p.Bits())
}

func readAddress(value []byte, bin bool) (netip.Prefix, bool) {
	var none netip.Prefix
	if !bin {
		if bytes.IndexByte(value, '/') >= 0 {
			p, err := netip.ParsePrefix(string(value))
			return p, err == nil
		}
		a, err := netip.ParseAddr(string(value))
		return netip.PrefixFrom(a, a.BitLen()), err == nil && a.Zone() == ""
	}
	if len(value) < 4 || int(value[3]) != len(value)-4 {
		return none, false
	}
	a, ok := netip.AddrFromSlice(value[4:])
	if !ok || (value[0] == family4) != a.Is4() || int(value[1]) > a.BitLen() {
		return none, false
	}
	return netip.PrefixFrom(a, int(value[1])), true
}

func appendAddress(dst []byte, p netip.Prefix, cidr bool) []byte {
	family, isCIDR := byte(family6), byte(0)
	if p.Addr().Is4() {
		family = family4
	}
	if cidr {
		isCIDR = 1
	}
	dst = append(dst, family, byte(p.Bits()), isCIDR, byte(p.Addr().BitLen()/8))
	if p.Addr().Is4() {
		a := p.Addr().As4()
		return append(dst, a[:]...)
	}
	a := p.Addr().As16()
	return append(dst, a[:]...)
}

// macCell masks macaddr and macaddr8: another address, one that no maker has given
// out (the bit for local administration is set, IEEE 802).
func (b builder) macCell(oid uint32) Cell {
	if b.spec.With != Hash && b.spec.With != Fake {
		return nil
	}
	size := 6
	if oid == pgtype.Macaddr8OID {
		size = 8
	}
	m, bin := b.m, b.bin
	return func(dst, value []byte) ([]byte, bool) {
		var raw [8]byte
		if bin {
			if len(value) != size {
				return dst, true
			}
			copy(raw[:], value)
		} else if !readMAC(raw[:size], value) {
			return dst, true
		}
		sum := m.sumOf(raw[:size])
		copy(raw[:size], sum[:])
		raw[0] = raw[0]&0xfc | 0x02
		if bin {
			return append(dst, raw[:size]...), false
		}
		for i := range size {
			if i > 0 {
				dst = append(dst, ':')
			}
			dst = hex.AppendEncode(dst, raw[i:i+1])
		}
		return dst, false
	}
}

// readMAC reads 08:00:2b:01:02:03, which is how the server writes it.
func readMAC(into, text []byte) bool {
	if len(text) != 3*len(into)-1 {
		return false
	}
	for i := range into {
		if i > 0 && text[3*i-1] != ':' {
			return false
		}
		if _, err := hex.Decode(into[i:i+1], text[3*i:3*i+2]); err != nil {
			return false
		}
	}
	return true
}
