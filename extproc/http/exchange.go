package http

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/gate"
)

// exchange is one request on its way through the gate.
type exchange struct {
	*Handler
	extproc.Exchange
	live     *liveSession
	op       *gate.Operation
	decision gate.Decision
	rules    *rules
	started  time.Time
	in, out  int64
}

// judge decides on the request and makes it ready for the target.
func (x *exchange) judge(ctx context.Context, r *extproc.Request) *extproc.Refusal {
	strip(r.Header)
	op, raw, err := operation(r, x.cfg.MaxBody, true)
	switch {
	case errors.Is(err, errBodyTooLarge):
		return refusal(http.StatusRequestEntityTooLarge, "body_too_large",
			fmt.Sprintf("the JSON body is larger than %d bytes, which is as much as policy reads", x.cfg.MaxBody), "Send it in smaller parts.")
	case err != nil:
		return unavailable("unreadable", "the request could not be read to its end")
	}
	x.op = op
	if x.decision, err = x.deps.Gate.Check(ctx, x.live.Session, op, nil); err != nil {
		return x.checkFailed(ctx, err)
	}
	if x.decision.Effect != gate.Allow {
		d := x.decision
		return denial(&d)
	}
	classified, err := x.deps.Classes.Paths()
	if err == nil {
		x.rules, err = newRules(&x.decision, classified, x.deps.Classes.Detectors(), x.deps.Masker)
	}
	if err != nil {
		x.deps.Log.ErrorContext(ctx, "a mask of the policy cannot work", "target", x.cfg.Target.Name, "err", err)
		return unavailable("mask_unusable", "a mask that the policy demands cannot be applied")
	}
	if err := x.recordRequest(ctx, r, raw); err != nil {
		return x.checkFailed(ctx, err)
	}
	if x.rules.active() {
		r.Header.Set("Accept-Encoding", "identity")
		for _, partial := range []string{"Range", "If-Range"} {
			r.Header.Del(partial)
		}
	}
	return x.inject(ctx, r.Header)
}

// recordRequest keeps the request as it was judged. A body that was not read
// for policy is kept while it streams.
func (x *exchange) recordRequest(ctx context.Context, r *extproc.Request, raw []byte) error {
	x.in = int64(len(raw))
	if x.decision.Record == gate.RecordMetadata {
		return nil
	}
	head := append(headerBytes(r.Method+" "+r.Path+" HTTP/1.1\r\nHost: "+r.Authority+"\r\n", r.Header), raw...)
	if raw == nil && r.HasBody {
		r.Body = &tap{r: r.Body, each: func(p []byte) error {
			x.in += int64(len(p))
			return x.payload(ctx, gate.RequestStream, p)
		}}
	}
	return x.payload(ctx, gate.RequestStream, head)
}

func headerBytes(first string, h http.Header) []byte {
	var b headerWriter
	b = append(b, first...)
	_ = h.Write(&b) // a headerWriter takes everything
	return append(b, "\r\n"...)
}

type headerWriter []byte

func (w *headerWriter) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}

func (x *exchange) payload(ctx context.Context, s gate.Stream, data []byte) error {
	return x.deps.Gate.Payload(ctx, x.live.Session, x.op.ID, s, data)
}

// forward sends the request on, and what comes back to the client. However it
// ends, the outcome is recorded.
func (x *exchange) forward(ctx context.Context, r *extproc.Request) {
	if x.decision.Limits.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, x.decision.Limits.Timeout)
		defer cancel()
	}
	outcome := gate.Outcome{Status: "aborted"}
	defer func() {
		outcome.Bytes = x.out
		outcome.Millis = float64(time.Since(x.started).Microseconds()) / 1000
		if err := x.deps.Gate.Complete(context.WithoutCancel(ctx), x.live.Session, x.op.ID, outcome); err != nil {
			x.deps.Log.ErrorContext(ctx, "an outcome could not be recorded", "target", x.cfg.Target.Name, "err", err)
		}
	}()
	resp, err := x.Forward(ctx, r)
	if err != nil {
		outcome.Error = err.Error()
		x.refuse(ctx, x.Exchange, refusal(http.StatusBadGateway, "target_unreachable",
			"target "+x.cfg.Target.Name+" did not answer", "Try again later."))
		return
	}
	outcome.Code = strconv.Itoa(resp.Status)
	if refused := x.prepare(resp, r.Method); refused != nil {
		outcome.Status = "refused"
		x.refuse(ctx, x.Exchange, refused)
		return
	}
	x.deliver(ctx, resp, &outcome)
}

