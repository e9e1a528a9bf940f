// Command customers-api serves the example's HTTP API.
//
//	CUSTOMERS_API_KEY=... go run ./examples/customers-api -listen 127.0.0.1:9000
//
// It prints its base URL on stdout when it accepts connections.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/weir-gateway/weir/examples/customers-api/api"
	"github.com/weir-gateway/weir/examples/shop"
)

// keyVariable holds the key that clients must send; an argument would show in
// the list of processes.
const keyVariable = "CUSTOMERS_API_KEY"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "customers-api:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("customers-api", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address to listen on")
	cert := flags.String("tls-cert", "", "certificate file (PEM); without it plain HTTP is served")
	key := flags.String("tls-key", "", "key file (PEM)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	secret := os.Getenv(keyVariable)
	if secret == "" {
		return errors.New(keyVariable + " is not set: choose the key that clients must send")
	}
	listener, url, err := open(ctx, *listen, *cert, *key)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	server := &http.Server{Handler: api.New(shop.New(shop.Seed), secret, log).Handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if _, err := fmt.Fprintln(out, url); err != nil {
		return err
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}

func open(ctx context.Context, address, cert, key string) (net.Listener, string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, "", err
	}
	if cert == "" && key == "" {
		return listener, "http://" + listener.Addr().String(), nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, "", errors.Join(err, listener.Close())
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	return tls.NewListener(listener, config), "https://" + listener.Addr().String(), nil
}
