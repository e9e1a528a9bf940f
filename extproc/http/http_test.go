package http

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/detect"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/mask"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire is an exchange whose target answers as the test says.
type wire struct {
	peer     extproc.Peer
	req      *extproc.Request
	resp     *extproc.Response
	down     error
	sent     *extproc.Request // what reached the target
	sentBody string
	got      *extproc.Response // what reached the client
	gotBody  string
	gotErr   error
	refused  *extproc.Refusal
}

func (w *wire) Target() string            { return "billing" }
func (w *wire) Peer() extproc.Peer        { return w.peer }
func (w *wire) Request() *extproc.Request { return w.req }

func (w *wire) Forward(_ context.Context, r *extproc.Request) (*extproc.Response, error) {
	if w.down != nil {
		return nil, w.down
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	w.sent, w.sentBody = r, string(body)
	return w.resp, nil
}

func (w *wire) Respond(_ context.Context, r *extproc.Response) error {
	body, err := io.ReadAll(r.Body)
	w.got, w.gotBody, w.gotErr = r, string(body), err
	return err
}

func (w *wire) Refuse(status int, h http.Header, body []byte) error {
	w.refused = &extproc.Refusal{Status: status, Header: h, Body: body}
	return nil
}

func request(method, path, body string) *extproc.Request {
	r := &extproc.Request{Method: method, Scheme: "https", Authority: "billing", Path: path, HasBody: body != "", Body: strings.NewReader(body), Header: http.Header{}}
	r.Header.Set("Authorization", "Bearer good")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func response(status int, contentType, body string) *extproc.Response {
	return &extproc.Response{Status: status, Header: http.Header{"Content-Type": {contentType}}, Body: strings.NewReader(body)}
}

type people struct{}

func (people) Authenticate(_ context.Context, token string) (gate.Principal, error) {
	if token != "good" {
		return gate.Principal{}, errors.New("signature: crypto/rsa: verification error")
	}
	return gate.Principal{Subject: "agent-1", Kind: gate.Agent, Token: gate.Token{Hash: "h", Expires: time.Now().Add(time.Hour)}}, nil
}

type keys struct{ err error }

func (k keys) Expand(_ context.Context, template string) (string, error) {
	return strings.ReplaceAll(template, "{{secret:billing}}", "s3cr3t"), k.err
}

type paths []ClassPath

func (p paths) Paths() ([]ClassPath, error) { return p, nil }

func (p paths) Detectors() []detect.Asked {
	return []detect.Asked{{Detector: detect.Email, Classes: []string{"pii.email"}}, {Detector: detect.CreditCard, Classes: []string{"pci.pan"}}}
}

// rulebook decides every operation alike, and keeps what it was shown.
type rulebook struct {
	mu      sync.Mutex
	connect gate.Decision
	operate gate.Decision
	seen    []gate.Operation
}

func (b *rulebook) Decide(_ context.Context, in *gate.Input) (gate.Decision, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if in.Phase == gate.Connect {
		return b.connect, nil
	}
	b.seen = append(b.seen, *in.Operation)
	return b.operate, nil
}

func (b *rulebook) Request(context.Context, *gate.Approval) error {
	return errors.New("no approvals here")
}
func (b *rulebook) Wait(context.Context, string) (*gate.Approval, error) {
	return nil, errors.New("no approvals here")
}

type ledger struct {
	mu     sync.Mutex
	events []*gate.Event
	bytes  map[gate.Stream]string
	dead   error
}

func (l *ledger) Record(_ context.Context, e *gate.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	return l.dead
}
func (l *ledger) Begin(ctx context.Context, e *gate.Event) (gate.Receipt, error) {
	return func(context.Context) error { return nil }, l.Record(ctx, e)
}
func (l *ledger) Handoff(ctx context.Context, e *gate.Event) error { return l.Record(ctx, e) }
func (l *ledger) Payload(_ context.Context, p *gate.Payload) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes[p.Stream] += string(p.Data)
	return l.dead
}

func (l *ledger) outcome(t *testing.T) gate.Outcome {
	t.Helper()
	for _, e := range l.events {
		if o, ok := e.Body.(gate.Outcome); ok {
			return o
		}
	}
	t.Fatal("no outcome was recorded")
	return gate.Outcome{}
}

type fixture struct {
	*Handler
	book   *rulebook
	ledger *ledger
}

var allow = gate.Decision{Effect: gate.Allow}

func newFixture(t *testing.T, operate gate.Decision) *fixture {
	t.Helper()
	f := &fixture{book: &rulebook{connect: allow, operate: operate}, ledger: &ledger{bytes: map[gate.Stream]string{}}}
	log := slog.New(slog.DiscardHandler)
	g, err := gate.New(f.book, f.book, f.ledger, log)
	if err != nil {
		t.Fatal(err)
	}
	masker, err := mask.New(mask.Keys{HMAC: []byte("0123456789abcdef0123456789abcdef")})
	if err != nil {
		t.Fatal(err)
	}
	card, err := mask.ParsePath("$.customers[*].card")
	if err != nil {
		t.Fatal(err)
	}
	f.Handler, err = New(Config{
		Target: gate.Target{Name: "billing", Kind: "http"}, Inject: map[string]string{"Authorization": "Bearer {{secret:billing}}"}, MaxBody: 200,
	}, Deps{Identity: people{}, Secrets: keys{}, Classes: paths{{Path: card, Classes: []string{"pci.pan"}}}, Gate: g, Masker: masker, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) serve(t *testing.T, w *wire) *wire {
	t.Helper()
	if w.peer.Address == "" {
		w.peer = extproc.Peer{Address: "127.0.0.1:5000"}
	}
	f.ServeExchange(t.Context(), w)
	return w
}

func (w *wire) problem(t *testing.T) problem {
	t.Helper()
	if w.refused == nil {
		t.Fatal("the request was not refused")
	}
	if w.sent != nil && w.got != nil {
		t.Error("it was refused and delivered")
	}
	var p problem
	if err := json.Unmarshal(w.refused.Body, &p); err != nil {
		t.Fatal(err)
	}
	if got := w.refused.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q", got)
	}
	return p
}

func TestTheClientsCredentialsStayHere(t *testing.T) {
	f := newFixture(t, allow)
	r := request("GET", "/customers?city=Oslo", "")
	r.Header.Set("Cookie", "session=mine")
	r.Header.Set("X-Http-Method-Override", "DELETE")
	r.Header.Set("Weir-Target", "other")
	resp := response(200, "application/json", `{"ok":true}`)
	resp.Header.Set("Set-Cookie", "upstream=1")
	w := f.serve(t, &wire{req: r, resp: resp})
	if w.sent == nil {
		t.Fatalf("refused: %s", w.refused.Body)
	}
	if got := w.sent.Header; got.Get("Authorization") != "Bearer s3cr3t" || len(got) != 1 {
		t.Errorf("the target was sent %v", got)
	}
	if w.got.Header.Get("Set-Cookie") != "" {
		t.Error("the target's cookie reached the client")
	}
	op := f.book.seen[0]
	if op.Text != "GET /customers?city=Oslo" || op.Query["city"][0] != "Oslo" || op.Path != "/customers" {
		t.Errorf("policy was shown %+v %+v", op, op.HTTP)
	}
	for _, kept := range []string{f.ledger.bytes[gate.RequestStream], f.ledger.bytes[gate.ResponseStream]} {
		if strings.Contains(kept, "good") || strings.Contains(kept, "s3cr3t") || strings.Contains(kept, "mine") {
			t.Errorf("a credential was recorded: %s", kept)
		}
	}
}

func TestSignIn(t *testing.T) {
	for _, tc := range []struct {
		name   string
		header []string
		peer   extproc.Peer
		detail string
	}{
		{"no token", nil, extproc.Peer{}, "needs a bearer token"},
		{"wrong scheme", []string{"Basic Zm9v"}, extproc.Peer{}, "needs a bearer token"},
		{"two tokens", []string{"Bearer good", "Bearer other"}, extproc.Peer{}, "needs a bearer token"},
		{"a stranger's", []string{"Bearer forged"}, extproc.Peer{}, "the token was not accepted"},
		{"in clear over the network", []string{"Bearer good"}, extproc.Peer{Address: "192.0.2.1:99"}, "over TLS only"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t, allow)
			r := request("GET", "/", "")
			r.Header["Authorization"] = tc.header
			w := f.serve(t, &wire{req: r, peer: tc.peer})
			if p := w.problem(t); p.Status != 401 || !strings.Contains(p.Detail, tc.detail) || strings.Contains(p.Detail, "rsa") {
				t.Errorf("got %+v", p)
			}
			if w.refused.Header.Get("Www-Authenticate") == "" {
				t.Error("no WWW-Authenticate")
			}
			if f.ledger.events[0].Kind != gate.SessionRefused || w.sent != nil {
				t.Error("not recorded, or forwarded")
			}
		})
	}
}

