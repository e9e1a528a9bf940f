//go:build !linux

package engine

import "os/exec"

// dieWithParent: only Linux can kill a child when its parent is gone. Here a
// parent that was itself killed leaves the child until the next start.
func dieWithParent(*exec.Cmd) {}
