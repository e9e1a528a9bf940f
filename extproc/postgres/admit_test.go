package postgres

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Who is not admitted is told so in its own protocol, and costs the server nothing.
func TestNotAdmitted(t *testing.T) {
	w, server := fakeWorld(t), newFakeServer()
	w.offerTLS()
	w.cfg.Startup = time.Millisecond // and a second more is what it waits
	address := w.serve(server.serve(t))
	w.handler.live.line.bound(0, 0)
	for name, begin := range map[string]func(k *talk){
		"in clear": func(*talk) {},
		"in TLS":   func(k *talk) { k.write(codePacket(sslRequestCode)); k.byte('S'); k.secure(w) },
	} {
		t.Run(name, func(t *testing.T) {
			k := newTalk(t, address)
			begin(k)
			k.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
			got := strings.Join(k.signIn("good"), "; ")
			if got != "FATAL 53300 target orders: no place to sign in became free in time; end" {
				t.Errorf("got %s", got)
			}
		})
	}
	if len(server.started) > 0 {
		t.Error("the server was signed in to")
	}
}

// A place is free again at sign-in, not at the session's end.
func TestAPlaceIsForSigningIn(t *testing.T) {
	w := fakeWorld(t)
	w.cfg.SigningIn, w.cfg.SigningInPerHost = 1, 1
	address := w.serve(newFakeServer().serve(t))
	for range 3 {
		k := newTalk(t, address)
		k.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
		if got := k.signIn("good"); got[len(got)-1] != "ready" {
			t.Fatalf("got %v", got)
		}
	}
}