func TestRefusalsReachNobody(t *testing.T) {
	denied := gate.Denied("no_refunds", "refunds are not for agents", "Ask a person.")
	for _, tc := range []struct {
		name   string
		decide gate.Decision
		req    *extproc.Request
		breaks func(*fixture)
		status int
		rule   string
	}{
		{"by a rule", denied, request("POST", "/refunds", `{"amount":1}`), nil, 403, "no_refunds"},
		{"by default", gate.Decision{}, request("GET", "/", ""), nil, 403, "default_deny"},
		{"too large for policy", allow, request("POST", "/", `"`+strings.Repeat("x", 300)+`"`), nil, 413, "body_too_large"},
		{"no evidence", allow, request("GET", "/", ""), func(f *fixture) { f.ledger.dead = errors.New("disk full") }, 503, "evidence_unavailable"},
		{"no credential", allow, request("GET", "/", ""), func(f *fixture) { f.deps.Secrets = keys{err: errors.New("gone")} }, 503, "credential_unavailable"},
		{"no approvals", gate.Decision{Effect: gate.Hold}, request("GET", "/", ""), nil, 503, "undecided"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t, tc.decide)
			if tc.breaks != nil {
				tc.breaks(f)
			}
			w := f.serve(t, &wire{req: tc.req})
			if p := w.problem(t); p.Status != tc.status || p.Rule != tc.rule {
				t.Errorf("got %+v", p)
			}
			if w.sent != nil {
				t.Error("it was forwarded")
			}
		})
	}
}

