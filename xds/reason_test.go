package xds

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBlame(t *testing.T) {
	names := []string{"weir-a", "weir-a-inner", "weir-b", "a"}
	tests := []struct {
		name, message string
		want          map[string]string
	}{
		{"one", "Error adding/updating listener(s) weir-a: no\n", map[string]string{"weir-a": "no"}},
		{"several", "Error adding/updating listener(s) weir-a: no\nweir-b: never: at all\n", map[string]string{"weir-a": "no", "weir-b": "never: at all"}},
		{"a name within another", "x weir-a-inner: no", map[string]string{"weir-a-inner": "no"}},
		{"nobody", "something: else", map[string]string{}},
		{"empty", "", map[string]string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, blame(tt.message, names)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInWords(t *testing.T) {
	tests := []struct{ resource, message, want string }{
		{"weir-orders", "cannot bind '0.0.0.0:15432': Address already in use", "target orders: 0.0.0.0:15432 is in use by another program; choose another `listen`"},
		{"weir-orders", "cannot bind '0.0.0.0:432': Permission denied", "target orders: Envoy may not listen on 0.0.0.0:432; choose a port above 1023"},
		{"weir-orders", "cannot bind '10.9.9.9:5432': Cannot assign requested address", "target orders: 10.9.9.9:5432 is no address of this machine; choose another `listen`"},
		{"weir-orders", "cannot bind '[::]:5432': Address family not supported", "target orders: Envoy cannot listen on [::]:5432: Address family not supported"},
		{"weir-orders-inner", "odd", "target orders: Envoy refuses it: odd"},
		{"upstream-orders", "odd", "target orders: Envoy refuses it: odd"},
		{"tls-billing", "odd", "target billing: Envoy refuses it: odd"},
		{"weir", "odd", "Envoy's weir: Envoy refuses it: odd"},
	}
	for _, tt := range tests {
		if got := inWords(tt.resource, tt.message); got != tt.want {
			t.Errorf("%s, %s\ngot  %s\nwant %s", tt.resource, tt.message, got, tt.want)
		}
	}
}

func FuzzBlame(f *testing.F) {
	f.Add("Error adding/updating listener(s) weir-a: no\nweir-b: never\n", "weir-a", "weir-b")
	f.Add("weir-(: x", "weir-(", "")
	f.Fuzz(func(t *testing.T, message, a, b string) {
		for name, reason := range blame(message, []string{a, b}) {
			if !strings.Contains(message, name) || !strings.Contains(message, reason) {
				t.Errorf("%q is blamed for %q", name, reason)
			}
		}
	})
}
