package issuer

import (
	"context"
	"crypto/subtle"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// storage keeps what the library asks for, in memory.
type storage struct {
	unsupported
	cfg Config

	mu      sync.Mutex
	current *signingKey
	old     []*signingKey
	devices map[string]*device // by device code
}

// device is one person's sign-in at the device page.
type device struct {
	userCode string
	state    op.DeviceAuthorizationState
}

var (
	_ op.Storage                        = (*storage)(nil)
	_ op.ClientCredentialsStorage       = (*storage)(nil)
	_ op.DeviceAuthorizationStorage     = (*storage)(nil)
	_ op.CanGetPrivateClaimsFromRequest = (*storage)(nil)
	_ op.CanSetUserinfoFromRequest      = (*storage)(nil)
)

func newStorage(cfg Config) (*storage, error) {
	key, err := newKey(cfg.Algorithm)
	if err != nil {
		return nil, err
	}
	return &storage{cfg: cfg, current: key, devices: map[string]*device{}}, nil
}

func (s *storage) client(id string) (*Client, bool) {
	i := slices.IndexFunc(s.cfg.Clients, func(c Client) bool { return c.ID == id })
	if i < 0 {
		return nil, false
	}
	return &s.cfg.Clients[i], true
}

// claims are the private claims of a subject, whoever it is.
func (s *storage) claims(subject string) map[string]any {
	for _, c := range s.cfg.Clients {
		if c.Subject == subject && !c.Device {
			return maps.Clone(c.Claims)
		}
	}
	for _, u := range s.cfg.Users {
		if u.Subject == subject {
			return maps.Clone(u.Claims)
		}
	}
	return nil
}

// rotate makes a new key the current one. The old one stays published if keep.
func (s *storage) rotate(keep bool) error {
	key, err := newKey(s.cfg.Algorithm)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if keep {
		s.old = append(s.old, s.current)
	} else {
		s.old = nil
	}
	s.current = key
	return nil
}

func (s *storage) key() *signingKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// SigningKey implements op.Storage.
func (s *storage) SigningKey(context.Context) (op.SigningKey, error) { return s.key(), nil }

// SignatureAlgorithms implements op.Storage.
func (s *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{s.cfg.Algorithm}, nil
}

// KeySet implements op.Storage.
func (s *storage) KeySet(context.Context) ([]op.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := []op.Key{publicKey{s.current}}
	for _, k := range s.old {
		keys = append(keys, publicKey{k})
	}
	return keys, nil
}

// CreateAccessToken implements op.Storage.
func (s *storage) CreateAccessToken(context.Context, op.TokenRequest) (string, time.Time, error) {
	return uuid.NewString(), time.Now().Add(s.cfg.Lifetime), nil
}

// GetClientByClientID implements op.Storage.
func (s *storage) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	c, ok := s.client(id)
	if !ok {
		return nil, errors.New("unknown client")
	}
	return opClient{c}, nil
}

// AuthorizeClientIDSecret implements op.Storage.
func (s *storage) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	c, ok := s.client(id)
	if !ok || c.Secret == "" || subtle.ConstantTimeCompare([]byte(c.Secret), []byte(secret)) != 1 {
		return errors.New("wrong client or secret")
	}
	return nil
}

// ClientCredentials implements op.ClientCredentialsStorage.
func (s *storage) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	if err := s.AuthorizeClientIDSecret(ctx, id, secret); err != nil {
		return nil, oidc.ErrInvalidClient().WithParent(err)
	}
	return s.GetClientByClientID(ctx, id)
}

// ClientCredentialsTokenRequest implements op.ClientCredentialsStorage.
func (s *storage) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	c, ok := s.client(id)
	if !ok {
		return nil, errors.New("unknown client")
	}
	return &oidc.JWTTokenRequest{Subject: c.Subject, Audience: slices.Clone(s.cfg.Audience), Scopes: scopes}, nil
}

// GetPrivateClaimsFromRequest implements op.CanGetPrivateClaimsFromRequest.
func (s *storage) GetPrivateClaimsFromRequest(_ context.Context, r op.TokenRequest, _ []string) (map[string]any, error) {
	return s.claims(r.GetSubject()), nil
}

// SetUserinfoFromRequest implements op.CanSetUserinfoFromRequest.
func (s *storage) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, r op.IDTokenRequest, _ []string) error {
	info.Subject = r.GetSubject()
	for name, value := range s.claims(r.GetSubject()) {
		info.AppendClaims(name, value)
	}
	return nil
}

// StoreDeviceAuthorization implements op.DeviceAuthorizationStorage.
func (s *storage) StoreDeviceAuthorization(_ context.Context, clientID, deviceCode, userCode string, expires time.Time, scopes []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		if d.userCode == userCode {
			return op.ErrDuplicateUserCode
		}
	}
	s.devices[deviceCode] = &device{userCode: userCode, state: op.DeviceAuthorizationState{
		ClientID: clientID, Audience: slices.Clone(s.cfg.Audience), Scopes: scopes, Expires: expires,
	}}
	return nil
}

// GetDeviceAuthorizatonState implements op.DeviceAuthorizationStorage. A code
// that somebody confirmed is good for one token.
func (s *storage) GetDeviceAuthorizatonState(_ context.Context, clientID, deviceCode string) (*op.DeviceAuthorizationState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.devices[deviceCode]
	if !ok || d.state.ClientID != clientID {
		return nil, errors.New("unknown device code")
	}
	if d.state.Done || d.state.Denied {
		delete(s.devices, deviceCode)
	}
	state := d.state
	return &state, nil
}

// finish confirms or denies the device with a user code.
func (s *storage) finish(userCode, subject string, allow bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		if d.userCode != userCode || time.Now().After(d.state.Expires) {
			continue
		}
		d.state.Done, d.state.Denied = allow, !allow
		d.state.Subject, d.state.AuthTime = subject, time.Now()
		return nil
	}
	return errors.New("this code is unknown or has expired")
}
