package parts

import (
	"fmt"
	"time"
)

// say writes one line of progress.
func (i *Installer) say(format string, args ...any) {
	if i.Progress != nil {
		_, _ = fmt.Fprintf(i.Progress, "parts: "+format+"\n", args...)
	}
}

// step announces a step that may take long, says every ten seconds that it
// still runs, and when it ended.
func (i *Installer) step(format string, args ...any) (done func()) {
	what := fmt.Sprintf(format, args...)
	i.say("%s", what)
	start := time.Now()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(10 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				i.say("%s: %s so far", what, time.Since(start).Round(time.Second))
			case <-stop:
				return
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
		i.say("%s: %s", what, time.Since(start).Round(100*time.Millisecond))
	}
}
