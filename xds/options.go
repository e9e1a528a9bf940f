package xds

import (
	"errors"
	"fmt"
	"time"
)

// Options are what all targets share.
type Options struct {
	Processor Processor
	// Fallback is the path of a Unix socket that takes PostgreSQL's connections when
	// no server does, so that weir can tell the client what is wrong. Empty: the
	// client's connection is closed then.
	Fallback string
	// Relay is the path of the Unix socket on which weir takes the connections of
	// targets with the transport Relay. Empty: such a target is refused.
	Relay string
	// SystemRoots is a file of PEM certificates on Envoy's machine (SystemRoots
	// finds this machine's). It is trusted where an upstream's CA is not given.
	// Without it such a target is refused.
	SystemRoots string
	// AccessLog has Envoy write a line of JSON per connection and exchange to its
	// standard output. It corroborates; evidence it is not.
	AccessLog bool

	// BufferLimit is how many bytes Envoy keeps for each connection and direction
	// before it stops reading. 256 KiB when 0.
	BufferLimit uint32
	// MaxSessions bounds connections and requests under way to each cluster.
	// 100,000 when 0.
	MaxSessions uint32
	// MaxHeaderKB bounds the headers of an HTTP request in KiB, from 64 to 256. It
	// is 256 when 0, far more than any token, as Envoy can only close the
	// connection where weir can say what is wrong.
	MaxHeaderKB uint32
	// MessageTimeout is how long weir may take to answer the first headers of a
	// stream that has no body to wait for. 5 s when 0. Holds are not bounded by it.
	MessageTimeout time.Duration
	// AdmissionTimeout is the same for PostgreSQL's tunnels, which may wait until
	// others have signed in. It must be longer than weir lets them wait. 6 min when
	// 0, beyond the longest that weir can be configured to.
	AdmissionTimeout time.Duration
	// FirstWord is how long PostgreSQL's clients have to say something. 10 s when 0.
	FirstWord time.Duration
	// HoldTimeout bounds a check by headers only, with its hold. 24 h when 0.
	HoldTimeout time.Duration
}

// Processor is where Envoy reaches weir's own gRPC services.
type Processor struct {
	// Socket is the path of a Unix socket, on the same machine.
	Socket string
	// Address is host:port, when Envoy runs elsewhere. One of the two is set.
	Address string
	// TLS is for Address. The paths in it are on Envoy's machine.
	TLS *ProcessorTLS
}

// ProcessorTLS names files on Envoy's machine.
type ProcessorTLS struct {
	CA          string // PEM file that signed weir's certificate
	ServerName  string // in weir's certificate
	Certificate string // of this Envoy, with Key, where weir asks for one
	Key         string
}

// maxSocketPath is what sockaddr_un holds everywhere (104 on macOS, 108 on
// Linux), its terminating zero not counted.
const maxSocketPath = 103

func (o Options) withDefaults() Options {
	setDefault(&o.BufferLimit, 256<<10)
	setDefault(&o.MaxSessions, 100_000)
	setDefault(&o.MaxHeaderKB, 256)
	setDefault(&o.MessageTimeout, 5*time.Second)
	setDefault(&o.AdmissionTimeout, 6*time.Minute)
	setDefault(&o.FirstWord, 10*time.Second)
	setDefault(&o.HoldTimeout, 24*time.Hour)
	return o
}

func setDefault[T comparable](v *T, preset T) {
	var zero T
	if *v == zero {
		*v = preset
	}
}

func (o Options) check() error {
	p := o.Processor
	switch {
	case (p.Socket == "") == (p.Address == ""):
		return errors.New("xds: the processor needs either a socket or an address")
	case max(len(p.Socket), len(o.Fallback), len(o.Relay)) > maxSocketPath:
		return fmt.Errorf("xds: the path of a socket is longer than %d bytes: %s %s %s; use a shorter data folder", maxSocketPath, p.Socket, o.Fallback, o.Relay)
	case p.Address == "":
		return nil
	}
	a, err := parseEndpoint(p.Address)
	if err != nil {
		return fmt.Errorf("xds: the processor's address: %w", err)
	}
	if p.TLS == nil && a.host != "localhost" && !a.loopback() {
		return fmt.Errorf("xds: %s is not loopback: what clients send would travel in clear; set up TLS", p.Address)
	}
	if p.TLS != nil && (p.TLS.CA == "" || p.TLS.ServerName == "") {
		return errors.New("xds: TLS to the processor needs a CA and a server name")
	}
	return nil
}
