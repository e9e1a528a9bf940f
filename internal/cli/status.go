package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/weir-gateway/weir/internal/app"
)

type statusCmd struct {
	output
	remote
	signIn
}

// Run implements the command. It fails while a part is not ready.
func (c *statusCmd) Run(e *env) error {
	cl, err := c.connect(e, &c.remote)
	if err != nil {
		return err
	}
	var s app.Status
	if err := cl.get(e.ctx, "/api/v1/status", &s); err != nil {
		return err
	}
	if c.json() {
		if err := writeJSON(e.Out, s); err != nil {
			return err
		}
	} else {
		e.printf("weir %s, up since %s\nconfiguration %s\npolicy        %s\n", s.Version, when(s.Started), short(s.Config), short(s.Policy))
		for _, line := range s.Problems {
			e.printf("problem       %s\n", line)
		}
		e.printf("\n")
		var rows [][]string
		for _, part := range s.Parts {
			rows = append(rows, []string{part.Name, ready(part.Ready), part.Note})
		}
		if err := table(e.Out, []string{"PART", "READY", "NOTE"}, rows); err != nil {
			return err
		}
		e.printf("\n")
		rows = nil
		for _, t := range s.Targets {
			rows = append(rows, []string{t.Name, t.Kind, t.Listen, cmp.Or(t.Transport, "-"), t.Upstream})
		}
		if err := table(e.Out, []string{"TARGET", "KIND", "LISTEN", "TRANSPORT", "UPSTREAM"}, rows); err != nil {
			return err
		}
	}
	var down []string
	for _, part := range s.Parts {
		if !part.Ready {
			down = append(down, part.Name)
		}
	}
	if len(down) > 0 {
		return reported{fmt.Errorf("not ready: %s", strings.Join(down, ", "))}
	}
	return nil
}

func ready(ok bool) string {
	if ok {
		return "yes"
	}
	return "NO"
}

func short(revision string) string { return revision[:min(len(revision), 12)] }
