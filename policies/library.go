package policies

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

//go:embed rego/weir/*.rego
var libraryFS embed.FS

//go:embed schema/input.json
var inputSchema []byte

// libraryPrefix keeps the library's files apart from a user's.
const libraryPrefix = "weir:"

// entrypoint is the one rule that is asked.
const entrypoint = "data.weir.decision"

// library is the shipped Rego, read once.
type library struct {
	files  []file // in order of path
	tests  []file
	schema any
}

// shipped reads the library. It cannot fail but by a mistake in this package.
var shipped = sync.OnceValues(func() (*library, error) {
	lib := &library{}
	err := fs.WalkDir(libraryFS, "rego", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := libraryFS.ReadFile(name)
		f := file{path: libraryPrefix + strings.TrimPrefix(name, "rego/weir/"), text: text}
		if f.isTest() {
			lib.tests = append(lib.tests, f)
		} else {
			lib.files = append(lib.files, f)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(inputSchema, &lib.schema); err != nil {
		return nil, fmt.Errorf("input schema: %w", err)
	}
	return lib, nil
})

// InputSchema is the JSON Schema (draft-07) of what policy is shown.
func InputSchema() []byte { return append([]byte(nil), inputSchema...) }

// parseRego parses one file as Rego v1 within the given capabilities.
func parseRego(f file, caps *ast.Capabilities) (*ast.Module, error) {
	return ast.ParseModuleWithOpts(f.path, string(f.text), ast.ParserOptions{
		RegoVersion:       ast.RegoV1,
		Capabilities:      caps,
		ProcessAnnotation: true,
	})
}
