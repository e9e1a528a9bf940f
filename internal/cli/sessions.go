package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/weir-gateway/weir/internal/replay"
	"github.com/weir-gateway/weir/internal/web"
)

type sessionsCmd struct {
	List sessionsListCmd `cmd:"" help:"List sessions, the newest first."`
	Show sessionsShowCmd `cmd:"" help:"Show one session and its operations."`
}

type sessionsListCmd struct {
	output
	remote
	signIn
	Target  string        `placeholder:"NAME" help:"Only of this target."`
	Subject string        `placeholder:"NAME" help:"Only of this principal."`
	Since   time.Duration `placeholder:"1h" help:"Only those that began in the last while."`
	Limit   int           `default:"50" help:"At most so many."`
}

// Run implements the command.
func (c *sessionsListCmd) Run(e *env) error {
	cl, err := c.connect(e, &c.remote)
	if err != nil {
		return err
	}
	q := url.Values{"limit": {strconv.Itoa(c.Limit)}, "target": {c.Target}, "subject": {c.Subject}}
	if c.Since > 0 {
		q.Set("since", time.Now().Add(-c.Since).UTC().Format(time.RFC3339))
	}
	var list []web.Session
	if err := cl.get(e.ctx, "/api/v1/sessions?"+q.Encode(), &list); err != nil {
		return err
	}
	if c.json() {
		return writeJSON(e.Out, list)
	}
	if len(list) == 0 {
		e.printf("no session was recorded\n")
		return nil
	}
	var rows [][]string
	for _, s := range list {
		rows = append(rows, []string{s.ID, when(s.Started), lasted(&s), s.Target, s.Subject, s.Principal, strconv.FormatUint(s.Operations, 10), strconv.FormatUint(s.Refused, 10)})
	}
	return table(e.Out, []string{"ID", "STARTED", "LASTED", "TARGET", "SUBJECT", "KIND", "OPERATIONS", "REFUSED"}, rows)
}

func lasted(s *web.Session) string {
	if s.Ended == nil {
		return "open"
	}
	return s.Ended.Sub(s.Started).Round(time.Millisecond).String()
}

type sessionsShowCmd struct {
	output
	remote
	signIn
	ID string `arg:"" help:"Id of the session, or the beginning of it."`
}

// Run implements the command.
func (c *sessionsShowCmd) Run(e *env) error {
	cl, err := c.connect(e, &c.remote)
	if err != nil {
		return err
	}
	var s web.SessionDetail
	if err := cl.get(e.ctx, "/api/v1/sessions/"+url.PathEscape(c.ID), &s); err != nil {
		return err
	}
	if c.json() {
		return writeJSON(e.Out, s)
	}
	e.printf("session    %s\nprincipal  %s (%s) of %s\ntarget     %s (%s) %s\nclient     %s\nstarted    %s, lasted %s %s\npolicy     %s\n\n",
		s.ID, s.Subject, s.Principal, s.Issuer, s.Target, s.Kind, s.Database, s.Client, when(s.Started), lasted(&s.Session), s.EndReason, s.Revision)
	var rows [][]string
	for _, o := range s.Operation {
		what := o.Status
		if o.Effect != "allow" {
			what = o.Effect + " " + o.Code
		}
		rows = append(rows, []string{o.At.Local().Format("15:04:05.000"), o.Action, what, strconv.FormatUint(o.Rows, 10), strconv.FormatFloat(o.Millis, 'f', 1, 64), o.Text})
	}
	return table(e.Out, []string{"AT", "ACTION", "RESULT", "ROWS", "MS", "TEXT"}, rows)
}

type replayCmd struct {
	output
	remote
	signIn
	ID   string `arg:"" help:"Id of the session, or the beginning of it."`
	Rows int    `default:"20" help:"Rows printed of each result; -1 prints all."`
}

// Run implements the command.
func (c *replayCmd) Run(e *env) error {
	cl, err := c.connect(e, &c.remote)
	if err != nil {
		return err
	}
	body, err := cl.do(e.ctx, http.MethodGet, "/api/v1/sessions/"+url.PathEscape(c.ID)+"/replay", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	if c.json() {
		_, err := io.Copy(e.Out, body)
		return err
	}
	return replay.Print(e.Out, items(body), replay.Options{Rows: c.Rows})
}

// items reads a replay's lines.
func items(r io.Reader) iter.Seq2[web.ReplayItem, error] {
	return func(yield func(web.ReplayItem, error) bool) {
		lines := bufio.NewReader(r)
		for {
			line, err := lines.ReadBytes('\n')
			if len(bytes.TrimSpace(line)) > 0 {
				var one struct {
					web.ReplayItem
					Error string `json:"error"`
				}
				if failed := json.Unmarshal(line, &one); failed != nil {
					yield(web.ReplayItem{}, failed)
					return
				}
				if one.Error != "" {
					yield(web.ReplayItem{}, errors.New("the replay broke off: "+one.Error))
					return
				}
				if !yield(one.ReplayItem, nil) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(web.ReplayItem{}, err)
				return
			}
		}
	}
}
