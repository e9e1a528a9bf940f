package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-gateway/weir/integration/stage"
	"github.com/weir-gateway/weir/internal/web"
)

// TestSecretsAppearNowhere plays what can go right and wrong, at the chattiest
// level, and then looks for credentials and tokens in all that is written and
// told.
func TestSecretsAppearNowhere(t *testing.T) {
	w := own(t, stage.Options{Edit: func(s *stage.Settings) {
		s.Extra = "log: {level: debug}\nenvoy: {log_level: trace}\n"
	}})
	secrets := map[string]string{}
	for name, value := range stage.Credentials() {
		secrets["the credential of "+name] = value
	}
	token := func(name, text string) string {
		secrets["the token of "+name] = text
		return text
	}
	agent := token("an agent", w.agent(t))
	expect(t, w.psql(t, agent, "select ssn from customers where id = 42;\ndelete from products;\n").err, "no_where")
	expect(t, w.curl(t, agent, "/customers/42", "-b", "session="+token("a cookie", "cookie-"+w.agent(t))).out, "200 OK")
	w.curl(t, token("a forger", w.agent(t)+"AAAA"), "/customers/42")
	w.signs(t, token("another forger", w.agent(t)+"BBBB"))
	w.signs(t, token("garbage", "garbage-token-of-a-stranger"))
	ann := token("an approver", w.mint(t, stage.Approver, person("dba")))
	h := w.hold(t, agent, "create table secrets_nowhere (id int);\n")
	expect(t, w.vote(t, ann, "approve", h.id, "fine").out, "it is approved")
	h.result(t)
	w.sessionOf(t, stage.Agent)

	told := map[string][]byte{"the log": read(t, w.Path("weir.log"))}
	for _, args := range [][]string{{"config", "show"}, {"status", "-o", "json"}, {"secret", "list"}, {"approvals", "list", "--state", "all", "-o", "json"},
		{"sessions", "list", "-o", "json"}, {"policy", "check"}, {"ca"}, {"envoy", "bootstrap"}} {
		got := w.weir(t, nil, args...)
		if got.code != 0 {
			t.Errorf("weir %v: %s", args, got)
		}
		told["weir "+strings.Join(args, " ")] = []byte(got.String())
	}
	auditor := w.mint(t, stage.Auditor, person("audit"))
	for _, path := range []string{"/config", "/metrics", "/healthz", "/readyz", "/api/v1/status", "/api/v1/sessions", "/api/v1/approvals?state=all"} {
		told[path] = w.page(t, auditor, path)
	}
	events, err := w.audit(t, "SELECT canonical FROM weir.all_events")
	if err != nil || !strings.Contains(events, "secrets_nowhere") {
		t.Fatalf("%v: %.200s", err, events)
	}
	told["the events"] = []byte(events)
	for id, text := range w.payloads(t) {
		told["the payloads of "+id] = text
	}
	if err := w.StopGateway(); err != nil { // so that all is on disk
		t.Fatal(err)
	}
	for path, text := range files(t, w.Path("weir-data")) {
		told[path] = text
	}
	keys, err := filepath.Glob(w.Path("weir-data", "ca", "*.key"))
	if err != nil || len(keys) == 0 {
		t.Fatal("the development CA has no keys")
	}
	for _, key := range keys {
		secrets[key] = strings.Split(string(told[key]), "\n")[1] // of the PEM
		delete(told, key)
	}
	for where, text := range told {
		for name, secret := range secrets {
			for _, form := range forms(secret) {
				if bytes.Contains(text, []byte(form)) {
					t.Errorf("%s is in %s", name, where)
				}
			}
		}
	}
	if len(told) < 30 {
		t.Errorf("only %d places were looked at", len(told))
	}
}

// forms are how a secret may be written: of a token, its signature is enough.
func forms(secret string) []string {
	out := []string{secret, url.QueryEscape(secret), hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))}
	if parts := strings.Split(secret, "."); len(parts) == 3 {
		out = append(out, parts[2])
	}
	return out
}

func (w *world) page(t *testing.T, token, path string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.Settings.Web+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %v", path, resp.Status, err)
	}
	return text
}

// payloads are the recorded protocol bytes of every session.
func (w *world) payloads(t *testing.T) map[string][]byte {
	t.Helper()
	var list []web.Session
	if err := json.Unmarshal([]byte(w.weir(t, nil, "sessions", "list", "-o", "json").out), &list); err != nil || len(list) == 0 {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, s := range list {
		lines := json.NewDecoder(strings.NewReader(w.weir(t, nil, "replay", s.ID, "-o", "json").out))
		for {
			var item web.ReplayItem
			if err := lines.Decode(&item); err != nil {
				break
			}
			out[s.ID] = append(append(out[s.ID], item.Data...), item.Body...)
		}
	}
	return out
}

// files are all below a folder.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		out[path] = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What is written can be read by the gateway's own user only.
func TestDataFolderIsPrivate(t *testing.T) {
	once(t)
	w := shared(t)
	for _, dir := range []string{"weir-data", filepath.Join("weir-data", "run")} {
		info, err := os.Stat(w.Path(dir))
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
	err := filepath.WalkDir(w.Path("weir-data"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it has gone in the meantime
		}
		info, err := entry.Info()
		if err == nil && !entry.IsDir() && info.Mode().Perm()&0o077 != 0 && !harmless(path) {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// harmless files hold no secret; those of ClickHouse and NATS lie in folders that
// nobody else can enter.
func harmless(path string) bool {
	return strings.HasSuffix(path, ".lock") || strings.HasSuffix(path, ".crt") || strings.HasSuffix(path, "admin-address") ||
		strings.Contains(path, "/clickhouse/") || strings.Contains(path, "/spool/")
}
