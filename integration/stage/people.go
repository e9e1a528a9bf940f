package stage

import (
	"github.com/weir-gateway/weir/integration/issuer"
)

// The people and programs of the shop.
const (
	Agent    = "support-agent" // an agent: reads, masked
	Analyst  = "privacy-agent" // an agent that may see ssn and card
	Approver = "ann"           // a human, database administrator
	Auditor  = "eve"           // a human, reads sessions
)

// Secret is the client secret or password of everybody on the stage.
func Secret(who string) string { return "only for the demo: " + who }

func people() issuer.Config {
	groups := func(names ...string) []any {
		out := make([]any, len(names))
		for i, n := range names {
			out[i] = n
		}
		return out
	}
	return issuer.Config{
		Clients: []issuer.Client{
			{ID: Agent, Secret: Secret(Agent), Claims: map[string]any{"idtyp": "app", "groups": groups("support")}},
			{ID: Analyst, Secret: Secret(Analyst), Claims: map[string]any{"idtyp": "app", "groups": groups("support", "privacy")}},
			{ID: "weir-cli", Device: true},
		},
		Users: []issuer.User{
			{Name: Approver, Password: Secret(Approver), Claims: map[string]any{"idtyp": "user", "groups": groups("dba")}},
			{Name: Auditor, Password: Secret(Auditor), Claims: map[string]any{"idtyp": "user", "groups": groups("audit")}},
		},
	}
}
