package cloud

import (
	"context"
	"net/http"
	"os"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

// loginScope is all that a token is for (Cloud SQL, "IAM authentication").
const loginScope = "https://www.googleapis.com/auth/sqlservice.login"

// gcp gets tokens by Application Default Credentials: a file that the environment
// names, of a service account or of workload identity federation, else the
// machine's metadata server.
type gcp struct {
	ctx context.Context // carries the client

	mu     sync.Mutex
	tokens oauth2.TokenSource // nil until the credentials were found
}

func newGCP(cfg *Config) (*gcp, error) {
	client := cfg.Client
	if client == nil {
		client = &http.Client{Timeout: fetchWithin}
	}
	g := &gcp{ctx: context.WithValue(context.Background(), oauth2.HTTPClient, client)}
	if os.Getenv("GOOGLE_APPLICATION_CREDENTIALS") == "" {
		return g, nil // to look for a metadata server takes the network
	}
	_, err := g.source()
	return g, err
}

func (g *gcp) source() (oauth2.TokenSource, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tokens == nil {
		found, err := google.FindDefaultCredentials(g.ctx, loginScope)
		if err != nil {
			return nil, err
		}
		g.tokens = found.TokenSource
	}
	return g.tokens, nil
}

// fetch does not end with ctx: the client has a limit of its own, and so have the
// tries at the metadata server.
func (g *gcp) fetch(context.Context) (token, error) {
	source, err := g.source()
	if err != nil {
		return token{}, err
	}
	got, err := source.Token()
	if err != nil {
		return token{}, err
	}
	return token{text: got.AccessToken, expires: got.Expiry}, nil
}
