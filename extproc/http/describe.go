package http

import (
	"net/http"
	"strings"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/gate"
)

// Describe says what a request with a JSON body (or none) is, as policy would be
// told.
func Describe(method, path, body string) (*gate.Operation, error) {
	r := &extproc.Request{Method: method, Path: path, Header: http.Header{}, Body: strings.NewReader(body), HasBody: body != ""}
	if r.HasBody {
		r.Header.Set("Content-Type", "application/json")
	}
	op, _, err := operation(r, DefaultMaxBody, true)
	return op, err
}
