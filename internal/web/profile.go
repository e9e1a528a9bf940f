package web

import (
	"net/http"
	"net/http/pprof"
)

// profiles adds what tells where the process spends its time and memory
// (net/http/pprof), for `go tool pprof` and `make bench`. It is for the socket
// alone: a profile costs time while it is taken, and names what the gateway does.
// The importing of net/http/pprof also adds to http.DefaultServeMux, which nothing
// here serves.
func profiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index) // heap, goroutine, allocs, block, mutex
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}
