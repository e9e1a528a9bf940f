package postgres

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/internal/gate"
)

// oauthWorld is one whose target offers these ways to sign in.
func oauthWorld(t *testing.T, ways ...SignIn) (*world, string) {
	t.Helper()
	w := fakeWorld(t)
	w.cfg.SignIn = ways
	w.deps.Discovery = func() Discovery {
		return Discovery{Configuration: "https://login.example/.well-known/openid-configuration", Scope: "openid weir"}
	}
	return w, w.serve(newFakeServer().serve(t))
}

// exchange plays an OAUTHBEARER exchange: what the client answers, one after the
// other, and what it sees.
func exchange(t *testing.T, address string, answers ...pgproto3.FrontendMessage) []string {
	t.Helper()
	k := newTalk(t, address)
	k.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
	var seen []string
	for {
		m, err := k.b.Receive()
		if err != nil {
			return append(seen, "end")
		}
		switch m := m.(type) {
		case *pgproto3.AuthenticationSASL:
			seen = append(seen, "offers "+strings.Join(m.AuthMechanisms, ","))
		case *pgproto3.AuthenticationSASLContinue:
			seen = append(seen, "continue "+string(m.Data))
		case *pgproto3.ErrorResponse:
			return append(seen, m.Severity+" "+m.Code+" "+m.Message)
		case *pgproto3.ReadyForQuery:
			return append(seen, "ready")
		default:
			continue
		}
		if len(answers) == 0 {
			t.Fatalf("no answer is left to %q", seen)
		}
		k.b.Send(answers[0])
		answers = answers[1:]
		if err := k.b.Flush(); err != nil {
			t.Fatal(err)
		}
	}
}

// rawMessage is a message as it is.
type rawMessage []byte

func (rawMessage) Frontend()                           {}
func (rawMessage) Decode([]byte) error                 { return nil }
func (m rawMessage) Encode(dst []byte) ([]byte, error) { return append(dst, m...), nil }

func initial(data string) *pgproto3.SASLInitialResponse {
	return &pgproto3.SASLInitialResponse{AuthMechanism: oauthMechanism, Data: []byte(data)}
}

const failureText = `continue {"status":"invalid_token","openid-configuration":"https://login.example/.well-known/openid-configuration","scope":"openid weir"}`

