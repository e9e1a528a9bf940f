package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/cloud"
)

// A token of AWS, which is a signed URL, is the password of a real server, as RDS
// asks for it: in clear, over TLS.
func TestSignInWithATokenOfAWS(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "a-secret-key")
	t.Setenv("AWS_SESSION_TOKEN", strings.Repeat("session", 150)) // as long as STS gives them
	ca, secure := serverTLS(t)
	w, server := realWorld(t, pgserver.Options{TLS: secure, HBA: []string{
		"hostssl all weir_rds 127.0.0.1/32 password", "host all all 127.0.0.1/32 scram-sha-256",
	}, SQL: []string{"CREATE ROLE weir_rds LOGIN"}})
	w.deps.Catalog = func(string) (Catalog, error) { return fixedCatalog{nothing{}}, nil }
	tokens, err := cloud.New(t.Context(), cloud.Config{Kind: cloud.AWSRDS, Address: server.Addr(), User: "weir_rds", Region: "eu-central-1"}, w.deps.Log)
	if err != nil {
		t.Fatal(err)
	}
	token, err := tokens.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Exec(t.Context(), "shop", "ALTER ROLE weir_rds PASSWORD '"+token+"'"); err != nil {
		t.Fatal(err)
	}
	as := func(u *Upstream) {
		u.User, u.TLS, u.CA, u.ServerName, u.Verified = "weir_rds", TLSVerifyFull, ca.Pool(), "db.internal", true
	}
	w.deps.Password = tokens.Token
	if err := w.tries(t, server.Addr(), as); err != nil {
		t.Error(err)
	}
	w.deps.Password = func(context.Context) (string, error) { return "", errors.New("the cloud is down") }
	err = w.tries(t, server.Addr(), as)
	if err == nil || !strings.Contains(err.Error(), "08006") || !strings.Contains(err.Error(), "could not sign in to target orders") || strings.Contains(err.Error(), "cloud") {
		t.Errorf("the client is told %v", err)
	}
	if log := w.logged(); !strings.Contains(log, "the target's password: the cloud is down") || strings.Contains(log, "a-secret-key") || strings.Contains(log, "X-Amz-Signature") {
		t.Error(log)
	}
}
