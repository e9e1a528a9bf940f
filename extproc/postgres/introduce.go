package postgres

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// Introduce says what the server is told of who is really there, beyond the one
// user that the gateway signs in as.
type Introduce struct {
	Name     bool // application_name is who it is
	Settings bool // weir.subject and the others of ownSettings are set
}

const (
	// maxName is how much of application_name the server keeps, in bytes
	// (NAMEDATALEN - 1).
	maxName = 63
	// maxIntroduction bounds what the settings say, in bytes: they must fit into a
	// StartupMessage beside the client's own.
	maxIntroduction = 6000
)

const (
	appSetting = "application_name"
	ownPrefix  = "weir."
)

// introduce adds who is there to the settings for the server. They come last, and
// what comes last counts; as they are the session's defaults, RESET ALL and
// DISCARD ALL lead back to them.
func (h *Handler) introduce(s *gate.Session, p *startupParams) error {
	if h.cfg.Introduce.Name {
		p.settings = append(p.settings, setting{appSetting, shownName(s.Principal.Subject, p.app)})
	}
	if !h.cfg.Introduce.Settings {
		return nil
	}
	own, err := ownSettings(s)
	if err != nil {
		return err
	}
	size := 0
	for _, one := range own {
		size += len(one.name) + len(one.value) + 2
		if !plain(one.value) {
			return fatal(codeInvalidAuth, "the gateway cannot tell the server who you are: %s holds characters that cannot be told", one.name)
		}
	}
	if size > maxIntroduction {
		return fatal(codeInvalidAuth, "the gateway cannot tell the server who you are: that takes %d bytes, and at most %d are told", size, maxIntroduction).
			withHint("Sign in with fewer roles.")
	}
	p.settings = append(p.settings, own...)
	return nil
}

// ownSettings are the settings that name a principal and its session.
func ownSettings(s *gate.Session) ([]setting, error) {
	roles, err := json.Marshal(s.Principal.Roles)
	if err != nil {
		return nil, err
	}
	kind := s.Principal.Kind
	if kind == "" {
		kind = gate.Agent
	}
	return []setting{
		{ownPrefix + "subject", s.Principal.Subject},
		{ownPrefix + "issuer", s.Principal.Issuer},
		{ownPrefix + "kind", string(kind)},
		{ownPrefix + "roles", string(roles)},
		{ownPrefix + "session", s.ID},
	}, nil
}

// plain says that the server reads a text as it is, and that it stays one line of
// its log.
func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// shownName is who is there and with what, as the server shows it: printable
// ASCII, at most maxName bytes. The subject comes first and is cut last.
func shownName(subject, app string) string {
	printableASCII := func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}
	name := strings.Map(printableASCII, subject)
	if len(name) > maxName {
		return name[:maxName-3] + "..."
	}
	if app = strings.Map(printableASCII, app); app == "" {
		return name
	}
	if whole := name + " (" + app + ")"; len(whole) <= maxName {
		return whole
	}
	return name
}

// Risks that a statement carries where the server is told who is there.
const (
	// riskIdentitySetting: it changes what the server was told, or a setting of
	// which it is not known which it is.
	riskIdentitySetting = "identity_setting"
	// riskIdentityHidden: it runs code in which such a change may hide, or makes it.
	riskIdentityHidden = "identity_hidden"
)

// hiding are the risks of what may change a setting without saying so. A way to
// another server may lead back to this one, with other settings.
var hiding = []string{
	sqlmeta.RiskDynamicSQL, sqlmeta.RiskOpaqueFunction, sqlmeta.RiskUnknownFunction, sqlmeta.RiskCode, sqlmeta.RiskUnparsed,
	sqlmeta.RiskRemote,
}

// guarded is shapeOf with the risks that a text has for what the server was told.
func (h *Handler) guarded(an *sqlmeta.Analysis, class Classification, catalog sqlmeta.Catalog, resolve resolver) (*shape, error) {
	sh, err := shapeOf(h.cfg.Target.Name, an, class, catalog, resolve)
	if err == nil {
		h.cfg.Introduce.guard(sh)
	}
	return sh, err
}

// guard adds the risks that a text has for what the server was told.
func (i Introduce) guard(sh *shape) {
	changes := slices.ContainsFunc(sh.sql.Settings, func(name string) bool {
		return name == sqlmeta.AnySetting && i != Introduce{} || i.Settings && strings.HasPrefix(name, ownPrefix) || i.Name && name == appSetting
	})
	if changes {
		sh.addRisk(riskIdentitySetting)
	}
	if !i.Settings {
		return
	}
	hides := slices.ContainsFunc(sh.risks, func(r string) bool { return slices.Contains(hiding, r) })
	// A function that may be another than the one that was found.
	hides = hides || len(sh.sql.Functions) > 0 && slices.Contains(sh.risks, sqlmeta.RiskAfterChange)
	// A view of pg_settings may be written, which changes settings; a temporary one
	// is not in the catalog, so that nobody would see that later. What is made under
	// that name would be taken for it, or it for that while the path is not certain.
	hides = hides || (sh.ddl || slices.Contains(sh.risks, sqlmeta.RiskAfterChange)) &&
		slices.ContainsFunc(sh.sql.Tables, func(t gate.Table) bool { return t.Name == "pg_settings" })
	if hides || sh.unfound {
		sh.addRisk(riskIdentityHidden)
	}
}

func (s *shape) addRisk(name string) {
	if !slices.Contains(s.risks, name) {
		s.risks = append(s.risks, name)
	}
}
