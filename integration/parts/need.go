package parts

import (
	"context"
	"testing"
)

// Need gives a test the parts it runs against, and sets them up if they are
// not there. Under -short it does not fetch: a test whose parts are missing is
// skipped.
func Need(t testing.TB, names ...string) Paths {
	t.Helper()
	if testing.Short() {
		paths, err := Find(names...)
		if err != nil {
			t.Skip(err)
		}
		return paths
	}
	paths, err := Ensure(context.Background(), names...)
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