// prepare takes out of the response what must not reach the client, and refuses
// one that cannot be masked as policy demands.
func (x *exchange) prepare(resp *extproc.Response, method string) *extproc.Refusal {
	resp.Header.Del("Set-Cookie") // a session of the gateway's, not the client's
	if !x.rules.active() || bodiless(resp.Status, method) {
		return nil
	}
	unmaskable := func(why string) *extproc.Refusal {
		return refusal(http.StatusBadGateway, "unmaskable_response",
			"the policy masks parts of this response, and "+why+", so it is not delivered",
			"Ask for JSON (`Accept: application/json`).")
	}
	encoding := resp.Header.Get("Content-Encoding")
	switch {
	case resp.Status == http.StatusSwitchingProtocols:
		return unmaskable("it leaves HTTP")
	case resp.Status == http.StatusPartialContent:
		return unmaskable("it is only a part of a document")
	case encoding != "" && encoding != "identity":
		return unmaskable("its encoding " + strconv.Quote(encoding) + " cannot be read")
	case x.rules.bound && !isJSON(resp.Header):
		return unmaskable("it is not JSON")
	case !isJSON(resp.Header) && !isText(resp.Header):
		return unmaskable("it is neither JSON nor text")
	}
	for _, name := range []string{"Content-Length", "Accept-Ranges", "Etag", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
		resp.Header.Del(name)
	}
	return nil
}

// bodiless says whether a response has no body by definition (RFC 9110, 6.4.1).
func bodiless(status int, method string) bool {
	return method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
}

// deliver streams the response: masked, counted, recorded, then given on.
func (x *exchange) deliver(ctx context.Context, resp *extproc.Response, outcome *gate.Outcome) {
	digest := sha256.New()
	if err := x.rules.headers(resp.Header, x.keep(ctx)); err != nil {
		outcome.Error = err.Error()
		x.refuse(ctx, x.Exchange, x.checkFailed(ctx, err))
		return
	}
	if x.decision.Record != gate.RecordMetadata {
		head := headerBytes("HTTP/1.1 "+strconv.Itoa(resp.Status)+" "+http.StatusText(resp.Status)+"\r\n", resp.Header)
		if err := x.payload(ctx, gate.ResponseStream, head); err != nil {
			outcome.Error = err.Error()
			x.refuse(ctx, x.Exchange, x.checkFailed(ctx, err))
			return
		}
	}
	body := resp.Body
	if x.rules.active() {
		// Where values are hidden by their paths a body is JSON, or there is none.
		masked := x.rules.pipe(body, !x.rules.bound && !isJSON(resp.Header), x.keep(ctx))
		defer masked.Close()
		body = masked
	}
	resp.Body = &tap{r: body, each: func(p []byte) error { return x.each(ctx, digest, p) }}
	err := x.Respond(ctx, resp)
	outcome.Masked, outcome.Detected = x.rules.counts(), x.rules.detected()
	x.metrics.note(outcome.Detected)
	outcome.Digest = hex.EncodeToString(digest.Sum(nil))
	x.live.Observe(x.rules.delivered(resp.Status))
	switch {
	case errors.Is(err, errTooMuch):
		outcome.Status, outcome.Error = "refused", err.Error()
	case err != nil:
		outcome.Error = err.Error()
	default:
		outcome.Status = "ok"
	}
}

// keep records what a mask replaced.
func (x *exchange) keep(ctx context.Context) func(original []byte) error {
	return func(original []byte) error {
		if x.decision.Record == gate.RecordMetadata {
			return nil
		}
		return x.payload(ctx, gate.OriginalStream, original)
	}
}

// errTooMuch reports a response past the policy's max_bytes.
var errTooMuch = errors.New("the response is larger than the policy allows (max_bytes)")

func (x *exchange) each(ctx context.Context, digest hash.Hash, p []byte) error {
	x.out += int64(len(p))
	if limit := x.decision.Limits.MaxBytes; limit > 0 && x.out > limit {
		return errTooMuch
	}
	_, _ = digest.Write(p) // a hash never fails
	if x.decision.Record == gate.RecordMetadata {
		return nil
	}
	return x.payload(ctx, gate.ResponseStream, p)
}

// tap shows every piece to each before it is read on.
type tap struct {
	r    io.Reader
	each func([]byte) error
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if n > 0 {
		if failed := t.each(p[:n]); failed != nil {
			return 0, failed
		}
	}
	return n, err
}
