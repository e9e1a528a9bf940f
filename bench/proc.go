package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// part is a process of a way, by its role: Envoy, processor, store.
type part struct {
	role string
	pid  int
}

// The roles. The store is the embedded ClickHouse, which takes the evidence in
// beside the work.
const (
	roleEnvoy     = "Envoy"
	roleProcessor = "processor"
	roleStore     = "store"
)

// usage is what a process has used since it started (proc(5)).
type usage struct {
	switches uint64 // context switches of all threads, of either kind
	cpu      time.Duration
}

func (u usage) since(before usage) usage {
	return usage{u.switches - min(u.switches, before.switches), u.cpu - min(u.cpu, before.cpu)}
}

// clockTick is the unit of times in /proc/PID/stat: USER_HZ, 100 on every
// architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// usageOf reads what a process has used. Where there is no /proc it is nothing.
func usageOf(pid int) usage {
	var u usage
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, file := range tasks {
		for key, value := range fields(file) {
			if strings.HasSuffix(key, "voluntary_ctxt_switches") { // and nonvoluntary
				u.switches += number(value)
			}
		}
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // the name may hold anything
	if f := strings.Fields(string(rest)); len(f) > 12 {
		u.cpu = time.Duration(number(f[11])+number(f[12])) * clockTick
	}
	return u
}

// resetPeak makes the peak of a process's memory what it has now.
func resetPeak(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0) // then the peak is that of its whole life
}

// memory is the resident memory of a process in bytes, and its peak.
func memory(pid int) (now, peak uint64) {
	f := fields(fmt.Sprintf("/proc/%d/status", pid))
	kib := func(s string) uint64 { return number(strings.TrimSuffix(s, " kB")) << 10 }
	return kib(f["VmRSS"]), kib(f["VmHWM"])
}

// fields reads a file of lines "key: value".
func fields(file string) map[string]string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	out := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok {
			out[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return out
}

func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// descendants are the processes below one, at any depth.
func descendants(pid int) []int {
	below := map[int][]int{}
	files, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, file := range files {
		f := fields(file)
		parent := int(number(f["PPid"]))
		below[parent] = append(below[parent], int(number(f["Pid"])))
	}
	var out []int
	for todo := []int{pid}; len(todo) > 0; todo = todo[1:] {
		out = append(out, below[todo[0]]...)
		todo = append(todo, below[todo[0]]...)
	}
	return out
}

// nameOf is the name of a process, as it gave it.
func nameOf(pid int) string { return fields(fmt.Sprintf("/proc/%d/status", pid))["Name"] }
