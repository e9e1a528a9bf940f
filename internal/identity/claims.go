package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-gateway/weir/internal/gate"
)

// maxActors bounds a delegation chain.
const maxActors = 8

// times are the claims that bound a token in time (RFC 7519 section 4.1).
type times struct {
	expires   time.Time
	notBefore time.Time // zero where there is none
}

// timesOf reads exp, which is required, and nbf. A value that is no number is
// an error, not an absent one.
func timesOf(claims map[string]any) (times, error) {
	var t times
	exp, ok := claims["exp"]
	if !ok {
		return t, errors.New("the token has no exp")
	}
	var err error
	if t.expires, err = numericDate(exp); err != nil {
		return t, fmt.Errorf("exp: %w", err)
	}
	if nbf, ok := claims["nbf"]; ok {
		if t.notBefore, err = numericDate(nbf); err != nil {
			return t, fmt.Errorf("nbf: %w", err)
		}
	}
	return t, nil
}

// maxDate is in the year 9999: what RFC 3339 can still write.
const maxDate = 253_402_300_799

func numericDate(v any) (time.Time, error) {
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, errors.New("not a number")
	}
	f, err := n.Float64()
	if err != nil || f < 0 || f > maxDate {
		return time.Time{}, errors.New("not a date")
	}
	return time.Unix(int64(f), 0), nil
}

// texts are the strings of a claim that is a string or a list. Anything else
// in it is left out: it cannot be a role or an audience.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, item := range v {
			if s, ok := item.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// find returns a claim by its name, or by a path with dots: "realm_access.roles".
func find(claims map[string]any, name string) any {
	if v, ok := claims[name]; ok {
		return v
	}
	head, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	inner, ok := claims[head].(map[string]any)
	if !ok {
		return nil
	}
	return find(inner, rest)
}

// rolesOf are the values of the role claims, prefixed and each once.
func rolesOf(claims map[string]any, names []string) []string {
	roles := []string{}
	for _, name := range names {
		values := texts(find(claims, name))
		if s, ok := find(claims, name).(string); ok && (name == "scope" || name == "scp") {
			values = strings.Fields(s) // RFC 6749 section 3.3
		}
		prefix := "role:"
		if name == "groups" {
			prefix = "group:"
		}
		for _, v := range values {
			if v != "" && !slices.Contains(roles, prefix+v) {
				roles = append(roles, prefix+v)
			}
		}
	}
	return roles
}

// kindOf tells the kind of principal. Least trust comes first, so who matches
// several kinds gains nothing by it.
func kindOf(claims map[string]any, kinds map[gate.Kind]map[string][]string) gate.Kind {
	for _, kind := range []gate.Kind{gate.Agent, gate.Service, gate.Human} {
		if want, ok := kinds[kind]; ok && len(want) > 0 && matches(claims, want) {
			return kind
		}
	}
	return gate.Agent
}

func matches(claims map[string]any, want map[string][]string) bool {
	for name, values := range want {
		if !slices.ContainsFunc(scalars(find(claims, name)), func(s string) bool { return slices.Contains(values, s) }) {
			return false
		}
	}
	return true
}

// scalars are the values of a claim as text: a string, number or boolean, or a
// list of them.
func scalars(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case json.Number:
		return []string{v.String()}
	case bool:
		return []string{fmt.Sprint(v)}
	case []any:
		var out []string
		for _, item := range v {
			if _, nested := item.([]any); !nested {
				out = append(out, scalars(item)...)
			}
		}
		return out
	}
	return nil
}

// actorsOf reads the delegation chain (RFC 8693 section 4.1): the current actor
// first, then those before it. An actor is of the token's issuer unless it
// names another.
func actorsOf(claims map[string]any, issuer string) ([]gate.Actor, error) {
	actors := []gate.Actor{}
	next, ok := claims["act"]
	for ok {
		act, isObject := next.(map[string]any)
		sub, _ := act["sub"].(string)
		if !isObject || sub == "" {
			return nil, errors.New("act has no sub")
		}
		actor := gate.Actor{Subject: sub, Issuer: issuer}
		if iss, named := act["iss"]; named {
			if actor.Issuer, isObject = iss.(string); !isObject || actor.Issuer == "" {
				return nil, errors.New("iss of act is no text")
			}
		}
		if actors = append(actors, actor); len(actors) > maxActors {
			return nil, fmt.Errorf("act is more than %d deep", maxActors)
		}
		next, ok = act["act"]
	}
	return actors, nil
}
