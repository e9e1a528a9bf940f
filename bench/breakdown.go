package main

import (
	"cmp"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// share is a part of a profile, between 0 and 1: in it alone, and with all that
// it called.
type share struct {
	name      string
	alone, in float64
	above     int // of a function: the fewest frames that were above it
}

// breakdown says where the time of a CPU profile went.
type breakdown struct {
	total time.Duration
	// owners divides the whole among rooms and libraries: a sample belongs to the
	// innermost frame that is not the standard library's, so a system call belongs
	// to whoever made it.
	owners []share
	// kinds divides the whole by what the processor did.
	kinds []share
	// functions are those with the most time of their own.
	functions []share
}

// module is the prefix of our own packages.
const module = "github.com/weir-gateway/weir/"

// libraries are named by the beginning of their packages.
var libraries = []struct{ prefix, name string }{
	{"google.golang.org/grpc", "grpc-go"},
	{"golang.org/x/net/http2", "grpc-go"},
	{"google.golang.org/protobuf", "protobuf, Envoy's API"},
	{"github.com/envoyproxy", "protobuf, Envoy's API"},
	{"github.com/nats-io", "NATS JetStream (spool)"},
	{"github.com/ClickHouse", "clickhouse-go (sink)"},
	{"github.com/open-policy-agent", "OPA"},
	{"github.com/tetratelabs/wazero", "PostgreSQL's grammar (WebAssembly)"},
	{"github.com/wasilibs", "PostgreSQL's grammar (WebAssembly)"},
	{"github.com/prometheus", "metrics"},
	{"github.com/jackc", "pgx"},
	// Code that the profiler has no names for: the grammar, compiled at run time.
	{"runtime._ExternalCode", "PostgreSQL's grammar (WebAssembly)"},
}

// The owners of samples in which nobody but the standard library appears.
const (
	ownerScheduler = "Go: scheduler and network poller"
	ownerGC        = "Go: garbage collector"
	ownerOther     = "Go: other"
)

// ownerOf names the room or library of a function, "" for the standard library.
func ownerOf(function string) string {
	function, _, _ = strings.Cut(function, "[") // what a generic function is made for
	function = strings.TrimPrefix(strings.TrimPrefix(function, "type:.hash."), "type:.eq.")
	if rest, ok := strings.CutPrefix(function, module); ok {
		return "weir: " + room(rest)
	}
	for _, l := range libraries {
		if strings.HasPrefix(function, l.prefix) {
			return l.name
		}
	}
	// host/owner/name, and what follows may be a package or already the function
	if parts := strings.SplitN(function, "/", 4); strings.Contains(parts[0], ".") && len(parts) > 2 {
		name, _, _ := strings.Cut(parts[2], ".")
		return strings.Join([]string{parts[0], parts[1], name}, "/")
	}
	return ""
}

// room is the package of a function of ours, its generated parts included.
func room(function string) string {
	dir, last := "", function
	if i := strings.LastIndexByte(function, '/'); i >= 0 {
		dir, last = function[:i+1], function[i+1:]
	}
	pkg, _, _ := strings.Cut(last, ".")
	return dir + pkg
}

// breakDown reads what `go tool pprof -traces` prints: stacks, leaf first, each
// with its time before its first frame.
func breakDown(text string) (*breakdown, error) {
	owners, kinds, functions := map[string]*share{}, map[string]*share{}, map[string]*share{}
	b := &breakdown{}
	_, text, _ = strings.Cut(text, "-----------+") // the head of the file
	for _, block := range strings.Split(text, "-----------+") {
		stack, took := parseStack(block)
		if len(stack) == 0 {
			continue
		}
		b.total += took
		t := float64(took)
		owner, all := owns(stack)
		at(owners, owner).alone += t
		for _, o := range all {
			at(owners, o).in += t
		}
		at(kinds, kindOf(stack)).alone += t
		at(functions, stack[0]).alone += t
		seen := map[string]bool{}
		for i, f := range stack {
			if s := at(functions, f); !seen[f] {
				seen[f] = true
				s.in += t
				s.above = min(s.above, i)
			}
		}
	}
	if b.total == 0 {
		return nil, errors.New("the profile has no samples")
	}
	b.owners, b.kinds, b.functions = b.shares(owners), b.shares(kinds), b.shares(functions)
	return b, nil
}

func at(m map[string]*share, name string) *share {
	if m[name] == nil {
		m[name] = &share{name: name, above: math.MaxInt}
	}
	return m[name]
}

func (b *breakdown) shares(m map[string]*share) []share {
	var out []share
	for _, s := range m {
		out = append(out, share{s.name, s.alone / float64(b.total), s.in / float64(b.total), s.above})
	}
	slices.SortFunc(out, func(a, b share) int {
		return cmp.Or(cmp.Compare(b.alone, a.alone), cmp.Compare(a.name, b.name))
	})
	return out
}

// parseStack reads one sample.
func parseStack(block string) (stack []string, took time.Duration) {
	for line := range strings.Lines(block) {
		f := strings.Fields(strings.TrimSuffix(strings.TrimSpace(line), "(inline)"))
		if len(f) == 0 || strings.HasPrefix(f[0], "---") || strings.HasSuffix(f[0], ":") {
			continue
		}
		if d, err := time.ParseDuration(f[0]); err == nil && len(f) > 1 {
			took, f = d, f[1:]
		}
		if took > 0 {
			stack = append(stack, strings.Join(f, " "))
		}
	}
	return stack, took
}

// owns is the innermost owner of a stack, and all of them once.
func owns(stack []string) (owner string, all []string) {
	seen := map[string]bool{}
	for _, f := range stack {
		if o := ownerOf(f); o != "" {
			if owner == "" {
				owner = o
			}
			seen[o] = true
		}
	}
	if owner == "" {
		owner = runtimeOwner(stack)
		seen[owner] = true
	}
	return owner, slices.Sorted(maps.Keys(seen))
}

func runtimeOwner(stack []string) string {
	switch {
	case has(stack, "runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart", "runtime.gcMarkTermination"):
		return ownerGC
	case has(stack, "runtime.mcall", "runtime.schedule", "runtime.mstart", "runtime.sysmon", "runtime.findRunnable", "runtime.goexit0", "runtime.park_m"):
		return ownerScheduler
	}
	return ownerOther
}

// kindOf is what the processor did.
func kindOf(stack []string) string {
	leaf := stack[0]
	switch {
	case has(stack, "runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.gcAssistAlloc", "runtime.bgscavenge"):
		return "garbage collection"
	case has(stack, "runtime.schedule", "runtime.findRunnable", "runtime.park_m", "runtime.goready", "runtime.ready", "runtime.wakep", "runtime.futexwakeup", "runtime.sysmon"):
		return "handing over between goroutines (scheduler, futex, poller)"
	case strings.Contains(leaf, "yscall.") || strings.Contains(leaf, "Syscall6"):
		return "system calls (reads, writes, fsync)"
	case has(stack, "runtime.mallocgc", "runtime.growslice", "runtime.newobject", "runtime.makeslice"):
		return "allocating"
	case leaf == "runtime.memmove" || leaf == "runtime.memclrNoHeapPointers":
		return "copying memory"
	}
	return "computing"
}

func has(stack []string, names ...string) bool {
	return slices.ContainsFunc(stack, func(f string) bool { return slices.Contains(names, f) })
}
