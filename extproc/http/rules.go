package http

import (
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/mask"
)

// rules are the masks of one decision, bound to the paths of this target.
type rules struct {
	json     *mask.JSON
	unmasked []string // classes that this target holds and that stay as they are

	mu     sync.Mutex
	masked map[string]int
}

// newRules binds the decision's masks. A mask by column says nothing of JSON.
func newRules(d *gate.Decision, classified []ClassPath, m *mask.Masker) (*rules, error) {
	r := &rules{masked: map[string]int{}}
	var bound []mask.Rule
	for _, c := range classified {
		if class, spec, ok := strictest(d.Mask, c.Classes); ok {
			bound = append(bound, mask.Rule{Path: c.Path, Class: class, Spec: toSpec(spec)})
		} else {
			r.unmasked = append(r.unmasked, c.Classes...)
		}
	}
	for _, want := range d.Mask {
		if want.Path == "" {
			continue
		}
		path, err := mask.ParsePath(want.Path)
		if err != nil {
			return nil, err
		}
		bound = append(bound, mask.Rule{Path: path, Class: want.Path, Spec: toSpec(want.MaskSpec)})
	}
	if len(bound) == 0 {
		return r, nil
	}
	var err error
	r.json, err = m.JSON(bound)
	return r, err
}

// strictest combines the masks that name one of the classes.
func strictest(masks []gate.Mask, classes []string) (class string, s gate.MaskSpec, ok bool) {
	for _, m := range masks {
		switch {
		case m.Class == "" || !slices.Contains(classes, m.Class):
		case ok:
			s = s.Stricter(m.MaskSpec)
		default:
			class, s, ok = m.Class, m.MaskSpec, true
		}
	}
	return class, s, ok
}

func toSpec(s gate.MaskSpec) mask.Spec {
	return mask.Spec{With: s.With, KeepFirst: s.KeepFirst, KeepLast: s.KeepLast, Unit: s.Unit, Size: s.Size}
}

func (r *rules) active() bool { return r.json != nil }

// pipe gives the masked document. Originals that were replaced go to keep, one
// by one as "class value\n"; when keep fails, so does the document.
func (r *rules) pipe(src io.Reader, keep func([]byte) error) io.ReadCloser {
	pr, pw := io.Pipe()
	go func() {
		var failed error
		err := r.json.Copy(pw, src, func(class string, original []byte) {
			r.mu.Lock()
			r.masked[class]++
			r.mu.Unlock()
			if failed == nil {
				failed = keep(slices.Concat([]byte(class+" "), original, []byte{'\n'}))
			}
			if failed != nil {
				_ = pw.CloseWithError(failed) // stops Copy at its next write
			}
		})
		_ = pw.CloseWithError(err) // nil means the end; a pipe's close never fails
	}()
	return pr
}

func (r *rules) counts() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.masked)
}

// delivered are the classes that a response of that status may have shown raw.
func (r *rules) delivered(status int) []string {
	if status < 200 || status > 299 {
		return nil
	}
	return r.unmasked
}
