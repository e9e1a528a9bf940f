package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a time span as Go writes it: 90s, 15m, 1h30m. Never negative.
type Duration time.Duration

// D is the duration as the time package's.
func (d Duration) D() time.Duration { return time.Duration(d) }

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	span, err := time.ParseDuration(string(text))
	switch {
	case err != nil:
		return &problem{fmt.Sprintf("%q is not a duration", text), durationHint(string(text))}
	case span < 0:
		return &problem{fmt.Sprintf("%q is negative", text), "write a positive duration such as 30s"}
	}
	*d = Duration(span)
	return nil
}

var daysOrWeeks = regexp.MustCompile(`^(\d{1,6})(d|w|y)$`)

func durationHint(text string) string {
	m := daysOrWeeks.FindStringSubmatch(text)
	if m == nil {
		return "write a number and a unit: 500ms, 30s, 15m or 24h"
	}
	n, _ := strconv.Atoi(m[1])
	hours := map[string]int{"d": 24, "w": 7 * 24, "y": 365 * 24}[m[2]]
	return fmt.Sprintf("the largest unit is the hour: write %dh", n*hours)
}

// MarshalText writes the duration, without zero parts: "15m", not "15m0s".
func (d Duration) MarshalText() ([]byte, error) {
	s := d.D().String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return []byte(s), nil
}

// Size is a number of bytes: 65536, 64KiB, 64MiB, 1GiB.
type Size int64

var units = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	number, factor := string(text), int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return &problem{fmt.Sprintf("%q is not a size", text), "write bytes, or a number with KiB, MiB or GiB: 64MiB"}
	}
	*s = Size(n * factor)
	return nil
}

// MarshalText writes the size in the largest unit that needs no fraction.
func (s Size) MarshalText() ([]byte, error) {
	for _, u := range units {
		if n := int64(s); n != 0 && n%u.bytes == 0 {
			return []byte(strconv.FormatInt(n/u.bytes, 10) + u.name), nil
		}
	}
	return []byte("0"), nil
}

// Address is host:port. An IPv6 host stands in brackets.
type Address string

// Split returns the host (without brackets) and the port; the port is 0 where
// there is none.
func (a Address) Split() (host string, port int) {
	h, p, err := net.SplitHostPort(string(a))
	if err != nil {
		return strings.Trim(string(a), "[]"), 0
	}
	n, err := strconv.Atoi(p)
	if err != nil {
		return h, 0
	}
	return h, n
}

// Loopback says whether the address can be reached from this machine only.
func (a Address) Loopback() bool {
	host, _ := a.Split()
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

var hostname = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)

// check says what is wrong with an address; portNeeded where nothing else
// tells the port.
func (a Address) check(portNeeded bool) error {
	example := "write host:port, for example 127.0.0.1:8080"
	if a == "" {
		return &problem{"is empty", example}
	}
	if strings.Contains(string(a), "://") {
		return &problem{fmt.Sprintf("%q is a URL, not an address", string(a)), example}
	}
	host, port := a.Split()
	_, p, err := net.SplitHostPort(string(a))
	switch {
	case err != nil && portNeeded:
		return &problem{fmt.Sprintf("%q has no port", string(a)), example}
	case err == nil && (port < 1 || port > 65535 || p != strconv.Itoa(port)):
		return &problem{fmt.Sprintf("%q has no valid port", string(a)), "ports are 1 to 65535"}
	}
	if _, err := netip.ParseAddr(host); err != nil && !hostname.MatchString(host) {
		return &problem{fmt.Sprintf("%q has no valid host", string(a)), example}
	}
	return nil
}

// Path is a file or folder. After Parse it is absolute.
type Path string

// Texts is one text, or a list of which one must match.
type Texts []string

// problem is what is wrong with a value, and the way out.
type problem struct{ what, hint string }

func (p *problem) Error() string { return p.what + ": " + p.hint }

// asProblem splits an error into what is wrong and the way out.
func asProblem(err error) (what, hint string) {
	var p *problem
	if errors.As(err, &p) {
		return p.what, p.hint
	}
	return err.Error(), ""
}
