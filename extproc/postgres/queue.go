package postgres

// want says which answer the server owes.
type want uint8

const (
	wantQuery        want = iota + 1 // up to ReadyForQuery
	wantParse                        // ParseComplete
	wantBind                         // BindComplete
	wantDescribe                     // RowDescription or NoData, for a statement after ParameterDescription
	wantExecute                      // rows, then CommandComplete, EmptyQueryResponse or PortalSuspended
	wantClose                        // CloseComplete
	wantSync                         // ReadyForQuery
	wantCall                         // FunctionCallResponse, then ReadyForQuery
	wantRefusal                      // an error, which ours replaces
	wantRefusedQuery                 // the same, then ReadyForQuery
	wantProbe                        // a question of the gateway's own, up to ReadyForQuery
)

// answer is one thing that the server owes, and what it belongs to.
type answer struct {
	want      want
	at        int  // where its message begins in the batch
	hidden    bool // the client did not ask for it; of wantQuery: for its ReadyForQuery
	portal    bool // of wantDescribe: a portal, whose formats are final
	late      bool // of wantDescribe: the client is told when rows come; of others: when it is committed
	last      bool // of wantParse and wantBind: the operation ends here
	op        *operation
	statement *bound // of wantDescribe: whose parameter types are told
	changes   []change
	refusal   *problem
	probe     *probe
}

// queue holds the answers that are owed, in order. The server answers in order,
// so each message of it belongs to the first. It is guarded by the session's lock.
type queue struct {
	ring []answer
	head int
	n    int
	// skipping says that the server has failed and drops everything up to the
	// next Sync, which it has not been sent yet.
	skipping bool
	copyIn   bool // the server reads COPY data
	copies   int  // answers of statements that may be a COPY
	copyEnds int  // ends of COPY data that were sent before the server asked for the data
}

func (q *queue) push(a answer) {
	if q.n == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.n)%len(q.ring)] = a
	q.n++
	if a.copies() {
		q.copies++
	}
}

// copies says that the answer may be that of a COPY.
func (a *answer) copies() bool {
	return a.op != nil && a.op.shape.copies && (a.want == wantQuery || a.want == wantExecute)
}

func (q *queue) grow() {
	bigger := make([]answer, max(8, 2*len(q.ring)))
	for i := range q.n {
		bigger[i] = *q.at(i)
	}
	q.ring, q.head = bigger, 0
}

func (q *queue) at(i int) *answer { return &q.ring[(q.head+i)%len(q.ring)] }

// first is the answer that the next message belongs to, nil when none is owed.
func (q *queue) first() *answer {
	if q.n == 0 {
		return nil
	}
	return q.at(0)
}

func (q *queue) pop() answer {
	a := *q.at(0)
	*q.at(0) = answer{}
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	if a.copies() {
		q.copies--
		if q.copies == 0 {
			q.copyEnds = 0
		}
	}
	return a
}

// skip drops what the server will not answer because of an error: everything up
// to the next Sync.
func (q *queue) skip(dropped func(*answer)) {
	for q.n > 0 {
		if q.at(0).want == wantSync {
			return
		}
		a := q.pop()
		dropped(&a)
	}
	q.skipping = true
}

// beginCopyData notes that the server has asked for COPY data. What was sent so far
// may hold all of it.
func (q *queue) beginCopyData() {
	if q.copyEnds > 0 {
		q.copyEnds--
	} else {
		q.copyIn = true
	}
	q.dropSyncs()
}

// endCopyData notes that the client has ended its COPY data.
func (q *queue) endCopyData() {
	if q.copyIn {
		q.copyIn = false
	} else {
		q.copyEnds++
	}
}

// dropSyncs takes out the Syncs that the server reads, and ignores, in the
// middle of COPY data.
func (q *queue) dropSyncs() {
	kept := 1 // the COPY itself
	for i := 1; i < q.n; i++ {
		if q.at(i).want != wantSync {
			*q.at(kept) = *q.at(i)
			kept++
		}
	}
	for i := kept; i < q.n; i++ {
		*q.at(i) = answer{}
	}
	q.n = kept
}