func TestOAuth(t *testing.T) {
	_, address := oauthWorld(t, SignInOAuth)
	kvsep := &pgproto3.SASLResponse{Data: []byte("\x01")}
	for name, test := range map[string]struct {
		answers []pgproto3.FrontendMessage
		want    []string
	}{
		"a good token":         {[]pgproto3.FrontendMessage{initial("n,,\x01auth=Bearer good\x01\x01")}, []string{"ready"}},
		"as libpq says it":     {[]pgproto3.FrontendMessage{initial("y,,\x01auth=bearer   good\x01\x01")}, []string{"ready"}},
		"with host and port":   {[]pgproto3.FrontendMessage{initial("n,,\x01host=db\x01port=5432\x01auth=Bearer good\x01\x01")}, []string{"ready"}},
		"asked for afterwards": {[]pgproto3.FrontendMessage{rawMessage(appendMessage(nil, msgPassword, cstring(oauthMechanism), []byte("\xff\xff\xff\xff"))), &pgproto3.SASLResponse{Data: []byte("n,,\x01auth=Bearer good\x01\x01")}}, []string{"continue ", "ready"}},
		"discovery":            {[]pgproto3.FrontendMessage{initial("n,,\x01auth=\x01\x01"), kvsep}, []string{failureText, "FATAL 28000 sign-in failed: no token was given"}},
		"a bad token":          {[]pgproto3.FrontendMessage{initial("n,,\x01auth=Bearer bad\x01\x01"), kvsep}, []string{failureText, "FATAL 28000 sign-in failed: the token is not valid here"}},
		"a broken token":       {[]pgproto3.FrontendMessage{initial("n,,\x01auth=Bearer broken\x01\x01"), kvsep}, []string{failureText, "FATAL 28000 sign-in failed: the token could not be checked"}},
		"not bearer":           {[]pgproto3.FrontendMessage{initial("n,,\x01auth=Basic good\x01\x01"), kvsep}, []string{failureText, "FATAL 28000 sign-in failed: this is not a bearer token"}},
		"two tokens in one":    {[]pgproto3.FrontendMessage{initial("n,,\x01auth=Bearer good good\x01\x01"), kvsep}, []string{failureText, "FATAL 28000 sign-in failed: this is not a bearer token"}},
		"a good one after all": {[]pgproto3.FrontendMessage{initial("n,,\x01auth=Bearer bad\x01\x01"), &pgproto3.SASLResponse{Data: []byte("n,,\x01auth=Bearer good\x01\x01")}}, []string{failureText, "FATAL 08P01 malformed OAUTHBEARER message"}},
		"another mechanism":    {[]pgproto3.FrontendMessage{&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("n,,n=,r=x")}}, []string{"FATAL 08P01 client selected an invalid SASL authentication mechanism"}},
		"a password":           {[]pgproto3.FrontendMessage{&pgproto3.PasswordMessage{Password: "good"}}, []string{"FATAL 08P01 malformed SASL response"}},
		"channel binding":      {[]pgproto3.FrontendMessage{initial("p=tls-exporter,,\x01auth=Bearer good\x01\x01")}, []string{"FATAL 08P01 malformed OAUTHBEARER message"}},
		"for somebody else":    {[]pgproto3.FrontendMessage{initial("n,a=root,\x01auth=Bearer good\x01\x01")}, []string{"FATAL 0A000 client uses authorization identity, but it is not supported"}},
		"a query":              {[]pgproto3.FrontendMessage{&pgproto3.Query{String: "SELECT 1"}}, []string{"FATAL 08P01 expected a SASL response"}},
	} {
		t.Run(name, func(t *testing.T) {
			want := append([]string{"offers OAUTHBEARER"}, test.want...)
			if diff := cmp.Diff(want, exchange(t, address, test.answers...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A discovery is a question, a refused token is evidence: with pgx, which leaves
// without the last word, too.
func TestOAuthEvidence(t *testing.T) {
	w, address := oauthWorld(t, SignInOAuth)
	exchange(t, address, initial("n,,\x01auth=\x01\x01"), &pgproto3.SASLResponse{Data: []byte("\x01")})
	cfg, err := pgx.ParseConfig("postgres://anyone@" + address + "/shop?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	token := "bad"
	cfg.OAuthTokenProvider = func(context.Context) (string, error) { return token, nil }
	if _, err := pgx.ConnectConfig(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "invalid_token") {
		t.Errorf("pgx says %v", err)
	}
	waitFor(t, func() bool { return len(w.ledger.kinds()) == 1 })
	if kind := w.ledger.kinds()[0]; kind != gate.SessionRefused {
		t.Errorf("recorded %s", kind)
	}
	token = "good"
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close(context.Background())
	raw, err := json.Marshal(w.ledger.body(1))
	if err != nil || !strings.Contains(string(raw), `"sign_in":"oauth"`) {
		t.Errorf("recorded %s (%v)", raw, err)
	}
}

// The protocol lets the gateway ask for one thing: the first that the target
// offers, or what the client asks for.
func TestWaysToSignIn(t *testing.T) {
	for _, test := range []struct {
		ways   []SignIn
		chosen string
		want   string
	}{
		{[]SignIn{SignInPassword, SignInOAuth}, "", "password"},
		{[]SignIn{SignInOAuth, SignInPassword}, "", "oauth"},
		{[]SignIn{SignInPassword, SignInOAuth}, "oauth", "oauth"},
		{[]SignIn{SignInOAuth, SignInPassword}, "password", "password"},
		{[]SignIn{SignInPassword}, "oauth", `FATAL 28000 target orders offers no sign-in by "oauth"`},
		{[]SignIn{SignInPassword}, "trust", `FATAL 28000 target orders offers no sign-in by "trust"`},
		{[]SignIn{SignInPassword}, "certificate", `FATAL 28000 target orders offers no sign-in by "certificate"`},
	} {
		_, address := oauthWorld(t, test.ways...)
		for _, params := range [][]string{{signInSetting, test.chosen}, {"options", "-c weir.sign_in=" + test.chosen}, {"Weir.Sign_In", test.chosen}} {
			if test.chosen == "" {
				params = nil
			}
			k := newTalk(t, address)
			k.write(startPacket(pgproto3.ProtocolVersion30, append(append([]string{}, userShop...), params...)...))
			m, err := k.b.Receive()
			if err != nil {
				t.Fatal(err)
			}
			got := describeMessage(m)
			switch m := m.(type) {
			case *pgproto3.AuthenticationSASL:
				got = "oauth"
			case *pgproto3.AuthenticationCleartextPassword:
				got = "password"
			case *pgproto3.ErrorResponse:
				got = m.Severity + " " + m.Code + " " + m.Message
			}
			if got != test.want {
				t.Errorf("%v, chosen %q: %s", test.ways, test.chosen, got)
			}
		}
	}
}

// What is read as a token stands in the message as one, whatever is around it.
func FuzzOAuth(f *testing.F) {
	f.Add("n,,\x01auth=Bearer good\x01\x01")
	f.Add("y,,\x01host=a\x01auth=\x01\x01")
	f.Add("n,a=x,\x01auth=Bearer a\x01auth=Bearer b\x01\x01")
	f.Add("p=x,,\x01\x01")
	f.Fuzz(func(t *testing.T, message string) {
		authorization, p := parseOAuth(message)
		if p != nil {
			return
		}
		if !strings.HasSuffix(message, "\x01\x01") || strings.Count(message, "\x01auth=") != 1 ||
			!strings.Contains(message, "\x01auth="+authorization+"\x01") {
			t.Fatalf("%q was read as %q", message, authorization)
		}
		if token, ok := bearerToken(authorization); ok && !strings.HasSuffix(authorization, " "+token) {
			t.Fatalf("%q holds %q", authorization, token)
		}
	})
}
