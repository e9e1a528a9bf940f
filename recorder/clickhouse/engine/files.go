package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// The accounts of the engine. Owner may do everything. Auditor may read the
// views of database weir.
const (
	Owner   = "weir"
	Auditor = "auditor"
)

// AuditorFile, in the engine's folder, holds the URL (with the password) at which
// the auditor's account reaches the running engine over HTTP.
const AuditorFile = "auditor.url"

var funcs = template.FuncMap{"xml": template.HTMLEscapeString}

// serverConfig is the engine's configuration. It is small on purpose: the engine
// shares the machine with the gateway.
//
// A merge costs a row as much as its insert, so 20 parts are merged at a time
// instead of 5: a row is merged two or three times in its life, not seven times.
// A part that comes fresh from an insert is one file for all columns, whatever
// its size, as each file has its fsync. Statistics for the planner of joins, which
// are made at each insert, have no use here.
var serverConfig = template.Must(template.New("config.xml").Funcs(funcs).Parse(`<clickhouse>
  <users_config>{{xml .Dir}}/users.xml</users_config>
  <path>{{xml .Dir}}</path>
  <listen_host>127.0.0.1</listen_host>
  <tcp_port>{{.Native}}</tcp_port>
  <http_port>{{.HTTP}}</http_port>
  <logger><console>1</console><console_log_level>warning</console_log_level></logger>
  <max_server_memory_usage>{{.MaxMemory}}</max_server_memory_usage>
  <mark_cache_size>67108864</mark_cache_size>
  <background_pool_size>2</background_pool_size>
  <background_merges_mutations_concurrency_ratio>1</background_merges_mutations_concurrency_ratio>
  <background_schedule_pool_size>8</background_schedule_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <asynchronous_metrics_update_period_s>60</asynchronous_metrics_update_period_s>
  <merge_tree>
    <min_parts_to_merge_at_once>20</min_parts_to_merge_at_once>
    <min_level_for_wide_part>1</min_level_for_wide_part>
    <auto_statistics_types></auto_statistics_types>
  </merge_tree>
</clickhouse>
`))

// usersConfig makes the accounts. The engine starts its own queries as "default",
// which has no password: it may do nothing but that, and its session is the only one.
var usersConfig = template.Must(template.New("users.xml").Parse(`<clickhouse>
  <profiles>
    <default/>
    <reader><readonly>2</readonly></reader>
    <starter><max_sessions_for_user>1</max_sessions_for_user></starter>
  </profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <no_password/>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>starter</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT SYSTEM LISTEN ON *.*</query>
        <query>GRANT SELECT ON system.numbers</query>
      </grants>
    </default>
    <weir>
      <password_sha256_hex>{{.OwnerHash}}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </weir>
    <auditor>
      <password_sha256_hex>{{.AuditorHash}}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>reader</profile>
      <quota>default</quota>
      <grants>
{{- range .AuditorViews}}
        <query>GRANT SELECT ON weir.{{.}}</query>
{{- end}}
      </grants>
    </auditor>
  </users>
</clickhouse>
`))

// writeFiles writes the engine's configuration and returns its arguments.
func (s *Supervisor) writeFiles() ([]string, error) {
	native, http := s.ports()
	values := map[string]any{
		"Dir": s.cfg.Dir, "Native": native, "HTTP": http, "MaxMemory": s.cfg.MaxMemory,
		"OwnerHash": hash(s.owner), "AuditorHash": hash(s.auditor), "AuditorViews": s.cfg.AuditorViews,
	}
	for _, t := range []*template.Template{serverConfig, usersConfig} {
		var text strings.Builder
		if err := t.Execute(&text, values); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(s.cfg.Dir, t.Name()), []byte(text.String()), 0o600); err != nil {
			return nil, err
		}
	}
	url := fmt.Sprintf("http://%s:%s@127.0.0.1:%d/?database=weir\n", Auditor, s.auditor, http)
	if err := os.WriteFile(filepath.Join(s.cfg.Dir, AuditorFile), []byte(url), 0o600); err != nil {
		return nil, err
	}
	return []string{
		"--config-file=" + filepath.Join(s.cfg.Dir, "config.xml"),
		"--query=SYSTEM START LISTEN HTTP",
		"--query=SYSTEM START LISTEN TCP", // the last: it answers when all is there
		// Keeps it running; it ends with the pipe (Serve).
		"--query=SELECT sleepEachRow(3) FROM system.numbers FORMAT Null SETTINGS max_block_size=1, function_sleep_max_microseconds_per_block=0",
	}, nil
}

func hash(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}
