package parts

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"strings"
)

// Names of the parts in lock.json.
const (
	Envoy    = "envoy"    // the Envoy proxy
	Postgres = "postgres" // PostgreSQL's server programs: postgres, initdb, pg_ctl
	Clients  = "clients"  // psql, pgbench, pg_dump, pg_restore, pg_isready
	CHDB     = "chdb"     // libchdb.so, the ClickHouse engine as a library
)

//go:embed lock.json
var lockJSON []byte

// part is one entry of the lock: a program or library in one version.
type part struct {
	Name     string             `json:"name"`
	Version  string             `json:"version"`
	Client   string             `json:"client"`   // pip or npm
	Override string             `json:"override"` // environment variable that names the user's own
	OnPath   string             `json:"onPath"`   // program looked up on PATH where no archive exists
	Needs    string             `json:"needs"`    // part that must be there first, for overlay
	Archives map[string]archive `json:"archives"` // by GOOS/GOARCH

	Files      map[string]string `json:"files"`      // name in the archive → name in the part; a trailing slash takes the folder
	Drop       []string          `json:"drop"`       // patterns of names in the part that are left out
	Executable []string          `json:"executable"` // patterns of names in the part that get mode 0755
	Links      string            `json:"links"`      // JSON list of symbolic links that the archive could not hold
	Overlay    map[string]string `json:"overlay"`    // file of the part Needs → file laid over this part
	Programs   []string          `json:"programs"`   // linked from .weir/bin
}

// archive is what a package client downloads for one platform.
type archive struct {
	Tried   bool   `json:"tried"`   // the whole set-up has been run on this platform
	Package string `json:"package"` // as the client is asked for it, version included
	Tag     string `json:"tag"`     // pip's platform tag
	File    string `json:"file"`
	Digest  string `json:"digest"` // sha256-<hex> or sha512-<base64>
	Bytes   int64  `json:"bytes"`  // for the progress line only
}

type lock struct {
	Parts []part `json:"parts"`
}

func parseLock(raw []byte) (*lock, error) {
	var l lock
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return nil, fmt.Errorf("lock.json: %w", err)
	}
	return &l, nil
}

func (l *lock) part(name string) (*part, error) {
	for i := range l.Parts {
		if l.Parts[i].Name == name {
			return &l.Parts[i], nil
		}
	}
	return nil, fmt.Errorf("no part is named %q: %s", name, strings.Join(l.names(), ", "))
}

func (l *lock) names() []string {
	names := make([]string, len(l.Parts))
	for i := range l.Parts {
		names[i] = l.Parts[i].Name
	}
	return names
}

func (p *part) dir() string { return p.Name + "-" + p.Version }

// stamp identifies everything that an unpacked part depends on, so that a
// change of the lock unpacks it anew.
func (p *part) stamp(platform string) string {
	raw, err := json.Marshal(struct {
		Part    part
		Archive archive
	}{*p, p.Archives[platform]})
	if err != nil {
		return "" // cannot happen: strings and maps of strings only
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// destination is where a file of the archive goes in the part, if anywhere.
func (p *part) destination(name string) (string, bool) {
	dst, ok := p.Files[name]
	if !ok {
		for from, to := range p.Files {
			if rest, under := strings.CutPrefix(name, from); under && strings.HasSuffix(from, "/") {
				dst, ok = to+rest, true
			}
		}
	}
	if !ok || dst == "" || matches(p.Drop, dst) {
		return "", false
	}
	return dst, true
}

func (p *part) executable(name string) bool { return matches(p.Executable, name) }

// matches tells whether a pattern matches the name: "*.a" by its base name,
// "dir/*" everything below dir.
func matches(patterns []string, name string) bool {
	for _, pattern := range patterns {
		if folder, below := strings.CutSuffix(pattern, "/*"); below {
			if strings.HasPrefix(name, folder+"/") {
				return true
			}
			continue
		}
		if ok, _ := path.Match(pattern, path.Base(name)); ok || pattern == name {
			return true
		}
	}
	return false
}
