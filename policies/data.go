package policies

import (
	"fmt"
	"path"
	"strings"

	"github.com/open-policy-agent/opa/v1/util"
)

// readData merges the data files of a bundle into one document, as OPA does:
// the folder of a file is where its content goes.
func readData(files []file) (map[string]any, []Problem) {
	root := map[string]any{}
	var problems []Problem
	for _, f := range files {
		if !f.isData() {
			continue
		}
		var content any
		decode := util.UnmarshalJSON
		if path.Ext(f.path) != ".json" {
			decode = util.Unmarshal
		}
		if err := decode(f.text, &content); err != nil {
			problems = append(problems, Problem{File: f.path, Code: "data", Message: err.Error()})
			continue
		}
		if err := mergeAt(root, folders(f.path), content); err != nil {
			problems = append(problems, Problem{File: f.path, Code: "data", Message: err.Error()})
		}
	}
	if _, taken := root["weir"]; taken {
		// data.weir.rules.x.allow: true in a data file would be an allow.
		problems = append(problems, Problem{Code: "data_taken", Message: "data.weir is the library's: put data elsewhere, like data.teams"})
	}
	return root, problems
}

// folders are the names of the folders that a file is in.
func folders(name string) []string {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	return strings.Split(dir, "/")
}

// mergeAt puts content into root below the given names.
func mergeAt(root map[string]any, names []string, content any) error {
	for i := len(names) - 1; i >= 0; i-- {
		content = map[string]any{names[i]: content}
	}
	object, ok := content.(map[string]any)
	if !ok {
		return fmt.Errorf("the top of the data must be an object")
	}
	return merge(root, object, "data")
}

func merge(into, from map[string]any, where string) error {
	for k, v := range from {
		have, exists := into[k]
		if !exists {
			into[k] = v
			continue
		}
		a, aok := have.(map[string]any)
		b, bok := v.(map[string]any)
		if !aok || !bok {
			return fmt.Errorf("%s.%s is there already from another file", where, k)
		}
		if err := merge(a, b, where+"."+k); err != nil {
			return err
		}
	}
	return nil
}