func TestPolicySeesTheBody(t *testing.T) {
	for _, tc := range []struct {
		name, body, contentType, encoding string
		risk                              string
		forwarded                         string
	}{
		{"json", `{"amount":12345678901234567890}`, "application/json", "", "", `{"amount":12345678901234567890}`},
		{"json with a suffix", `{"a":1}`, "application/merge-patch+json; charset=utf-8", "", "", `{"a":1}`},
		{"a name twice", `{"amount":1,"amount":99}`, "application/json", "", riskUnparsed, `{"amount":1,"amount":99}`},
		{"broken", `{"amount":`, "application/json", "", riskUnparsed, `{"amount":`},
		{"two documents", `{"a":1}{"a":2}`, "application/json", "", riskUnparsed, `{"a":1}{"a":2}`},
		{"compressed", "\x1f\x8b", "application/json", "gzip", riskUnparsed, "\x1f\x8b"},
		{"a form", "a=1", "application/x-www-form-urlencoded", "", riskOpaqueBody, "a=1"},
		{"of no type", "a=1", "", "", riskOpaqueBody, "a=1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t, allow)
			r := request("POST", "/refunds", tc.body)
			r.Header.Set("Content-Type", tc.contentType)
			if tc.encoding != "" {
				r.Header.Set("Content-Encoding", tc.encoding)
			}
			w := f.serve(t, &wire{req: r, resp: response(204, "", "")})
			op := f.book.seen[0]
			if tc.risk == "" && (op.Body == nil || len(op.Risks) > 0) || tc.risk != "" && (len(op.Risks) != 1 || op.Risks[0] != tc.risk || op.Body != nil) {
				t.Errorf("body %v, risks %v", op.Body, op.Risks)
			}
			if w.sentBody != tc.forwarded {
				t.Errorf("forwarded %q", w.sentBody)
			}
			if !strings.HasSuffix(f.ledger.bytes[gate.RequestStream], tc.forwarded) {
				t.Errorf("recorded %q", f.ledger.bytes[gate.RequestStream])
			}
		})
	}
}

