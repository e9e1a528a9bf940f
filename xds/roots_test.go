package xds

import (
	"path/filepath"
	"testing"
)

func TestSystemRootsCanBeNamed(t *testing.T) {
	file := processorFiles(t).CA
	t.Setenv("SSL_CERT_FILE", file)
	if got := SystemRoots(); got != file {
		t.Errorf("got %q", got)
	}
	t.Setenv("SSL_CERT_FILE", filepath.Join(filepath.Dir(file), "none"))
	if got := SystemRoots(); got != "" {
		t.Errorf("got %q", got)
	}
}
