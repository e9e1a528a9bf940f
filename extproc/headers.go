package extproc

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// head is the headers of a request or a response, the pseudo-headers apart.
type head struct {
	method, scheme, authority, path string
	status                          int
	header                          http.Header
}

func readHead(m *corev3.HeaderMap) *head {
	h := &head{header: make(http.Header, len(m.GetHeaders()))}
	for _, field := range m.GetHeaders() {
		value := headerValue(field)
		switch field.GetKey() {
		case ":method":
			h.method = value
		case ":scheme":
			h.scheme = value
		case ":authority":
			h.authority = value
		case ":path":
			h.path = value
		case ":status":
			h.status, _ = strconv.Atoi(value) // Envoy has checked it; 0 is no success
		default:
			if name := field.GetKey(); !strings.HasPrefix(name, ":") {
				name = textproto.CanonicalMIMEHeaderKey(name)
				h.header[name] = append(h.header[name], value)
			}
		}
	}
	return h
}

// headerValue is a header's value. Envoy uses raw_value, because a value need
// not be UTF-8.
func headerValue(f *corev3.HeaderValue) string {
	if raw := f.GetRawValue(); len(raw) > 0 {
		return string(raw)
	}
	return f.GetValue()
}

// setHeader sets a header to one value.
func setHeader(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, RawValue: []byte(value)},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

func appendHeader(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, RawValue: []byte(value)},
		AppendAction: corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD,
	}
}

// fixed says that a header is Envoy's to write: its mutation rules reject a
// change of it (x-envoy-*, host), or it follows from the body (content-length).
func fixed(name string) bool {
	return strings.HasPrefix(name, "X-Envoy-") || name == "Host" || name == "Content-Length" || name == "Transfer-Encoding"
}

// change collects how a handler changed headers.
type change struct {
	set    []*corev3.HeaderValueOption
	remove []string
}

// headers adds the differences between two sets of headers. Headers that only
// Envoy may write stay as they are.
func (c *change) headers(before, after http.Header) error {
	kept := make(map[string]bool, len(after))
	for name, values := range after {
		name = textproto.CanonicalMIMEHeaderKey(name)
		kept[name] = kept[name] || len(values) > 0
		if fixed(name) || slices.Equal(before[name], values) {
			continue
		}
		if err := c.values(name, values); err != nil {
			return err
		}
	}
	for name := range before {
		if !kept[name] && !fixed(name) {
			c.remove = append(c.remove, strings.ToLower(name))
		}
	}
	slices.Sort(c.remove)
	slices.SortStableFunc(c.set, func(a, b *corev3.HeaderValueOption) int {
		return strings.Compare(a.GetHeader().GetKey(), b.GetHeader().GetKey())
	})
	return nil
}

func (c *change) values(name string, values []string) error {
	lower := strings.ToLower(name)
	for i, v := range values {
		if strings.ContainsAny(v, "\r\n\x00") || strings.ContainsAny(lower, "\r\n\x00: ") || lower == "" {
			return fmt.Errorf("%w: header %q", ErrNotMutable, name)
		}
		option := setHeader
		if i > 0 {
			option = appendHeader
		}
		c.set = append(c.set, option(lower, v))
	}
	return nil
}

// pseudo sets a pseudo-header that was changed.
func (c *change) pseudo(name, before, after string) {
	if before != after {
		c.set = append(c.set, setHeader(name, after))
	}
}

// request describes how a handler changed a request. Its path may change; its
// method, scheme and authority may not: Envoy chose the route by them.
func (c *change) request(before *head, r *Request, bodyChanged bool) error {
	switch {
	case r.Method != before.method:
		return fmt.Errorf("%w: the method of a request", ErrNotMutable)
	case r.Scheme != before.scheme:
		return fmt.Errorf("%w: the scheme of a request", ErrNotMutable)
	case r.Authority != before.authority:
		return fmt.Errorf("%w: the authority of a request", ErrNotMutable)
	case strings.ContainsAny(r.Path, "\r\n\x00 "):
		return fmt.Errorf("%w: the path to one with a space or a line break", ErrNotMutable)
	}
	if err := c.headers(before.header, r.Header); err != nil {
		return err
	}
	c.pseudo(":path", before.path, r.Path)
	c.length(before.header, bodyChanged)
	return nil
}

// response describes how a handler changed a response.
func (c *change) response(before *head, r *Response, bodyChanged bool) error {
	if r.Status < 200 && r.Status != before.status || r.Status > 599 {
		return fmt.Errorf("%w: the status of a response to %d", ErrNotMutable, r.Status)
	}
	if err := c.headers(before.header, r.Header); err != nil {
		return err
	}
	c.pseudo(":status", strconv.Itoa(before.status), strconv.Itoa(r.Status))
	c.length(before.header, bodyChanged)
	return nil
}

// length drops the length of a body that is another one now. Envoy drops it in
// any case unless the filter says allow_content_length_header.
func (c *change) length(before http.Header, bodyChanged bool) {
	if bodyChanged && before.Get("Content-Length") != "" {
		c.remove = append(c.remove, "content-length")
	}
}

// mutation is the change as ext_proc takes it, nil if there is none.
func (c *change) mutation() *extprocv3.HeaderMutation {
	if len(c.set) == 0 && len(c.remove) == 0 {
		return nil
	}
	return &extprocv3.HeaderMutation{SetHeaders: c.set, RemoveHeaders: c.remove}
}
