package http

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/gate"
)

// The risks that a request can carry.
const (
	riskUnparsed   = "unparsed"    // its JSON, path or query has no single reading
	riskOpaqueBody = "opaque_body" // a body that is not JSON: policy cannot see it
	riskUpgrade    = "upgrade"     // leaves HTTP: what follows cannot be seen
)

// credentials never reach the target, the policy or the record.
var credentials = []string{"Authorization", "Cookie", "Proxy-Authorization"}

// overrides let a request become another one behind the gateway's back.
var overrides = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url"}

// errBodyTooLarge reports a JSON body past Config.MaxBody.
var errBodyTooLarge = errors.New("request body too large")

// bearer takes the token out of the Authorization header. There must be exactly
// one (RFC 6750, section 2.1).
func bearer(h http.Header) (string, bool) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	return token, ok && token != "" && strings.EqualFold(scheme, "Bearer")
}

// strip removes what the client must not say to the target.
func strip(h http.Header) {
	for _, name := range slices.Concat(credentials, overrides) {
		h.Del(name)
	}
	for name := range h {
		if strings.HasPrefix(strings.ToLower(name), "weir-") {
			h.Del(name)
		}
	}
}

// operation describes a request whose credentials were stripped. withBody reads
// a JSON body up to maxBody and puts it back.
func operation(r *extproc.Request, maxBody int64, withBody bool) (*gate.Operation, []byte, error) {
	rawPath, rawQuery, _ := strings.Cut(r.Path, "?")
	details := &gate.HTTP{Method: r.Method, Host: r.Authority, Path: rawPath, Query: map[string][]string{}, Headers: flatten(r.Header)}
	op := &gate.Operation{
		ID: gate.NewID(), Protocol: "http", Action: strings.ToLower(r.Method), Text: r.Method + " " + r.Path,
		Fingerprint: r.Method + " " + shape(rawPath), Risks: []string{}, HTTP: details,
	}
	if path, err := url.PathUnescape(rawPath); err == nil {
		details.Path = path
	} else {
		op.Risks = append(op.Risks, riskUnparsed)
	}
	if query, err := url.ParseQuery(rawQuery); err == nil {
		details.Query = query
	} else {
		op.Risks = append(op.Risks, riskUnparsed)
	}
	if r.Header.Get("Upgrade") != "" || r.Method == http.MethodConnect {
		op.Risks = append(op.Risks, riskUpgrade)
		return op, nil, nil
	}
	if !r.HasBody {
		return op, nil, nil
	}
	if !withBody || !isJSON(r.Header) {
		op.Risks = append(op.Risks, riskOpaqueBody)
		return op, nil, nil
	}
	raw, err := readBody(r.Body, maxBody)
	if err != nil {
		return nil, nil, err
	}
	r.Body = bytes.NewReader(raw)
	if body, ok := parseBody(r.Header, raw); ok {
		details.Body = body
	} else {
		op.Risks = append(op.Risks, riskUnparsed)
	}
	return op, raw, nil
}

func readBody(body io.Reader, limit int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(body, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(raw)) > limit:
		return nil, errBodyTooLarge
	}
	return raw, nil
}

// parseBody reads one JSON document. A name that stands twice in an object is
// not accepted: the target may take the other one.
func parseBody(h http.Header, raw []byte) (any, bool) {
	if h.Get("Content-Encoding") != "" && !strings.EqualFold(h.Get("Content-Encoding"), "identity") {
		return nil, false
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, true
	}
	if !jsontext.Value(raw).IsValid() {
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var body any
	if err := dec.Decode(&body); err != nil {
		return nil, false
	}
	return body, true
}

// isJSON says whether a content type is JSON (RFC 8259, or a +json suffix).
func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return false
	}
	switch media {
	case "application/json", "text/json", "application/x-ndjson", "application/jsonl":
		return true
	}
	return strings.HasSuffix(media, "+json")
}

// isText says whether a body is text that can be looked through: of a kind in which
// words stand as they are, in an encoding that has ASCII in it.
func isText(h http.Header) bool {
	media, parameters, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return false
	}
	switch strings.ToLower(parameters["charset"]) {
	case "", "utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252":
	default:
		return false
	}
	switch media {
	case "application/xml", "application/yaml", "application/sql", "application/javascript":
		return true
	}
	return strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "+xml") || strings.HasSuffix(media, "+yaml")
}

func flatten(h http.Header) map[string]string {
	out := make(map[string]string, len(h))
	for name, values := range h {
		out[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return out
}

var identifiers = regexp.MustCompile(`/(?:\d+|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9a-fA-F]{24,})(?:/|$)`)

// shape is a path with its identifiers left out, so that requests of one kind
// count as one.
func shape(path string) string {
	for {
		next := identifiers.ReplaceAllStringFunc(path, func(m string) string {
			if strings.HasSuffix(m, "/") {
				return "/{id}/"
			}
			return "/{id}"
		})
		if next == path {
			return path
		}
		path = next
	}
}
