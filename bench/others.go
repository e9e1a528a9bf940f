package main

import (
	"bufio"
	"context"
	"os"
	"strings"
	"time"
)

// How long is looked whether anybody else is at work, and what share of all
// processors is too much: the parts themselves take some when they are idle.
const (
	othersLook = 3 * time.Second
	othersBusy = 0.1
)

// others is which share of all processors was busy, at the beginning and at the
// end, while nothing was measured and all parts were idle.
type others struct{ before, after float64 }

func (o others) disturb() bool { return max(o.before, o.after) > othersBusy }

// lookForOthers measures the share, once the parts are idle.
func (r *rig) lookForOthers(ctx context.Context) float64 {
	r.settle(ctx, true)
	idle, all := processorTime()
	select {
	case <-ctx.Done():
		return 0
	case <-time.After(othersLook):
	}
	idleNow, allNow := processorTime()
	if allNow == all {
		return 0
	}
	return 1 - float64(idleNow-idle)/float64(allNow-all)
}

// processorTime is the time of all processors, idle and whole, in clock ticks
// (proc_stat(5)).
func processorTime() (idle, all uint64) {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return 0, 0
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Scan()
	columns := strings.Fields(lines.Text()) // cpu user nice system idle iowait irq softirq steal guest guest_nice
	for i, c := range columns {
		switch {
		case i == 0 || i > 8: // guests are counted as user
		case i == 4 || i == 5:
			idle += number(c)
			fallthrough
		default:
			all += number(c)
		}
	}
	return idle, all
}
