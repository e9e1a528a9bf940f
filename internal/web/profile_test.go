package web

import (
	"strings"
	"testing"
)

func TestProfilesAreForTheSocketAlone(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap?debug=1", "/debug/pprof/profile?seconds=1", "/debug/pprof/trace", "/debug/pprof/cmdline"} {
		for _, token := range []string{"", "eve/group:audit"} {
			if code, body := call(t, f.server.Public(), "GET", path, token, ""); code != 404 || strings.Contains(body, "goroutine") {
				t.Errorf("the port serves %s: %d %s", path, code, body)
			}
		}
	}
	if code, body := call(t, f.server.Local(), "GET", "/debug/pprof/goroutine?debug=1", "", ""); code != 200 || !strings.Contains(body, "TestProfilesAreForTheSocketAlone") {
		t.Errorf("the socket: %d %s", code, body)
	}
	if code, body := call(t, f.server.Local(), "GET", "/healthz", "", ""); code != 200 || body != "ok\n" {
		t.Errorf("the socket answers /healthz: %d %s", code, body)
	}
}
