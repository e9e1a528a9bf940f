package xds

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// message is an Envoy message that can check itself.
type message interface {
	proto.Message
	ValidateAll() error
}

// pack puts a message into an Any. It validates it first, as nobody looks into
// an Any later, and its bytes are always the same, as they make the version.
func (b *builder) pack(m message) *anypb.Any {
	b.validate(m)
	out := new(anypb.Any)
	if err := anypb.MarshalFrom(out, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		b.errs = append(b.errs, err)
	}
	return out
}

func (b *builder) validate(m message) {
	if err := m.ValidateAll(); err != nil {
		b.errs = append(b.errs, fmt.Errorf("%s: %w", m.ProtoReflect().Descriptor().Name(), err))
	}
}

func u32(n uint32) *wrapperspb.UInt32Value { return wrapperspb.UInt32(n) }

func yes() *wrapperspb.BoolValue { return wrapperspb.Bool(true) }

func no() *wrapperspb.BoolValue { return wrapperspb.Bool(false) }

func duration(d time.Duration) *durationpb.Duration { return durationpb.New(d) }
