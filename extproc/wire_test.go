package extproc

import (
	"bytes"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"
)

// split lays bytes into several buffers, as they come from HTTP/2 frames.
func split(t *rapid.T, raw []byte) mem.BufferSlice {
	var out mem.BufferSlice
	for len(raw) > 0 {
		n := rapid.IntRange(1, len(raw)).Draw(t, "frame")
		out = append(out, mem.SliceBuffer(raw[:n]))
		raw = raw[n:]
	}
	return out
}

func bodyRequest(dir direction, body []byte, end bool) *extprocv3.ProcessingRequest {
	b := &extprocv3.HttpBody{Body: body, EndOfStream: end}
	m := &extprocv3.ProcessingRequest{MetadataContext: new(corev3.Metadata)}
	m.Request = &extprocv3.ProcessingRequest_RequestBody{RequestBody: b}
	if dir == response {
		m.Request = &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: b}
	}
	return m
}

func TestBodyMessagesAreReadWithoutProtobuf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir := direction(rapid.IntRange(0, 1).Draw(t, "dir"))
		body := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "body")
		end := rapid.Bool().Draw(t, "end")
		raw, err := proto.Marshal(bodyRequest(dir, body, end))
		if err != nil {
			t.Fatal(err)
		}
		frames := split(t, raw)
		if _, ok := scanBody(frames); !ok && (len(body) > 0 || end) {
			t.Fatalf("what Envoy writes is not recognised: %x", raw)
		}
		var in inbound
		if err := newCodec().Unmarshal(frames, &in); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, in.body.left)
		in.body.read(got)
		if in.full != nil || in.dir != dir || in.end != end || !bytes.Equal(got, body) {
			t.Fatalf("got %+v with body %x", in, got)
		}
	})
}

func TestBodyAnswersAreProtobuf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir := direction(rapid.IntRange(0, 1).Draw(t, "dir"))
		body := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "body")
		for len(body) > 0 && rapid.Bool().Draw(t, "bigger") && len(body) < maxChunkSize/2 {
			body = append(body, body...)
		}
		end := rapid.Bool().Draw(t, "end")
		raw := appendBodyAnswer(nil, dir, body, end)
		if len(raw) > len(body)+maxBodyOverhead {
			t.Fatalf("%d bytes around a body", len(raw)-len(body))
		}
		got := new(extprocv3.ProcessingResponse)
		if err := proto.Unmarshal(raw, got); err != nil {
			t.Fatal(err)
		}
		answer := &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{BodyMutation: &extprocv3.BodyMutation{
			Mutation: &extprocv3.BodyMutation_StreamedResponse{StreamedResponse: &extprocv3.StreamedBodyResponse{Body: body, EndOfStream: end}},
		}}}
		want := &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: answer}}
		if dir == response {
			want.Response = &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: answer}
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzUnmarshal feeds bytes to the codec. What it takes for a plain body message
// must be what the protobuf library reads.
func FuzzUnmarshal(f *testing.F) {
	for _, m := range []*extprocv3.ProcessingRequest{
		bodyRequest(request, []byte("select 1"), false), bodyRequest(response, nil, true),
		{Request: &extprocv3.ProcessingRequest_RequestTrailers{}}, {},
	} {
		raw, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, uint8(3))
		f.Add(append(raw, raw...), uint8(1))
	}
	f.Fuzz(func(t *testing.T, raw []byte, frame uint8) {
		var frames mem.BufferSlice
		for rest := raw; len(rest) > 0; {
			n := min(int(frame)+1, len(rest))
			frames = append(frames, mem.SliceBuffer(rest[:n]))
			rest = rest[n:]
		}
		var in inbound
		err := newCodec().Unmarshal(frames, &in)
		want := new(extprocv3.ProcessingRequest)
		if wantErr := proto.Unmarshal(raw, want); (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, protobuf's is %v", err, wantErr)
		}
		if err != nil {
			return
		}
		var body []byte
		var end bool
		var dir direction
		switch r := want.GetRequest().(type) {
		case *extprocv3.ProcessingRequest_RequestBody:
			body, end = r.RequestBody.GetBody(), r.RequestBody.GetEndOfStream()
		case *extprocv3.ProcessingRequest_ResponseBody:
			body, end, dir = r.ResponseBody.GetBody(), r.ResponseBody.GetEndOfStream(), response
		default:
			if in.full == nil {
				t.Fatalf("taken for a body: %v", want)
			}
			return
		}
		got := make([]byte, in.body.left)
		in.body.read(got)
		if in.full != nil || in.dir != dir || in.end != end || !bytes.Equal(got, body) {
			t.Fatalf("got %v %v %q, want %v", in.dir, in.end, got, want)
		}
	})
}

func TestQueueGivesBackWhatWasPut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var want []byte
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "push") {
				data := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "data")
				start := rapid.IntRange(0, len(data)).Draw(t, "start")
				count := rapid.IntRange(0, len(data)-start).Draw(t, "count")
				q.push(newChunk(split(t, data), start, count))
				want = append(want, data[start:start+count]...)
			} else {
				p := make([]byte, rapid.IntRange(0, 50).Draw(t, "read"))
				n := q.read(p)
				if n != min(len(p), len(want)) || !bytes.Equal(p[:n], want[:n]) {
					t.Fatalf("read %x, want the front of %x", p[:n], want)
				}
				want = want[n:]
			}
			if q.size != len(want) {
				t.Fatalf("size %d, want %d", q.size, len(want))
			}
		}
	})
}
