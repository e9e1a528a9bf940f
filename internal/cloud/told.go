package cloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"golang.org/x/oauth2"
)

// maxTold bounds what is told of an error, in bytes.
const maxTold = 400

// long finds what may be a credential: a token endpoint's answer is somebody
// else's text, and may repeat what it was sent.
var long = regexp.MustCompile(`[A-Za-z0-9_\-+=~.%]{40,}`)

// told puts an error of an SDK into one short line that holds no credential. The
// error itself is not wrapped: it would print all of an answer.
func told(kind Kind, err error) error {
	text := err.Error()
	var entra *azidentity.AuthenticationFailedError
	var endpoint *oauth2.RetrieveError
	switch {
	case errors.As(err, &entra) && entra.RawResponse != nil:
		body, _ := runtime.Payload(entra.RawResponse) // what cannot be read is not told
		text = answer(entra.RawResponse.StatusCode, body)
	case errors.As(err, &endpoint) && endpoint.Response != nil:
		text = answer(endpoint.Response.StatusCode, endpoint.Body)
	}
	text = strings.Join(strings.Fields(text), " ")
	text = long.ReplaceAllString(text, "[hidden]")
	if len(text) > maxTold {
		text = strings.ToValidUTF8(text[:maxTold], "") + "…"
	}
	if kind != "" {
		text = fmt.Sprintf("%s: %s", kind, text)
	}
	return errors.New(text)
}

// answer is what a token endpoint said (RFC 6749 section 5.2).
func answer(status int, body []byte) string {
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	text := fmt.Sprintf("the token endpoint answered %d %s", status, http.StatusText(status))
	if json.Unmarshal(body, &said) == nil && said.Error != "" {
		text += fmt.Sprintf(": %s: %s", said.Error, said.Description)
	}
	return text
}
