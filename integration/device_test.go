package integration

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/weir-gateway/weir/integration/stage"
)

// device is a `weir token` that waits for a person at the issuer's page.
type device struct {
	cmd  *exec.Cmd
	code string
	out  strings.Builder
	said strings.Builder
	rest *bufio.Reader
}

var userCode = regexp.MustCompile(`\b[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}\b`)

func (w *world) startDevice(t *testing.T, home string) *device {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	d := &device{cmd: w.command(ctx, []string{"XDG_CACHE_HOME=" + home, "WEIR_ISSUER=" + w.Issuer.URL, "WEIR_CLIENT_ID=weir-cli"}, all.weir, "token")}
	d.cmd.Stdout = &d.out
	prompt, err := d.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.rest = bufio.NewReader(io.TeeReader(prompt, &d.said))
	for d.code == "" {
		line, err := d.rest.ReadString('\n')
		if d.code = userCode.FindString(line); err != nil && d.code == "" {
			t.Fatalf("weir token asked for no code: %s", d.said.String())
		}
	}
	expect(t, d.said.String(), w.Issuer.URL+"/device")
	return d
}

// answer types the code into the issuer's page, and waits for the command.
func (w *world) answer(t *testing.T, d *device, who, action string) result {
	t.Helper()
	resp, err := http.PostForm(w.Issuer.URL+"/device", url.Values{"user_code": {d.code}, "username": {who}, "password": {stage.Secret(who)}, "action": {action}})
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the issuer's page: %v, %v", resp, err)
	}
	_ = resp.Body.Close()
	_, _ = io.Copy(io.Discard, d.rest)
	_ = d.cmd.Wait()
	return result{d.out.String(), d.said.String(), d.cmd.ProcessState.ExitCode()}
}

// signIn gets a person's token as the person does: `weir token` says where to
// go and which code to type, and the person goes there.
func (w *world) signIn(t *testing.T, who string) string {
	t.Helper()
	got := w.answer(t, w.startDevice(t, w.Path("home-of-"+who)), who, "allow")
	if got.code != 0 || strings.Count(got.out, "\n") != 1 {
		t.Fatal(got)
	}
	return strings.TrimSpace(got.out)
}

func (w *world) denyDevice(t *testing.T) {
	t.Helper()
	got := w.answer(t, w.startDevice(t, t.TempDir()), stage.Approver, "deny")
	if got.code != 1 || got.out != "" {
		t.Error(got)
	}
	expect(t, got.err, "weir: issuer "+w.Issuer.URL)
}
