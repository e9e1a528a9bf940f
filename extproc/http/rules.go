package http

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weir-gateway/weir/internal/detect"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/mask"
)

// rules are the masks of one decision, bound to the paths of this target.
type rules struct {
	json     *mask.JSON     // nil: no mask concerns this target
	passages *mask.Passages // looked for in its texts; may be nil
	bound    bool           // values are hidden by their paths, so that nothing but JSON can be masked
	unmasked []string       // classes that this target holds and that stay as they are

	mu     sync.Mutex
	masked map[string]int
	found  mask.Found  // the goroutine's of pipe, until it has ended
	ended  atomic.Bool // it has
}

// newRules binds the decision's masks. A mask by column says nothing of JSON.
func newRules(d *gate.Decision, classified []ClassPath, asked []detect.Asked, m *mask.Masker) (*rules, error) {
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
	var err error
	if r.passages, err = m.Passages(passageRules(d.Mask, asked)); err != nil || len(bound) == 0 && r.passages == nil {
		return r, err
	}
	r.bound = len(bound) > 0
	if r.json, err = m.JSON(bound); err == nil && r.passages != nil {
		r.json = r.json.With(r.passages)
	}
	return r, err
}

// passageRules are the detectors of whose classes the decision has a mask.
func passageRules(masks []gate.Mask, asked []detect.Asked) []mask.PassageRule {
	var out []mask.PassageRule
	for _, a := range asked {
		if class, spec, ok := strictest(masks, a.Classes); ok {
			out = append(out, mask.PassageRule{Detector: a.Detector, Class: class, Spec: toSpec(spec)})
		}
	}
	return out
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

// headers hides passages in the values of a response's headers.
func (r *rules) headers(h http.Header, keep func([]byte) error) error {
	if r.passages == nil {
		return nil
	}
	for _, values := range h {
		for i, v := range values {
			before := r.found.Counts
			out, changed := r.passages.Text(nil, []byte(v), &r.found)
			if !changed {
				continue
			}
			values[i] = string(out)
			for d, n := range r.found.Counts {
				if n > before[d] {
					r.masked[r.passages.Class(detect.Detector(d))] += n - before[d]
				}
			}
			if err := keep([]byte("header " + v + "\n")); err != nil {
				return err
			}
		}
	}
	return nil
}

// pipe gives the masked document, or the text where it is no JSON. Originals that
// were replaced go to keep, one by one as "class value\n"; when keep fails, so does
// the document.
func (r *rules) pipe(src io.Reader, text bool, keep func([]byte) error) io.ReadCloser {
	pr, pw := io.Pipe()
	copyMasked := r.json.CopyWith
	if text {
		copyMasked = r.passages.Copy
	}
	go func() {
		var failed error
		err := copyMasked(pw, src, func(class string, original []byte) {
			r.mu.Lock()
			r.masked[class]++
			r.mu.Unlock()
			if failed == nil {
				failed = keep(slices.Concat([]byte(class+" "), original, []byte{'\n'}))
			}
			if failed != nil {
				_ = pw.CloseWithError(failed) // stops Copy at its next write
			}
		}, &r.found)
		r.ended.Store(true)
		_ = pw.CloseWithError(err) // nil means the end; a pipe's close never fails
	}()
	return pr
}

func (r *rules) counts() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.masked)
}

// detected are the detectors that found something, with how much. Of a document that
// broke off nothing is certain.
func (r *rules) detected() map[string]int {
	if !r.ended.Load() {
		return nil
	}
	return r.found.Names()
}

// delivered are the classes that a response of that status may have shown raw.
func (r *rules) delivered(status int) []string {
	if status < 200 || status > 299 {
		return nil
	}
	return r.unmasked
}
