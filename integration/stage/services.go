package stage

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/examples/customers-api/api"
	"github.com/weir-gateway/weir/examples/shop"
	"github.com/weir-gateway/weir/integration/pki"
	"github.com/weir-gateway/weir/integration/postgres"
)

// What only the gateway knows: agents never see either.
const (
	databasePassword = "known to the gateway only"
	apiKey           = "known-to-the-gateway-only"
)

// Credentials are what only the gateway knows, by the name of the secret.
func Credentials() map[string]string {
	return map[string]string{"shop": databasePassword, "customers-api": apiKey}
}

func (s *Stage) startPostgres(ctx context.Context, ca *pki.CA, edit func(*postgres.Options)) error {
	s.say("starting PostgreSQL with the shop (the first time it is created)")
	leaf, err := ca.Issue(pki.Request{})
	if err != nil {
		return err
	}
	options := postgres.Options{
		Dir: s.Path("postgres"), Bin: s.Parts.PostgresBin, TLS: &postgres.TLS{Cert: leaf.CertPEM, Key: leaf.KeyPEM},
		Databases: []string{"shop"},
		SQL:       []string{"CREATE ROLE " + databaseUser + " LOGIN PASSWORD '" + databasePassword + "'", "GRANT ALL ON SCHEMA public TO " + databaseUser},
		Load:      load,
	}
	if edit != nil {
		edit(&options)
	}
	s.Postgres, err = postgres.Start(ctx, options)
	return err
}

// load fills the shop as the gateway's user, who so owns its tables.
func load(ctx context.Context, server *postgres.Server) error {
	conn, err := pgx.Connect(ctx, server.DSNFor(databaseUser, databasePassword, "shop"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return shop.New(shop.Seed).Load(ctx, conn)
}

// startAPI serves the customers API over TLS on a free port.
func (s *Stage) startAPI(ctx context.Context, ca *pki.CA, wrap func(http.Handler) http.Handler) error {
	s.say("starting the customers API")
	leaf, err := ca.Issue(pki.Request{})
	if err != nil {
		return err
	}
	pair, err := leaf.TLS()
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	handler := api.New(shop.New(shop.Seed), apiKey, log).Handler()
	if wrap != nil {
		handler = wrap(handler)
	}
	s.api = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	s.Settings.API = "https://" + listener.Addr().String()
	secure := tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	go func() { _ = s.api.Serve(secure) }() // ends with Close
	return nil
}
