package xds

import (
	"regexp"
	"slices"
	"strings"

	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// typeName is what people call a type of resources.
func typeName(url string) string {
	switch url {
	case resourcev3.ClusterType:
		return "clusters"
	case resourcev3.ListenerType:
		return "listeners"
	case resourcev3.RouteType:
		return "routes"
	case resourcev3.SecretType:
		return "secrets"
	}
	return url
}

// blame finds the resources that Envoy's message is about, each with what is
// said of it. Envoy writes "name: reason", one after the other.
func blame(message string, names []string) map[string]string {
	out := map[string]string{}
	last, from := "", 0 // the name whose reason is being read, and its start
	for i := 0; ; {
		n := strings.Index(message[i:], ": ")
		if n < 0 {
			break
		}
		colon := i + n
		start := strings.LastIndexAny(message[:colon], " \t\n,'\"") + 1
		i = colon + 2
		if name := message[start:colon]; name != "" && slices.Contains(names, name) {
			if last != "" {
				out[last] = strings.TrimSpace(message[from:start])
			}
			last, from = name, i
		}
	}
	if last != "" {
		out[last] = strings.TrimSpace(message[from:])
	}
	return out
}

var cannotBind = regexp.MustCompile(`cannot bind '([^']*)': (.*)`)

// inWords says for a target's owner what Envoy objects to.
func inWords(resource, message string) string {
	where := "Envoy's " + resource
	if t := targetOf(resource); t != "" {
		where = "target " + t
	}
	m := cannotBind.FindStringSubmatch(message)
	if m == nil {
		return where + ": Envoy refuses it: " + message
	}
	address, reason := m[1], m[2]
	switch {
	case strings.Contains(reason, "Address already in use"):
		return where + ": " + address + " is in use by another program; choose another `listen`"
	case strings.Contains(reason, "Permission denied"):
		return where + ": Envoy may not listen on " + address + "; choose a port above 1023"
	case strings.Contains(reason, "Cannot assign requested address"):
		return where + ": " + address + " is no address of this machine; choose another `listen`"
	}
	return where + ": Envoy cannot listen on " + address + ": " + reason
}

// targetOf is the name of the target that a resource was made for, or "".
func targetOf(resource string) string {
	for _, prefix := range []string{"upstream-", "tls-", "clients-", "ca-"} {
		if t, ok := strings.CutPrefix(resource, prefix); ok {
			return t
		}
	}
	t, _ := strings.CutPrefix(strings.TrimSuffix(resource, "-inner"), "weir-")
	if t == resource {
		return ""
	}
	return t
}
