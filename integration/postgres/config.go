package postgres

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writeConfig writes postgresql.conf and pg_hba.conf whole, and the files of
// TLS, into the data folder.
func writeConfig(data string, port int, o Options) error {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    fmt.Sprint(port),
		"unix_socket_directories": "",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"password_encryption":     "scram-sha-256",
	}
	if o.Auth == MD5 {
		settings["password_encryption"] = "md5"
		settings["md5_password_warnings"] = "off"
	}
	if !o.Durable {
		maps.Copy(settings, map[string]string{"fsync": "off", "full_page_writes": "off"})
	}
	files := map[string][]byte{"pg_hba.conf": []byte(hba(o))}
	if o.TLS != nil {
		maps.Copy(settings, map[string]string{"ssl": "on", "ssl_cert_file": "server.crt", "ssl_key_file": "server.key"})
		files["server.crt"], files["server.key"] = o.TLS.Cert, o.TLS.Key
		if len(o.TLS.ClientCA) > 0 {
			settings["ssl_ca_file"] = "clients.crt"
			files["clients.crt"] = o.TLS.ClientCA
		}
	}
	maps.Copy(settings, o.Settings)
	files["postgresql.conf"] = []byte(conf(settings))
	for name, content := range files {
		path := filepath.Join(data, name)
		// A file of an earlier start may belong to the server's user alone.
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
		if err := own(path); err != nil {
			return err
		}
	}
	return nil
}

func conf(settings map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	return b.String()
}

func hba(o Options) string {
	lines := o.HBA
	if len(lines) == 0 {
		lines = []string{fmt.Sprintf("host all all 127.0.0.1/32 %s", o.Auth)}
	}
	return strings.Join(lines, "\n") + "\n"
}
