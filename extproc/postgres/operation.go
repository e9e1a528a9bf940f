package postgres

import (
	"sync/atomic"
	"time"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/mask"
)

// operation is one judged statement, call, or the statements of one simple query, on
// its way to the server and back.
type operation struct {
	id       string
	shape    *shape
	decision gate.Decision
	masks    []gate.Mask    // that may concern this target; none means that rows pass untouched
	passages *mask.Passages // looked for in texts; nil: nothing is
	withhold bool           // the text of an error may hold what is masked
	copies   []*copyPlan    // of each statement that is a COPY TO STDOUT of what is masked
	rests    bool           // it must be confirmed before anything of it leaves
	metadata bool           // nothing but facts is recorded
	recorded gate.Receipt   // that it may be sent; nil once it has returned nil
	started  time.Time

	// The rest belongs to the server's side.
	statement int   // of a simple query: which one the server is at
	confirmed bool  // what it was judged under still is so
	plan      *plan // for the rows that come now
	rows      int64
	bytes     int64
	columns   []byte    // a RowDescription that goes ahead of the first row
	complete  []byte    // a CommandComplete that the client is told when it is committed
	copyOut   bool      // the server sends COPY data
	copy      *copyPlan // for it, nil where it passes
	notRows   int       // messages of it that are none
	portal    *bound    // whose rows these are: what came of it before counts too
	timer     *time.Timer
	outcome   gate.Outcome
	done      bool

	stays atomic.Bool // what it has written cannot be taken back, should its rows be withheld

	// problem is the gateway's own error, delivered in place of the result.
	problem atomic.Pointer[problem]
}

// result is what the analysis says of the statement whose rows come now.
func (o *operation) result() (result, bool) {
	if o.statement >= len(o.shape.results) {
		return result{}, false
	}
	return o.shape.results[o.statement], true
}

func (o *operation) fail(status, code, text string) {
	if o.outcome.Status == "" {
		o.outcome.Status, o.outcome.Code, o.outcome.Error = status, code, text
	}
}

// endPlan counts what the plan has masked, and forgets it.
func (o *operation) endPlan() {
	if p := o.plan; p != nil {
		count(&o.outcome, p.classes, p.counts)
		if p.seek != nil {
			o.note(&p.found)
		}
	}
	if p := o.copy; p != nil && p.stream != nil {
		count(&o.outcome, p.classes, p.stream.Counts())
		if p.seek {
			o.note(p.stream.Found())
		}
	}
	o.plan, o.copy = nil, nil
}
