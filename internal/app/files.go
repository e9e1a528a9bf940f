package app

import (
	"os"
	"path/filepath"
)

// libCHDB is the name of the library that the embedded ClickHouse is in.
const libCHDB = "libchdb.so"

// findEngine says where the embedded ClickHouse is: named by the environment,
// beside this program, or where the project's own set-up puts it. "" where it is
// nowhere.
func findEngine(self string) string {
	candidates := []string{os.Getenv("WEIR_LIBCHDB"), filepath.Join(filepath.Dir(self), libCHDB)}
	for _, folder := range partFolders(self) {
		found, _ := filepath.Glob(filepath.Join(folder, "chdb-*", "lib", libCHDB)) // the pattern is well-formed
		candidates = append(candidates, found...)
	}
	return firstFile(candidates)
}

// envoyFallbacks are the Envoys to try where PATH has none: one beside this program.
func envoyFallbacks(self string) []string {
	beside := filepath.Join(filepath.Dir(self), "envoy")
	if firstFile([]string{beside}) == "" {
		return nil
	}
	return []string{beside}
}

// partFolders are where `make` unpacks programs, seen from the program that it
// builds and from the folder in which one works.
func partFolders(self string) []string {
	return []string{filepath.Join(filepath.Dir(self), "..", "parts"), filepath.Join(".weir", "parts")}
}

func firstFile(candidates []string) string {
	for _, c := range candidates {
		if info, err := os.Stat(c); c != "" && err == nil && !info.IsDir() {
			return c
		}
	}
	return ""
}
