package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/weir-gateway/weir/internal/gate"
)

// Deps are what the server reads from. All but Metrics are required.
type Deps struct {
	Identity  Identity
	Approvals Approvals
	Evidence  Evidence
	// Readers are the roles that may read sessions, by the configuration of now.
	Readers func() []string
	// Ready tells how each part is.
	Ready func(ctx context.Context) []Check
	// Status is what `weir status` shows.
	Status func(ctx context.Context) any
	// Config is the resolved configuration with secrets hidden.
	Config  func() ([]byte, error)
	Metrics http.Handler
	Log     *slog.Logger
}

// Server answers people and probes.
type Server struct{ deps Deps }

// New makes a Server.
func New(d Deps) (*Server, error) {
	if d.Identity == nil || d.Approvals == nil || d.Evidence == nil || d.Readers == nil || d.Ready == nil || d.Status == nil || d.Config == nil || d.Log == nil {
		return nil, errors.New("web: every dependency is required")
	}
	return &Server{deps: d}, nil
}

// Public is the handler of the port: who reads or votes shows a token.
func (s *Server) Public() http.Handler { return harden(s.routes(s.reader)) }

// Local is the handler of the socket in the data folder, which only the
// gateway's own user can open: it reads without a token, and profiles. A vote
// still needs an approver's token.
func (s *Server) Local() http.Handler {
	mux := s.routes(func(next http.HandlerFunc) http.HandlerFunc { return next })
	profiles(mux)
	return harden(mux)
}

// guard wraps a handler that shows evidence.
type guard func(http.HandlerFunc) http.HandlerFunc

func (s *Server) routes(read guard) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", s.ready)
	if s.deps.Metrics != nil {
		mux.Handle("GET /metrics", s.deps.Metrics)
	}
	mux.HandleFunc("GET /config", read(s.config))
	mux.HandleFunc("GET /api/v1/status", read(s.status))
	mux.HandleFunc("GET /api/v1/sessions", read(s.sessions))
	mux.HandleFunc("GET /api/v1/sessions/{id}", read(s.session))
	mux.HandleFunc("GET /api/v1/sessions/{id}/replay", read(s.replay))
	mux.HandleFunc("GET /api/v1/approvals", s.approvals(read))
	mux.HandleFunc("GET /api/v1/approvals/{id}", s.approval(read))
	mux.HandleFunc("POST /api/v1/approvals/{id}/votes", s.vote)
	return mux
}

// maxRequest bounds the body of a request, in bytes.
const maxRequest = 64 << 10

func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		next.ServeHTTP(w, r)
	})
}

// reader lets a principal in whose roles the configuration names.
func (s *Server) reader(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, ok := s.principal(w, r)
		if !ok {
			return
		}
		if !hasAny(p.Roles, s.deps.Readers()) {
			fail(w, http.StatusForbidden, "your roles may not read sessions; web.readers in the configuration names those that may")
			return
		}
		next(w, r)
	}
}

// principal is who sent the request; it answers the request itself where nobody
// is known.
func (s *Server) principal(w http.ResponseWriter, r *http.Request) (*gate.Principal, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		w.Header().Set("Www-Authenticate", `Bearer realm="weir"`)
		fail(w, http.StatusUnauthorized, "send `Authorization: Bearer TOKEN`; `weir token` gets one")
		return nil, false
	}
	p, err := s.deps.Identity.Authenticate(r.Context(), strings.TrimSpace(token))
	if err != nil {
		w.Header().Set("Www-Authenticate", `Bearer realm="weir", error="invalid_token"`)
		fail(w, http.StatusUnauthorized, publicReason(err))
		return nil, false
	}
	return &p, true
}

// public is what may be told of an error to whoever caused it.
func publicReason(err error) string {
	var public interface{ Public() string }
	if errors.As(err, &public) {
		return public.Public()
	}
	return "the token was not accepted"
}

func hasAny(have, want []string) bool {
	return slices.ContainsFunc(want, func(r string) bool { return slices.Contains(have, r) })
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	checks := s.deps.Ready(r.Context())
	code := http.StatusOK
	if slices.ContainsFunc(checks, func(c Check) bool { return !c.Ready }) {
		code = http.StatusServiceUnavailable
	}
	write(w, code, map[string]any{"ready": code == http.StatusOK, "checks": checks})
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	write(w, http.StatusOK, s.deps.Status(r.Context()))
}

func (s *Server) config(w http.ResponseWriter, r *http.Request) {
	text, err := s.deps.Config()
	if err != nil {
		s.broken(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(text)
}

// broken answers a request that failed for a reason of the gateway's own.
func (s *Server) broken(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	s.deps.Log.ErrorContext(r.Context(), "a request failed", "path", r.URL.Path, "err", err)
	fail(w, http.StatusBadGateway, "the gateway could not answer: "+err.Error())
}

func write(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the client went away, or it is written
}

// Problem is an error's body.
type Problem struct {
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func fail(w http.ResponseWriter, code int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(Problem{Status: code, Detail: detail})
}
