package extproc

import (
	"fmt"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// codec is gRPC's protobuf codec, except for the two types in which a stream
// receives and sends: those spare the copy and most of the allocations of a
// body message. All other messages on the same server are as always.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(grpcproto.Name)} }

// inbound is a message from Envoy: a chunk of a body or, if full is set, any
// other message.
type inbound struct {
	dir  direction
	body chunk
	end  bool
	full *extprocv3.ProcessingRequest
}

// outbound is a message for Envoy: either a chunk of a body that is encoded
// already, which passes to gRPC, or any other message.
type outbound struct {
	data mem.Buffer
	full *extprocv3.ProcessingResponse
}

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	o, ok := v.(*outbound)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	if o.full != nil {
		return c.CodecV2.Marshal(o.full)
	}
	return mem.BufferSlice{o.data}, nil
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	in, ok := v.(*inbound)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	*in = inbound{}
	if m, ok := scanBody(data); ok {
		in.dir, in.end = m.dir, m.end
		in.body = newChunk(data, m.start, m.count)
		return nil
	}
	full := new(extprocv3.ProcessingRequest)
	if err := c.CodecV2.Unmarshal(data, full); err != nil {
		return fmt.Errorf("not a ProcessingRequest: %w", err)
	}
	switch r := full.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_RequestBody:
		in.dir, in.end = request, r.RequestBody.GetEndOfStream()
		in.body = sliceChunk(r.RequestBody.GetBody())
	case *extprocv3.ProcessingRequest_ResponseBody:
		in.dir, in.end = response, r.ResponseBody.GetEndOfStream()
		in.body = sliceChunk(r.ResponseBody.GetBody())
	default:
		in.full = full
	}
	return nil
}
