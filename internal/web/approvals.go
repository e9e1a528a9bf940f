package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/weir-gateway/weir/internal/gate"
)

// ErrVote wraps every reason for which a vote is not taken; its text is for the
// voter.
var ErrVote = errors.New("the vote was not taken")

type principalKey struct{}

// approvals lists held operations: all of them to a reader, and to anybody else
// those on which they may vote or wait.
func (s *Server) approvals(read guard) http.HandlerFunc {
	return s.readerOrConcerned(read, func(w http.ResponseWriter, r *http.Request) {
		state := gate.ApprovalState(r.URL.Query().Get("state"))
		if state == "" {
			state = gate.Pending
		}
		if state == "all" {
			state = ""
		}
		list, err := s.deps.Approvals.List(r.Context(), state)
		if err != nil {
			s.broken(w, r, err)
			return
		}
		shown := []*gate.Approval{}
		for _, a := range list {
			if concerned(r.Context(), a) {
				shown = append(shown, a)
			}
		}
		write(w, http.StatusOK, shown)
	})
}

func (s *Server) approval(read guard) http.HandlerFunc {
	return s.readerOrConcerned(read, func(w http.ResponseWriter, r *http.Request) {
		a, err := s.find(r.Context(), r.PathValue("id"))
		if err == nil && !concerned(r.Context(), a) {
			err = ErrNotFound
		}
		if err != nil {
			s.missing(w, r, err)
			return
		}
		write(w, http.StatusOK, a)
	})
}

// readerOrConcerned lets readers see everything, and anybody with a token what
// concerns them.
func (s *Server) readerOrConcerned(read guard, next http.HandlerFunc) http.HandlerFunc {
	all := read(next)
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			all(w, r)
			return
		}
		p, ok := s.principal(w, r)
		if !ok {
			return
		}
		if !hasAny(p.Roles, s.deps.Readers()) {
			r = r.WithContext(context.WithValue(r.Context(), principalKey{}, p))
		}
		next(w, r)
	}
}

// concerned says whether the approval may be shown: it may to whoever may vote
// or waits for it, and to all where the context names nobody.
func concerned(ctx context.Context, a *gate.Approval) bool {
	p, ok := ctx.Value(principalKey{}).(*gate.Principal)
	if !ok {
		return true
	}
	if p.Subject == a.Requester.Subject && p.Issuer == a.Requester.Issuer {
		return true
	}
	return slices.ContainsFunc(a.Needs, func(n gate.Requirement) bool { return hasAny(p.Roles, n.Approvers) })
}

// find takes an id or an unambiguous prefix of a pending one.
func (s *Server) find(ctx context.Context, id string) (*gate.Approval, error) {
	a, err := s.deps.Approvals.Get(ctx, id)
	if !errors.Is(err, ErrNotFound) || id == "" {
		return a, err
	}
	list, err := s.deps.Approvals.List(ctx, "")
	if err != nil {
		return nil, err
	}
	var found *gate.Approval
	for _, a := range list {
		if !strings.HasPrefix(a.ID, id) {
			continue
		}
		if found != nil {
			return nil, ErrAmbiguous
		}
		found = a
	}
	if found == nil {
		return nil, ErrNotFound
	}
	return found, nil
}

// Ballot is the body of a vote.
type Ballot struct {
	Approve *bool  `json:"approve"`
	Reason  string `json:"reason"`
}

func (s *Server) vote(w http.ResponseWriter, r *http.Request) {
	p, ok := s.principal(w, r)
	if !ok {
		return
	}
	var b Ballot
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil || b.Approve == nil {
		fail(w, http.StatusBadRequest, `send {"approve": true or false, "reason": "…"}`)
		return
	}
	// A vote names the whole id: the beginning of one is the time at which it was
	// asked for, and so may soon be another's.
	a, err := s.deps.Approvals.Vote(r.Context(), r.PathValue("id"), *p, *b.Approve, b.Reason)
	switch {
	case errors.Is(err, ErrVote):
		fail(w, http.StatusForbidden, err.Error())
	case err != nil:
		s.missing(w, r, err)
	default:
		write(w, http.StatusOK, a)
	}
}
