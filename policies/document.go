package policies

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/weir-gateway/weir/internal/gate"
)

// decode turns the decision document (docs/policy.md) into a decision. What does
// not have the documented form denies, with code policy_malformed: it is never
// guessed what a rule may have meant.
func decode(doc ast.Value) (gate.Decision, error) {
	d := &decoder{}
	root, err := d.object(doc, "the decision", "effect", "allow", "deny", "hold", "mask", "limits", "record", "said")
	if err != nil {
		return gate.Decision{}, err
	}
	said, err := d.object(get(root, "said"), "said", "allow", "deny", "hold", "mask", "limits", "record")
	if err != nil {
		return gate.Decision{}, err
	}
	allowed := d.allowed(get(said, "allow"))
	contributed(d, get(said, "deny"), "deny", d.denial)
	contributed(d, get(said, "hold"), "hold", d.requirement)
	contributed(d, get(said, "mask"), "mask", d.mask)
	contributed(d, get(said, "limits"), "limits", d.limits)
	contributed(d, get(said, "record"), "record", d.record)
	d.settle(get(root, "effect"), get(root, "deny"), allowed)
	return d.out, nil
}

// decoder collects a decision and what is malformed in its document.
type decoder struct {
	out       gate.Decision
	malformed []string
}

// wrong notes a malformed contribution.
func (d *decoder) wrong(who string, err error) {
	d.malformed = append(d.malformed, fmt.Sprintf("%s: %v", who, err))
}

// fired notes a rule that spoke.
func (d *decoder) fired(name string) {
	d.out.Rules = append(d.out.Rules, name)
}

// settle sets the effect. It is worked out again from what was said, and must
// come to the same as the fold did.
func (d *decoder) settle(effect, denials ast.Value, allowed bool) {
	said := ""
	if s, ok := effect.(ast.String); ok {
		said = string(s)
	}
	switch {
	case len(d.out.Deny) > 0:
		d.out.Effect = gate.Deny
	case len(d.out.Hold) > 0:
		d.out.Effect = gate.Hold
	case allowed:
		d.out.Effect = gate.Allow
	default: // nobody said anything: the fold says so
		d.unspoken(denials)
	}
	if len(d.malformed) == 0 && d.out.Effect.String() != said {
		d.malformed = append(d.malformed, fmt.Sprintf("effect is %q, but the rules come to %s", said, d.out.Effect))
	}
	slices.Sort(d.out.Rules)
	d.out.Rules = slices.Compact(d.out.Rules)
	d.foldMasks()
	if len(d.malformed) == 0 {
		return
	}
	d.out.Effect = gate.Deny
	slices.Sort(d.malformed)
	for _, message := range d.malformed {
		d.out.Deny = append(d.out.Deny, gate.Denial{
			Code: "policy_malformed", Message: "a rule answered in a form that the gateway does not understand: " + message,
			Hint: "Nothing is wrong with the request: ask the operator of the gateway to correct the rule.",
		})
	}
}

// unspoken takes the library's own denial.
func (d *decoder) unspoken(denials ast.Value) {
	set, ok := denials.(ast.Set)
	if !ok || set.Len() != 1 {
		d.malformed = append(d.malformed, "nothing was said, and not even that was denied")
		return
	}
	denial, _, err := d.denial(set.Slice()[0].Value)
	if err != nil {
		d.wrong("weir", err)
		return
	}
	d.out.Deny = append(d.out.Deny, denial)
}

// foldMasks joins masks of the same thing into the strictest.
func (d *decoder) foldMasks() {
	var folded []gate.Mask
	for _, m := range d.out.Mask {
		i := slices.IndexFunc(folded, func(o gate.Mask) bool {
			return o.Class == m.Class && o.Column == m.Column && o.Path == m.Path
		})
		if i < 0 {
			m.MaskSpec = m.Stricter(m.MaskSpec) // what is unknown becomes redact
			folded = append(folded, m)
			continue
		}
		folded[i].MaskSpec = folded[i].Stricter(m.MaskSpec)
	}
	d.out.Mask = folded
}

func (d *decoder) allowed(v ast.Value) bool {
	set, ok := v.(ast.Set)
	if !ok {
		d.malformed = append(d.malformed, "said.allow is not a set")
		return false
	}
	for _, t := range set.Slice() {
		name, ok := t.Value.(ast.String)
		if !ok {
			d.malformed = append(d.malformed, "said.allow holds what is not a name")
			return false
		}
		d.fired(string(name) + ".allow")
	}
	return set.Len() > 0
}

