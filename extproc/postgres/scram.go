package postgres

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/xdg-go/scram"
)

const (
	scramPlain = "SCRAM-SHA-256"
	scramPlus  = "SCRAM-SHA-256-PLUS"
)

// scramKeys keeps the client of the current password, because deriving its keys
// takes thousands of hash rounds.
type scramKeys struct {
	mu       sync.Mutex
	password string
	client   *scram.Client
}

func (k *scramKeys) of(password string) (*scram.Client, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.client != nil && k.password == password {
		return k.client, nil
	}
	// The server takes the user from the startup message, not from here.
	c, err := scram.SHA256.NewClient("", password, "")
	if err != nil { // not a text that SASLprep knows: the server takes it as it is
		c, err = scram.SHA256.NewClientUnprepped("", password, "")
	}
	if err != nil {
		return nil, errors.New("the target's password cannot be used with SCRAM")
	}
	k.password, k.client = password, c
	return c, nil
}

// scram signs in with SCRAM-SHA-256 (RFC 7677; PostgreSQL, "SASL
// authentication"), bound to the TLS channel where the server offers that, and
// checks that the server knows the password too.
func (h *Handler) scram(s *signedIn, password string, mechanisms []string) error {
	client, err := h.keys.of(password)
	if err != nil {
		return err
	}
	mechanism, talk, err := conversation(client, s, mechanisms)
	if err != nil {
		return err
	}
	first, err := talk.Step("")
	if err != nil {
		return err
	}
	initial := appendMessage(nil, msgPassword, cstring(mechanism), binary.BigEndian.AppendUint32(nil, uint32(len(first))), []byte(first))
	if _, err := s.conn.Write(initial); err != nil {
		return err
	}
	challenge, err := h.saslMessage(s, authSASLContinue)
	if err != nil {
		return err
	}
	proof, err := talk.Step(challenge)
	if err != nil {
		return fmt.Errorf("SCRAM: %w", err)
	}
	if _, err := s.conn.Write(appendMessage(nil, msgPassword, []byte(proof))); err != nil {
		return err
	}
	final, err := h.saslMessage(s, authSASLFinal)
	if err != nil {
		return err
	}
	if _, err := talk.Step(final); err != nil || !talk.Valid() {
		return errors.New("SCRAM: the server could not prove that it knows the password")
	}
	return nil
}

func conversation(client *scram.Client, s *signedIn, mechanisms []string) (string, *scram.ClientConversation, error) {
	secure, overTLS := s.conn.(*tls.Conn)
	if overTLS && slices.Contains(mechanisms, scramPlus) {
		state := secure.ConnectionState()
		binding, err := scram.NewTLSServerEndpointBinding(&state)
		if err == nil {
			return scramPlus, client.NewConversationWithChannelBinding(binding), nil
		}
	}
	switch {
	case !slices.Contains(mechanisms, scramPlain):
		return "", nil, errors.New("the server offers no SASL mechanism that the gateway has")
	case overTLS && !slices.Contains(mechanisms, scramPlus):
		return scramPlain, client.NewConversationAdvertisingChannelBinding(), nil
	}
	return scramPlain, client.NewConversation(), nil
}

// saslMessage reads the server's next step.
func (h *Handler) saslMessage(s *signedIn, want uint32) (string, error) {
	kind, frame, err := s.read()
	switch {
	case err != nil:
		return "", err
	case kind == msgError:
		return "", &refusedSignIn{frame: append([]byte(nil), frame...)}
	case kind != msgAuthentication:
		return "", fmt.Errorf("unexpected message %q in SASL", kind)
	}
	c := body(frame)
	if got := c.uint32(); got != want {
		return "", fmt.Errorf("unexpected authentication message %d in SASL", got)
	}
	return string(c.b), nil
}

// refusedSignIn carries the server's ErrorResponse out of a SASL exchange.
type refusedSignIn struct{ frame []byte }

func (*refusedSignIn) Error() string { return "the server refused the sign-in" }
