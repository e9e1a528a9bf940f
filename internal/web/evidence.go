package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// ErrNotFound reports an id that nothing has, ErrAmbiguous a prefix that several
// have.
var (
	ErrNotFound  = errors.New("not found")
	ErrAmbiguous = errors.New("more than one has this prefix; give more of the id")
)

// defaultLimit and maxLimit bound how many sessions one request returns.
const (
	defaultLimit = 50
	maxLimit     = 1000
)

func (s *Server) sessions(w http.ResponseWriter, r *http.Request) {
	f, err := readFilter(r)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	list, err := s.deps.Evidence.Sessions(r.Context(), f)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if list == nil {
		list = []Session{}
	}
	write(w, http.StatusOK, list)
}

func readFilter(r *http.Request) (Filter, error) {
	q := r.URL.Query()
	f := Filter{Target: q.Get("target"), Subject: q.Get("subject"), Limit: defaultLimit}
	for name, at := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if text := q.Get(name); text != "" {
			t, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return f, errors.New(name + ": write a time as 2026-01-31T15:04:05Z")
			}
			*at = t
		}
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			return f, errors.New("limit: write a number from 1 to " + strconv.Itoa(maxLimit))
		}
		f.Limit = n
	}
	return f, nil
}

// SessionDetail is a session with its operations.
type SessionDetail struct {
	Session
	Operation []Operation `json:"operation"`
}

func (s *Server) session(w http.ResponseWriter, r *http.Request) {
	session, ops, err := s.deps.Evidence.Session(r.Context(), r.PathValue("id"))
	if err != nil {
		s.missing(w, r, err)
		return
	}
	if ops == nil {
		ops = []Operation{}
	}
	write(w, http.StatusOK, SessionDetail{Session: *session, Operation: ops})
}

// replay streams a session as one JSON document a line. A line with "error"
// says that it broke off.
func (s *Server) replay(w http.ResponseWriter, r *http.Request) {
	enc := json.NewEncoder(w)
	started := false
	for item, err := range s.deps.Evidence.Replay(r.Context(), r.PathValue("id")) {
		switch {
		case err != nil && !started:
			s.missing(w, r, err)
			return
		case err != nil:
			s.deps.Log.ErrorContext(r.Context(), "a replay broke off", "session", r.PathValue("id"), "err", err)
			_ = enc.Encode(map[string]string{"error": err.Error()})
			return
		case !started:
			w.Header().Set("Content-Type", "application/x-ndjson")
			started = true
		}
		if enc.Encode(item) != nil {
			return // the client went away
		}
	}
	if !started {
		s.missing(w, r, ErrNotFound)
	}
}

func (s *Server) missing(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, ErrNotFound):
		fail(w, http.StatusNotFound, "nothing has the id "+strconv.Quote(r.PathValue("id")))
	case errors.Is(err, ErrAmbiguous):
		fail(w, http.StatusBadRequest, err.Error())
	default:
		s.broken(w, r, err)
	}
}