var maskCards = gate.Decision{Effect: gate.Allow, Mask: []gate.Mask{{Class: "pci.pan", MaskSpec: gate.MaskSpec{With: "partial", KeepLast: 4}}}}

func TestMaskedJSON(t *testing.T) {
	f := newFixture(t, maskCards)
	r := request("GET", "/customers", "")
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("Range", "bytes=0-10")
	resp := response(200, "application/json", `{"customers":[{"card":"4111111111111111"},{"card":"5500000000000004"}]}`)
	resp.Header.Set("Content-Length", "71")
	w := f.serve(t, &wire{req: r, resp: resp})
	want := `{"customers":[{"card":"************1111"},{"card":"************0004"}]}`
	if got := strings.TrimSpace(w.gotBody); got != want {
		t.Errorf("got %s", got)
	}
	if w.got.Header.Get("Content-Length") != "" || w.sent.Header.Get("Range") != "" || w.sent.Header.Get("Accept-Encoding") != "identity" {
		t.Errorf("headers: to target %v, to client %v", w.sent.Header, w.got.Header)
	}
	if o := f.ledger.outcome(t); o.Status != "ok" || o.Masked["pci.pan"] != 2 || o.Bytes != int64(len(w.gotBody)) || o.Digest == "" {
		t.Errorf("outcome %+v", o)
	}
	if got := f.ledger.bytes[gate.ResponseStream]; strings.Contains(got, "41111111") || !strings.Contains(got, want) {
		t.Errorf("recorded as delivered: %s", got)
	}
	if got := f.ledger.bytes[gate.OriginalStream]; !strings.Contains(got, `pci.pan "4111111111111111"`) {
		t.Errorf("originals: %s", got)
	}
}

// findMail hides mailboxes, of which the classification names no path.
var findMail = gate.Decision{Effect: gate.Allow, Mask: []gate.Mask{{Class: "pii.email", MaskSpec: gate.MaskSpec{With: "redact"}}}}

