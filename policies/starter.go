package policies

import (
	"embed"
	"io/fs"
)

//go:embed starter/*.rego
var starterFS embed.FS

// Starter is a bundle to begin with: rules that fit a database of customers and
// orders, and their tests.
func Starter() (fs.FS, error) { return fs.Sub(starterFS, "starter") }
