package postgres_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/integration/pki"
	"github.com/weir-gateway/weir/integration/postgres"
)

// The pinned psql speaks TLS in every way that the gateway will be asked for,
// and refuses a server it was not told to trust.
func TestPsqlOverTLS(t *testing.T) {
	psql := parts.Need(t, parts.Postgres, parts.Clients).Psql()
	trusted, other := authority(t), authority(t)
	leaf, err := trusted.Issue(pki.Request{})
	if err != nil {
		t.Fatal(err)
	}
	s := postgres.Test(t, postgres.Options{TLS: &postgres.TLS{Cert: leaf.CertPEM, Key: leaf.KeyPEM}})
	for _, test := range []struct {
		name, with string
		ca         *pki.CA
		ok         bool
	}{
		{"verify-full", "sslmode=verify-full", trusted, true},
		{"direct TLS", "sslmode=verify-full&sslnegotiation=direct", trusted, true},
		{"channel binding", "sslmode=verify-full&channel_binding=require", trusted, true},
		{"an authority not trusted", "sslmode=verify-full", other, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			root, err := test.ca.WriteFile(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			dsn := strings.Replace(s.DSN("postgres"), "sslmode=require", test.with+"&sslrootcert="+root, 1)
			out, err := exec.Command(psql, "-XAtc", "select ssl from pg_stat_ssl where pid = pg_backend_pid()", dsn).CombinedOutput()
			if got := err == nil && strings.TrimSpace(string(out)) == "t"; got != test.ok {
				t.Errorf("psql: %v: %s", err, out)
			}
		})
	}
}

func authority(t *testing.T) *pki.CA {
	t.Helper()
	ca, err := pki.New("test")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}