func TestPassages(t *testing.T) {
	long := strings.Repeat("a line\n", 10_000)
	for name, test := range map[string]struct {
		media, body, want string
		decision          gate.Decision
	}{
		"json": {"application/json", `{"a":["x bob@example.com"],"bob@example.com":1,"n":1.0}`, `{"a":["x [redacted]"],"[redacted]":1,"n":1.0}`, findMail},
		"json with paths": {"application/json", `{"customers":[{"card":"4111111111111111"}],"note":"4111 1111 1111 1111"}`,
			`{"customers":[{"card":"************1111"}],"note":"**** **** **** 1111"}`, maskCards},
		"text":            {"text/plain; charset=utf-8", "write to bob@example.com", "write to [redacted]", findMail},
		"a long text":     {"text/html", long + "bob@example.com " + long, long + "[redacted] " + long, findMail},
		"an event stream": {"text/event-stream", "data: bob@example.com\n\n", "data: [redacted]\n\n", findMail},
		"xml":             {"application/atom+xml", "<a>bob@example.com</a>", "<a>[redacted]</a>", findMail},
		"nothing":         {"text/plain", "nothing", "nothing", findMail},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, test.decision)
			resp := response(200, test.media, test.body)
			resp.Header.Set("X-Owner", "bob@example.com")
			w := f.serve(t, &wire{req: request("GET", "/customers", ""), resp: resp})
			if got := strings.TrimSuffix(w.gotBody, "\n"); got != strings.TrimSuffix(test.want, "\n") {
				t.Errorf("got %.200s", got)
			}
			owner := 0
			if len(test.decision.Mask) == 1 && test.decision.Mask[0].Class == "pii.email" {
				owner = 1
			}
			if got := w.got.Header.Get("X-Owner"); (got == "[redacted]") != (owner == 1) {
				t.Errorf("header %q", got)
			}
			o := f.ledger.outcome(t)
			if want := strings.Count(test.body, "bob@"); owner == 1 && (o.Detected["email"] != want+1 || o.Masked["pii.email"] != want+1) {
				t.Errorf("outcome %+v", o)
			}
			if strings.Contains(f.ledger.bytes[gate.ResponseStream], "bob@") && owner == 1 || owner == 1 && !strings.Contains(f.ledger.bytes[gate.OriginalStream], "bob@example.com") {
				t.Errorf("recorded %q, originals %q", f.ledger.bytes[gate.ResponseStream], f.ledger.bytes[gate.OriginalStream])
			}
		})
	}
	for media, body := range map[string]string{"text/plain; charset=utf-16": "b\x00o\x00b", "image/png": "PNG", "": "x", "application/octet-stream": "bob@example.com"} {
		f := newFixture(t, findMail)
		w := f.serve(t, &wire{req: request("GET", "/x", ""), resp: response(200, media, body)})
		if p := w.problem(t); p.Rule != "unmaskable_response" {
			t.Errorf("%s: %+v", media, p)
		}
	}
}

// What cannot be masked is not delivered.
func TestUnmaskableResponses(t *testing.T) {
	const card = "4111111111111111"
	gzip := response(200, "application/json", card)
	gzip.Header.Set("Content-Encoding", "gzip")
	for name, resp := range map[string]*extproc.Response{
		"plain text": response(200, "text/plain", card), "no type": response(200, "", card), "an event stream": response(200, "text/event-stream", "data: "+card),
		"a part": response(206, "application/json", card), "compressed": gzip, "an upgrade": response(101, "", card),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, maskCards)
			w := f.serve(t, &wire{req: request("GET", "/customers", ""), resp: resp})
			if p := w.problem(t); p.Status != 502 || p.Rule != "unmaskable_response" {
				t.Errorf("got %+v", p)
			}
			if w.got != nil || strings.Contains(f.ledger.bytes[gate.ResponseStream], card) {
				t.Error("it was delivered")
			}
		})
	}
	t.Run("json that breaks off", func(t *testing.T) {
		f := newFixture(t, maskCards)
		w := f.serve(t, &wire{req: request("GET", "/customers", ""), resp: response(200, "application/json", `{"customers":[{"card":"`+card)})
		if w.gotErr == nil || strings.Contains(w.gotBody, card) {
			t.Errorf("got %q, %v", w.gotBody, w.gotErr)
		}
		if o := f.ledger.outcome(t); o.Status != "aborted" {
			t.Errorf("outcome %+v", o)
		}
	})
}

func TestBodilessResponsesPass(t *testing.T) {
	for _, status := range []int{204, 304} {
		f := newFixture(t, maskCards)
		if w := f.serve(t, &wire{req: request("GET", "/", ""), resp: response(status, "", "")}); w.got == nil {
			t.Errorf("%d was refused", status)
		}
	}
}

func TestLimitCutsTheResponse(t *testing.T) {
	limited := allow
	limited.Limits.MaxBytes = 10
	f := newFixture(t, limited)
	w := f.serve(t, &wire{req: request("GET", "/", ""), resp: response(200, "text/plain", strings.Repeat("x", 100))})
	if !errors.Is(w.gotErr, errTooMuch) || w.gotBody != "" {
		t.Errorf("delivered %q, %v", w.gotBody, w.gotErr)
	}
}

