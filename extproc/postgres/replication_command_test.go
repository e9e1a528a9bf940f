package postgres

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseCommand(t *testing.T) {
	commands := map[string]string{ // text → name, plugin and options as they were understood
		"IDENTIFY_SYSTEM":              "IDENTIFY_SYSTEM",
		" \t\r\n\f\vIDENTIFY_SYSTEM ;": "IDENTIFY_SYSTEM",
		"SHOW data_directory_mode":     "SHOW",
		"SHOW weir . subject;":         "SHOW",
		"READ_REPLICATION_SLOT one":    "READ_REPLICATION_SLOT",
		"TIMELINE_HISTORY 2":           "TIMELINE_HISTORY",
		"UPLOAD_MANIFEST":              "UPLOAD_MANIFEST",
		`CREATE_REPLICATION_SLOT "a""b" TEMPORARY LOGICAL pgoutput`:                              "CREATE_REPLICATION_SLOT pgoutput",
		`CREATE_REPLICATION_SLOT s LOGICAL "/tmp/X" USE_SNAPSHOT`:                                "CREATE_REPLICATION_SLOT /tmp/X",
		"CREATE_REPLICATION_SLOT s PHYSICAL RESERVE_WAL":                                         "CREATE_REPLICATION_SLOT",
		"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL true)":                                  "CREATE_REPLICATION_SLOT reserve_wal=true",
		"CREATE_REPLICATION_SLOT s LOGICAL p (SNAPSHOT 'use', TWO_PHASE)":                        "CREATE_REPLICATION_SLOT p snapshot=use two_phase=",
		"ALTER_REPLICATION_SLOT s (FAILOVER true)":                                               "ALTER_REPLICATION_SLOT failover=true",
		"DROP_REPLICATION_SLOT s WAIT":                                                           "DROP_REPLICATION_SLOT",
		"START_REPLICATION 0/0":                                                                  "START_REPLICATION",
		"START_REPLICATION SLOT s PHYSICAL 1A/FF00 TIMELINE 1":                                   "START_REPLICATION",
		"START_REPLICATION SLOT s LOGICAL A/b (proto_version '1', publication_names 'it''s', x)": "START_REPLICATION proto_version=1 publication_names=it's x=",
		"BASE_BACKUP": "BASE_BACKUP",
		"BASE_BACKUP ( LABEL 'x', PROGRESS, CHECKPOINT 'fast', MAX_RATE 32, WAL 0, TARGET 'server')": "BASE_BACKUP checkpoint=fast label=x max_rate=32 progress= target=server wal=0",
		"BASE_BACKUP LABEL 'x' PROGRESS FAST MAX_RATE 32 MANIFEST 'yes'":                             "BASE_BACKUP",
	}
	for text, want := range commands {
		c, err := parseCommand(text)
		if err != nil || c == nil {
			t.Errorf("%s: %v, %v", text, c, err)
			continue
		}
		if diff := cmp.Diff(want, understood(c)); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	for _, text := range []string{ // that begin as a command does
		"IDENTIFY_SYSTEM x", "IDENTIFY_SYSTEM; SELECT 1", "SHOW", "SHOW a, b", "SHOW a; SELECT 1", "SHOW 'a'", "SHOW ALL WAIT", "SHOW SLOT",
		"READ_REPLICATION_SLOT", "TIMELINE_HISTORY x", "UPLOAD_MANIFEST ()", "CREATE_REPLICATION_SLOT s", "CREATE_REPLICATION_SLOT s LOGICAL",
		"CREATE_REPLICATION_SLOT 's' PHYSICAL", "CREATE_REPLICATION_SLOT s PHYSICAL ()", "CREATE_REPLICATION_SLOT s PHYSICAL (a", "ALTER_REPLICATION_SLOT s",
		"DROP_REPLICATION_SLOT", "START_REPLICATION", "START_REPLICATION LOGICAL 0/0", "START_REPLICATION SLOT s LOGICAL 0/0 (a b)",
		"START_REPLICATION SLOT s LOGICAL 0/0 (SLOT 'x')", "START_REPLICATION 0/G", "START_REPLICATION 0/0 -- on", "BASE_BACKUP (LABEL 'x'",
		"BASE_BACKUP (LABEL 'x'); DROP TABLE customers", "SHOW a /* on */", "IDENTIFY_SYSTEM 'open", `SHOW "open`,
	} {
		if c, err := parseCommand(text); err == nil {
			t.Errorf("%s is taken for %v", text, c)
		}
	}
	for _, text := range []string{ // that are SQL to the server
		"", ";", "SELECT 1", "identify_system", "show x", `"IDENTIFY_SYSTEM"`, "-- x\nIDENTIFY_SYSTEM", "/* */ IDENTIFY_SYSTEM", "(IDENTIFY_SYSTEM)",
		"IDENTIFY_SYSTEMS", "IDENTIFY_SYSTEM$", "IDENTIFY_SYSTEMé", "SLOT", "TIMELINE 1", "12 SHOW", "SHOW\u00a0x", "'SHOW' x", "\xffSHOW x", ";SHOW x",
	} {
		if c, err := parseCommand(text); c != nil || err != nil {
			t.Errorf("%q is taken for %v, %v", text, c, err)
		}
	}
}

func understood(c *command) string {
	words := []string{c.name}
	if c.plugin != "" {
		words = append(words, c.plugin)
	}
	for _, name := range slices.Sorted(maps.Keys(c.options)) {
		words = append(words, name+"="+c.options[name])
	}
	return strings.Join(words, " ")
}

// Whatever a text is, it is read to its end; and no text whose first word is a
// command's is ever taken for SQL, which the server would not see in it.
func FuzzParseCommand(f *testing.F) {
	for _, text := range []string{
		"IDENTIFY_SYSTEM", "SHOW a.b;", "START_REPLICATION SLOT s LOGICAL 0/1 (a 'b')", "BASE_BACKUP (LABEL 'x', WAL)",
		"CREATE_REPLICATION_SLOT \"s\" TEMPORARY LOGICAL p USE_SNAPSHOT", "'", "\"a\"\"", "SELECT 'SHOW'", "BASE_BACKUP FAST MAX_RATE 3",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCommand(text)
		first := strings.TrimLeft(text, " \t\n\r\f\v")
		name := first[:nameLength(first)]
		switch known := commandForms[name] != nil && !strings.HasPrefix(first[len(name):], "/"); {
		case c != nil && c.name != name:
			t.Errorf("%q is taken for %s", text, c.name)
		case known && c == nil && err == nil:
			t.Errorf("%q is taken for SQL", text)
		}
		again, errAgain := parseCommand(" " + text)
		if (err == nil) != (errAgain == nil) || err == nil && !cmp.Equal(c, again, cmp.AllowUnexported(command{})) {
			t.Errorf("%q is %v, %v and with a blank %v, %v", text, c, err, again, errAgain)
		}
		if c != nil { // more behind it is never overlooked
			if more, err := parseCommand(text + " ; SELECT 1"); err == nil {
				t.Errorf("%q and more is taken for %v", text, more)
			}
		}
	})
}
