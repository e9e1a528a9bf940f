package policies

import (
	"fmt"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// tenRules is a policy of ordinary size.
const tenRules = `package weir.rules.orders

import data.weir.lib

allow if {
	lib.is_agent
	input.operation.action in {"select", "show", "transaction"}
}

allow if {
	lib.in_group("support")
	input.operation.action == "update"
	lib.writes_table("public", "tickets")
}

allow if {
	lib.is_human
	lib.has_label("env", "dev")
}

deny contains {"code": "no_where", "message": "UPDATE or DELETE needs a WHERE"} if lib.has_risk("no_where")

deny contains {"code": "card_filter", "message": "cards cannot be searched"} if {
	some column in input.operation.columns
	"pci.pan" in column.classes
	column.use == "filter"
}

deny contains {"code": "outside", "message": "production is for shop agents"} if {
	lib.has_label("env", "prod")
	input.principal.claims.team != "shop"
}

hold contains {"rule": "ddl", "approvers": ["group:dba"], "ttl": "15m"} if input.operation.action == "ddl"

mask contains {"class": "pii.ssn", "with": "partial", "keep_last": 4} if not lib.in_group("privacy")

mask contains {"class": "pci.pan", "with": "hash"} if not lib.in_group("privacy")

limits contains {"max_rows": 1000} if lib.is_agent
`

func BenchmarkDecide(b *testing.B) {
	in := agentInput()
	for _, entries := range []int{-1, 0} {
		name := map[int]string{-1: "evaluated", 0: "cached"}[entries]
		b.Run(name, func(b *testing.B) {
			e := engineWith(b, Config{Bundle: bundleOf(b, "orders.rego", tenRules), CacheEntries: entries})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Decide(b.Context(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("cached/parallel", func(b *testing.B) {
		e := engineWith(b, Config{Bundle: bundleOf(b, "orders.rego", tenRules)})
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := e.Decide(b.Context(), in); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// What the hand-written conversion saves.
func BenchmarkInput(b *testing.B) {
	in := agentInput()
	b.Run("whole", func(b *testing.B) {
		v := wholeView()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.term(in); err != nil {
				b.Fatal(err)
			}
		}
	})
	e := engineOf(b, "orders.rego", tenRules)
	b.Run("what ten rules read", func(b *testing.B) {
		v := e.active.Load().view
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.term(in); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("key", func(b *testing.B) {
		v := e.active.Load().view
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := v.key(in); !ok {
				b.Fatal("no key")
			}
		}
	})
	b.Run("InterfaceToValue", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ast.InterfaceToValue(in); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	for _, packages := range []int{1, 50} {
		b.Run(fmt.Sprint(packages, " packages"), func(b *testing.B) {
			var files []string
			for i := range packages {
				files = append(files, fmt.Sprintf("p%d.rego", i), fmt.Sprintf("package weir.rules.p%d\n", i)+tenRules[len("package weir.rules.orders\n"):])
			}
			dir := bundleOf(b, files...)
			for b.Loop() {
				engineWith(b, Config{Bundle: dir})
			}
		})
	}
}