// contributed decodes what every package contributed to one kind.
func contributed[T any](d *decoder, v ast.Value, kind string, read func(ast.Value) (T, string, error)) {
	packages, ok := v.(ast.Object)
	if !ok {
		d.malformed = append(d.malformed, "said."+kind+" is not an object")
		return
	}
	names := packages.Keys()
	// The library's own reasons come after the user's, which say more.
	slices.SortStableFunc(names, func(a, b *ast.Term) int {
		return order(a.Value) - order(b.Value)
	})
	for _, name := range names {
		who := nameOf(name.Value) + "." + kind
		set, ok := packages.Get(name).Value.(ast.Set)
		if !ok {
			d.wrong(who, errors.New("not a set"))
			continue
		}
		for _, t := range set.Slice() {
			item, label, err := read(t.Value)
			if err != nil {
				d.wrong(who, err)
				continue
			}
			if label != "" {
				label = "." + label
			}
			d.fired(who + label)
			d.add(item)
		}
	}
}

// add takes one contribution.
func (d *decoder) add(item any) {
	switch item := item.(type) {
	case gate.Denial:
		d.out.Deny = append(d.out.Deny, item)
	case gate.Requirement:
		d.out.Hold = append(d.out.Hold, item)
	case gate.Mask:
		d.out.Mask = append(d.out.Mask, item)
	case gate.Limits:
		l := &d.out.Limits
		l.MaxRows, l.MaxBytes, l.Timeout = tighter(l.MaxRows, item.MaxRows), tighter(l.MaxBytes, item.MaxBytes), tighter(l.Timeout, item.Timeout)
	case gate.Record: // everything, unless all who speak say metadata
		if d.out.Record != gate.RecordFull {
			d.out.Record = item
		}
	}
}

func order(name ast.Value) int {
	if nameOf(name) == defaultsPackage {
		return 1
	}
	return 0
}

func nameOf(v ast.Value) string {
	if s, ok := v.(ast.String); ok {
		return string(s)
	}
	return v.String()
}

func (d *decoder) denial(v ast.Value) (gate.Denial, string, error) {
	o, err := d.object(v, "a denial", "code", "message", "hint")
	if err != nil {
		return gate.Denial{}, "", err
	}
	r := &reader{object: o}
	out := gate.Denial{Code: r.text("code", true), Message: r.text("message", true), Hint: r.text("hint", false)}
	return out, out.Code, r.err
}

func (d *decoder) requirement(v ast.Value) (gate.Requirement, string, error) {
	o, err := d.object(v, "a hold", "rule", "approvers", "required", "ttl", "reason")
	if err != nil {
		return gate.Requirement{}, "", err
	}
	r := &reader{object: o}
	out := gate.Requirement{
		Rule: r.text("rule", true), Approvers: r.texts("approvers"), Required: int(r.number("required", 1, 1, 100)),
		TTL: r.duration("ttl"), Reason: r.text("reason", false),
	}
	return out, out.Rule, r.err
}

func (d *decoder) mask(v ast.Value) (gate.Mask, string, error) {
	o, err := d.object(v, "a mask", "class", "column", "path", "with", "keep_first", "keep_last", "unit", "size", "derived")
	if err != nil {
		return gate.Mask{}, "", err
	}
	r := &reader{object: o}
	out := gate.Mask{Class: r.text("class", false), Column: r.text("column", false), Path: r.text("path", false), MaskSpec: gate.MaskSpec{
		With: r.text("with", false), KeepFirst: int(r.number("keep_first", 0, 0, math.MaxInt32)), KeepLast: int(r.number("keep_last", 0, 0, math.MaxInt32)),
		Unit: r.text("unit", false), Size: int(r.number("size", 0, 0, math.MaxInt32)),
		Derived: r.oneOf("derived", gate.DerivedMask, gate.DerivedAllow, gate.DerivedRefuse),
	}}
	return out, out.Class + out.Column + out.Path, errors.Join(r.err, checkSubject(&out))
}

func (d *decoder) limits(v ast.Value) (gate.Limits, string, error) {
	o, err := d.object(v, "a limit", "max_rows", "max_bytes", "timeout")
	if err != nil {
		return gate.Limits{}, "", err
	}
	r := &reader{object: o}
	out := gate.Limits{
		MaxRows: r.number("max_rows", 0, 1, math.MaxInt64), MaxBytes: r.number("max_bytes", 0, 1, math.MaxInt64),
		Timeout: r.duration("timeout"),
	}
	return out, "", r.err
}

func (d *decoder) record(v ast.Value) (gate.Record, string, error) {
	level := gate.Record(nameOf(v))
	if level != gate.RecordFull && level != gate.RecordMetadata {
		return "", "", fmt.Errorf("%q is neither full nor metadata", level)
	}
	return level, "", nil
}

// tighter is the smaller of two limits, where 0 is none.
func tighter[T int64 | time.Duration](a, b T) T {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
