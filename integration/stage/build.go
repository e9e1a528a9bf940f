package stage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/weir-gateway/weir/integration/parts"
)

// TempDir makes a temporary folder in which stages may lie. Everyone may pass: as
// root, PostgreSQL runs as another user.
func TempDir(pattern string) (string, error) {
	dir, err := os.MkdirTemp("", pattern)
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711)
}

// Build builds the gateway into a folder, as `make build` does, and returns the
// program.
func Build(ctx context.Context, dir string) (string, error) {
	root, err := parts.Root()
	if err != nil {
		return "", err
	}
	weir := filepath.Join(dir, "weir")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", weir, "./cmd/weir")
	cmd.Dir = filepath.Dir(root)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building weir: %w\n%s", err, out)
	}
	return weir, nil
}
