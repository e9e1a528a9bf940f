package envoy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// poll is how often Envoy is asked for what it does not tell by itself.
const poll = 25 * time.Millisecond

// Ready waits until Envoy is up: it has its first configuration, and its workers
// take connections. When ctx ends first, the error says what was amiss.
func (s *Supervisor) Ready(ctx context.Context) error {
	t := time.NewTicker(poll)
	defer t.Stop()
	for {
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if last := s.Status().LastExit; last != "" {
				err = errors.New(last)
			}
			return fmt.Errorf("envoy is not ready: %w", err)
		case <-t.C:
		}
	}
}

func (s *Supervisor) ready(ctx context.Context) error {
	if !s.Status().Running {
		return errors.New("it is not running")
	}
	if _, err := s.admin(ctx, http.MethodGet, "/ready"); err != nil {
		return err
	}
	started, err := s.admin(ctx, http.MethodGet, "/stats?filter=^listener_manager.workers_started$")
	if err != nil {
		return err
	}
	if !bytes.Contains(started, []byte(": 1")) {
		return errors.New("its workers have not started")
	}
	return nil
}

// Drain has Envoy take no more connections; those it has go on.
func (s *Supervisor) Drain(ctx context.Context) error {
	_, err := s.admin(ctx, http.MethodPost, "/drain_listeners")
	return err
}

// drain has Envoy take no more connections and waits for those it has, as long
// as ctx lasts.
func (s *Supervisor) drain(ctx context.Context, c *child) {
	if err := s.Drain(ctx); err != nil {
		return // not up yet, or down already
	}
	t := time.NewTicker(poll)
	defer t.Stop()
	for s.busy(ctx) {
		select {
		case <-c.ended:
			return
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// busy says whether a client is connected, as far as is known.
func (s *Supervisor) busy(ctx context.Context) bool {
	stats, err := s.admin(ctx, http.MethodGet, "/stats?filter=^listener\\..*\\.downstream_cx_active$")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(stats)) {
		name, n, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if n != "0" && !strings.HasPrefix(name, "listener.admin.") {
			return true
		}
	}
	return false
}

// admin asks Envoy's admin interface.
func (s *Supervisor) admin(ctx context.Context, method, path string) ([]byte, error) {
	address, err := os.ReadFile(s.adminFile())
	if err != nil {
		return nil, errors.New("its admin interface is not up")
	}
	network, where := "tcp", string(address)
	if strings.HasPrefix(where, "/") {
		network = "unix"
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, where)
		},
	}}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://envoy"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(body))
	}
	return body, nil
}