func TestTargetDown(t *testing.T) {
	f := newFixture(t, allow)
	w := f.serve(t, &wire{req: request("GET", "/", ""), down: errors.New("connection refused")})
	if p := w.problem(t); p.Status != 502 || p.Rule != "target_unreachable" {
		t.Errorf("got %+v", p)
	}
}

func TestOneSessionForManyRequests(t *testing.T) {
	f := newFixture(t, allow)
	for range 3 {
		f.serve(t, &wire{req: request("GET", "/", ""), resp: response(200, "text/plain", "hi")})
	}
	f.Close(t.Context(), "stopping")
	count := map[gate.EventKind]int{}
	for _, e := range f.ledger.events {
		count[e.Kind]++
	}
	if count[gate.SessionOpened] != 1 || count[gate.OperationRequested] != 3 || count[gate.SessionClosed] != 1 {
		t.Errorf("recorded %v", count)
	}
}

func TestSessionsEnd(t *testing.T) {
	f := newFixture(t, allow)
	now := time.Now()
	f.sessions.now = func() time.Time { return now }
	f.serve(t, &wire{req: request("GET", "/", ""), resp: response(200, "", "")})
	now = now.Add(sessionIdle + time.Second)
	f.serve(t, &wire{req: request("GET", "/", ""), resp: response(200, "", ""), peer: extproc.Peer{Address: "[::1]:1"}})
	if len(f.sessions.open) != 1 {
		t.Errorf("%d sessions are open", len(f.sessions.open))
	}
}

func TestARefusedSessionIsAskedAgain(t *testing.T) {
	f := newFixture(t, allow)
	f.book.connect = gate.Denied("closed", "not today", "")
	if p := f.serve(t, &wire{req: request("GET", "/", "")}).problem(t); p.Rule != "closed" {
		t.Errorf("got %+v", p)
	}
	f.book.connect = allow
	if w := f.serve(t, &wire{req: request("GET", "/", ""), resp: response(200, "", "")}); w.got == nil {
		t.Error("still refused")
	}
}

func TestHeadersOnly(t *testing.T) {
	for _, tc := range []struct {
		name   string
		decide gate.Decision
		status int
	}{
		{"allowed", allow, 0}, {"denied", gate.Denied("x", "no", ""), 403}, {"needs a mask", maskCards, 403}, {"by default", gate.Decision{}, 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t, tc.decide)
			r, refused := f.CheckHeaders(t.Context(), "billing", extproc.Peer{Address: "127.0.0.1:1"}, request("GET", "/", ""))
			if tc.status == 0 && (refused != nil || r.Header.Get("Authorization") != "Bearer s3cr3t") || tc.status != 0 && (refused == nil || refused.Status != tc.status) {
				t.Errorf("request %v, refusal %v", r, refused)
			}
		})
	}
}

func TestShape(t *testing.T) {
	for in, want := range map[string]string{
		"/customers/42": "/customers/{id}", "/a/1/2/3/b": "/a/{id}/{id}/{id}/b", "/v1/x": "/v1/x", "/": "/",
		"/o/6f9619ff-8b86-4011-b42d-00cf4fc964ff/x": "/o/{id}/x",
	} {
		if got := shape(in); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

func FuzzOperation(f *testing.F) {
	f.Add("GET", "/a?b=c", "application/json", []byte(`{"a":1}`))
	f.Add("POST", "/%zz?%zz;", "application/json", []byte(`{`))
	f.Fuzz(func(t *testing.T, method, path, contentType string, body []byte) {
		r := &extproc.Request{Method: method, Path: path, Header: http.Header{"Content-Type": {contentType}}, HasBody: true, Body: strings.NewReader(string(body))}
		op, raw, err := operation(r, 1000, true)
		if err != nil {
			return
		}
		if op.Body != nil && string(raw) != string(body) {
			t.Error("what was judged is not what goes on")
		}
		if isJSON(r.Header) && !json.Valid(body) && len(strings.TrimSpace(string(body))) > 0 && len(op.Risks) == 0 {
			t.Errorf("%q is no JSON, and no risk was said", body)
		}
	})
}
