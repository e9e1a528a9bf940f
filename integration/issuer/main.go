package issuer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"
)

// file is the issuer's configuration file.
type file struct {
	Listen      string        `yaml:"listen"`
	Host        string        `yaml:"host"`
	Certificate string        `yaml:"certificate"` // PEM; with key: serves https
	Key         string        `yaml:"key"`
	Audience    []string      `yaml:"audience"`
	Lifetime    time.Duration `yaml:"lifetime"`
	Clients     []Client      `yaml:"clients"`
	Users       []User        `yaml:"users"`
}

// Main is the command: it reads the file named by -c, prints the issuer's URL
// once it answers, and runs until ctx ends.
func Main(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("issuer", flag.ContinueOnError)
	path := flags.String("c", "issuer.yaml", "configuration file")
	listen := flags.String("listen", "", "address, instead of the file's")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg, err := Load(*path)
	if err != nil {
		return err
	}
	if *listen != "" {
		cfg.Listen = *listen
	}
	i, err := Start(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, i.URL)
	<-i.Done()
	return nil
}

// Load reads a configuration file; paths in it are relative to it.
func Load(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("issuer: %w", err)
	}
	defer f.Close()
	var c file
	dec := yaml.NewDecoder(f)
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("issuer: %s: %w", path, err)
	}
	at := func(name string) string {
		if name == "" || filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(filepath.Dir(path), name)
	}
	cfg := Config{Listen: c.Listen, Host: c.Host, Audience: c.Audience, Lifetime: c.Lifetime, Clients: c.Clients, Users: c.Users}
	for i := range cfg.Clients {
		if name := cfg.Clients[i].KeyFile; name != "" {
			if cfg.Clients[i].Key, err = publicPEM(at(name)); err != nil {
				return Config{}, err
			}
		}
	}
	if c.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(at(c.Certificate), at(c.Key))
		if err != nil {
			return Config{}, fmt.Errorf("issuer: %w", err)
		}
		cfg.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	return cfg, nil
}

// publicPEM reads a public key (PKIX) from a PEM file.
func publicPEM(path string) (any, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errors.New("issuer: " + path + " holds no PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("issuer: %s: %w", path, err)
	}
	return key, nil
}
