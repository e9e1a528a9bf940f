package stage

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/weir-gateway/weir/integration/parts"
)

// Settings fill the configuration's template.
type Settings struct {
	Data           string // folder, relative to the configuration
	Issuer         string
	Identity       string // further lines of identity, indented by two
	DatabaseListen string // host:port of the gateway for psql
	Database       string // host:port of PostgreSQL
	CA             string // file that signed the certificates of both
	APIListen      string // host:port of the gateway for curl
	API            string // URL of the customers API
	Web            string // host:port
	Policy         string // folder
	Classification string // file
	Transport      string // of the target shop and of AddSuperuserTarget, "" for the default
	Shop           string // further lines of the target shop, indented by four
	Targets        string // further targets, indented by two
	Extra          string // YAML at top level
}

// settings is the configuration as a user would write it.
var settings = template.Must(template.New("weir.yaml").Parse(`data: {{.Data}}
identity:
  issuers:
    - url: {{.Issuer}}
      audiences: [weir]
      kind: {agent: {idtyp: app}, human: {idtyp: user}}
{{.Identity}}targets:
  shop:
    kind: postgres
    listen: {{.DatabaseListen}}
    upstream:
      address: {{.Database}}
      user: weir_shop
      password: secret:shop
      database: shop
      tls: verify-full
      ca: file:{{.CA}}
      server_name: localhost
    labels: {env: demo}
{{with .Transport}}    transport: {{.}}
{{end}}{{.Shop}}  customers-api:
    kind: http
    listen: {{.APIListen}}
    upstream: {url: {{.API}}, ca: file:{{.CA}}}
    headers: {Authorization: "Bearer {{"{{"}}secret:customers-api{{"}}"}}"}
{{.Targets}}policy: {bundle: {{.Policy}}, classification: {{.Classification}}}
web: {listen: {{.Web}}, readers: [group:audit]}
{{.Extra}}`))

// ConfigFile is the gateway's configuration.
func (s *Stage) ConfigFile() string { return s.Path("weir.yaml") }

func (s *Stage) configure(ctx context.Context, o *Options) error {
	root, err := parts.Root()
	if err != nil {
		return err
	}
	s.Settings = Settings{
		Data: "weir-data", Issuer: s.Issuer.URL, Database: s.Postgres.Addr(), CA: "ca.crt",
		API: s.Settings.API, Transport: o.Transport,
		Policy:         filepath.Join(filepath.Dir(root), "examples", "shop", "policy"),
		Classification: filepath.Join(filepath.Dir(root), "examples", "shop", "classification.yaml"),
	}
	for _, address := range []*string{&s.Settings.DatabaseListen, &s.Settings.APIListen, &s.Settings.Web} {
		var err error
		if *address, err = FreeAddress(); err != nil {
			return err
		}
	}
	if o.Edit != nil {
		o.Edit(&s.Settings)
	}
	if err := s.WriteConfig(); err != nil {
		return err
	}
	for name, value := range Credentials() {
		if out, err := s.Weir(ctx, strings.NewReader(value), "secret", "set", name); err != nil {
			return fmt.Errorf("weir secret set %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// WriteConfig writes the configuration from the settings of now.
func (s *Stage) WriteConfig() error {
	var b bytes.Buffer
	if err := settings.Execute(&b, s.Settings); err != nil {
		return err
	}
	return os.WriteFile(s.ConfigFile(), b.Bytes(), 0o600)
}
