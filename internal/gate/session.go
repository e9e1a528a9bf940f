package gate

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/weir-gateway/weir/internal/canonical"
)

// Target is the resource that a session is for. Its name is what policies,
// events and error messages use.
type Target struct {
	Name   string            `json:"name"`
	Kind   string            `json:"kind"` // "postgres" or "http"
	Labels map[string]string `json:"labels"`
	// Buffered hands evidence to the spool without waiting for the disk.
	Buffered bool `json:"-"`
}

// Client is the far end of a session as Envoy saw it.
type Client struct {
	Address     string `json:"address"`
	TLS         string `json:"tls,omitempty"` // version, empty when in clear
	Application string `json:"application,omitempty"`
	SignIn      string `json:"sign_in,omitempty"` // "password", "oauth" or "certificate"; of postgres
}

// Session is one connection of one principal to one target (for HTTP: one
// exchange). The fields are fixed once it is open; the counters are safe for
// concurrent use.
type Session struct {
	ID        string // UUIDv7
	Started   time.Time
	Principal Principal
	Target    Target
	Client    Client
	Database  string // what the client asked for, where the protocol has one
	// Settings are what the client begins with, by name in lower case, and Risks
	// what that means. Policy sees them in phase connect.
	Settings map[string]string
	Risks    []string
	// Replication is what a connection for replication is for: "physical", "database"
	// (and its SQL), or "" for an ordinary one.
	Replication string

	mu         sync.Mutex
	started    string // as policy sees it
	revision   string // of the policy that let it in
	recorded   bool
	operations int
	refused    int
	classes    []string
	memory     *classMemory
	approvals  map[string]*Approval // that something ran under

	encoding  sync.Once
	principal canonical.Raw
	target    canonical.Raw
	encodeErr error
}

// Revision is the revision of the policy that admitted the session.
func (s *Session) Revision() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision
}

// Observe notes the classes of data that the session has been given.
func (s *Session) Observe(classes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.classes = union(s.classes, classes)
	if s.memory != nil {
		s.memory.add(s.Principal.Token.Hash, classes)
	}
}

// grant remembers an approval for the parts that are still to come.
func (s *Session) grant(a *Approval) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.approvals == nil {
		s.approvals = map[string]*Approval{}
	}
	s.approvals[a.ID] = a
}

func (s *Session) granted(id string) *Approval {
	if id == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.approvals[id]
}

// constants are the principal and the target as they stand in each of the
// session's events.
func (s *Session) constants() (principal, target canonical.Raw, err error) {
	s.encoding.Do(func() {
		var errPrincipal, errTarget error
		s.principal, errPrincipal = canonical.Marshal(s.Principal)
		s.target, errTarget = canonical.Marshal(s.Target)
		s.encodeErr = errors.Join(errPrincipal, errTarget)
	})
	return s.principal, s.target, s.encodeErr
}

// view is what policy sees of a session.
func (s *Session) view(phase Phase) SessionView {
	s.mu.Lock()
	defer s.mu.Unlock()
	classes := s.classes
	if s.memory != nil {
		classes = union(classes, s.memory.get(s.Principal.Token.Hash))
	}
	if classes == nil {
		classes = []string{}
	}
	if s.started == "" {
		s.started = s.Started.UTC().Format(time.RFC3339Nano)
	}
	v := SessionView{
		ID:          s.ID,
		Started:     s.started,
		Client:      s.Client,
		Database:    s.Database,
		Operations:  s.operations,
		ClassesRead: classes,
		Replication: s.Replication,
	}
	if phase == Connect {
		v.Settings, v.Risks = s.Settings, s.Risks
	}
	return v
}

// SessionView is the session as policy sees it.
type SessionView struct {
	ID          string   `json:"id"`
	Started     string   `json:"started"` // RFC 3339
	Client      Client   `json:"client"`
	Database    string   `json:"database,omitempty"`
	Operations  int      `json:"operations"`   // judged so far
	ClassesRead []string `json:"classes_read"` // by this token, over all protocols
	Replication string   `json:"replication,omitempty"`

	// In phase connect, where the protocol has settings.
	Settings map[string]string `json:"settings,omitempty"`
	Risks    []string          `json:"risks,omitempty"`
}

// union is what either has, in a new slice where have lacks something.
func union(have, more []string) []string {
	out := slices.Clip(have)
	for _, c := range more {
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}
