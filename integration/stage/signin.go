package stage

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
)

// prompt is what `weir token` tells a person to do.
var prompt = regexp.MustCompile(`open (\S+) and enter the code (\S+)`)

// EnvOf is the environment of somebody's commands, on a machine of their own:
// who they are at the issuer, and a cache of their own.
func (s *Stage) EnvOf(who string) []string {
	env := []string{"WEIR_ISSUER=" + s.Issuer.URL, "XDG_CACHE_HOME=" + s.Path("cache", who)}
	if who == Agent || who == Analyst {
		return s.Env(append(env, "WEIR_CLIENT_ID="+who, "WEIR_CLIENT_SECRET="+Secret(who))...)
	}
	return s.Env(append(env, "WEIR_CLIENT_ID=weir-cli")...)
}

// SignIn gets a token as its user does: `weir token` for a program, and for a
// person the device flow, with the issuer's page filled in.
func (s *Stage) SignIn(ctx context.Context, who string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.weir, "token")
	cmd.Env, cmd.Dir = s.EnvOf(who), s.Dir
	var token bytes.Buffer
	cmd.Stdout = &token
	said, err := cmd.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	complaint := s.answer(ctx, said, who)
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("weir token for %s: %w: %w", who, err, complaint)
	}
	return strings.TrimSpace(token.String()), nil
}

// answer reads what `weir token` says, and does what it asks a person for.
func (s *Stage) answer(ctx context.Context, said io.Reader, who string) error {
	lines := bufio.NewScanner(said)
	var heard []string
	for lines.Scan() {
		heard = append(heard, lines.Text())
		if m := prompt.FindStringSubmatch(lines.Text()); m != nil {
			if err := s.fillIn(ctx, m[1], m[2], who); err != nil {
				return err
			}
		}
	}
	return errors.New(strings.Join(heard, "\n"))
}

// fillIn is the person at the issuer's page.
func (s *Stage) fillIn(ctx context.Context, page, code, who string) error {
	form := url.Values{"user_code": {code}, "username": {who}, "password": {Secret(who)}, "action": {"allow"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, page, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the issuer's page answered %s", resp.Status)
	}
	return nil
}
