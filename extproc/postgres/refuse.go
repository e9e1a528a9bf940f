package postgres

import (
	"errors"

	"github.com/jackc/pgx/v5/pgproto3"
)

// poison is sent to the server in place of a refused statement. It names a column
// where there are no tables, so the server fails where a statement that PostgreSQL
// itself refuses would fail: it rolls back what the client must see rolled back,
// and skips what must be skipped. Its error is replaced by ours, but for the one
// that any statement gets in a failed transaction: like the server itself, the
// gateway says no more of a statement there than that.
const poison = "SELECT weir_refused_this_statement"

// codeInFailedTransaction is the error of every statement in a failed transaction
// that does not end it.
const codeInFailedTransaction = "25P02"

// poisonName is a name under which nothing is ever prepared.
const poisonName = "weir refused"

// refuseQuery answers a simple query with an error.
func (s *session) refuseQuery(p *problem) error {
	s.cutChain()
	// It drops the unnamed statement, as any query does.
	if s.alone() {
		s.mu.Lock()
		delete(s.statements.confirmed, "")
		s.mu.Unlock()
		return s.toClient(readyIdle(p.append(nil)))
	}
	s.poisonQuery(p)
	return s.endSegment()
}

func (s *session) poisonQuery(p *problem) {
	s.send(appendMessage(nil, msgQuery, cstring(poison)), answer{
		want: wantRefusedQuery, refusal: p, changes: []change{{of: &s.statements, at: always}},
	})
}

// refuseExtended answers a message of the extended protocol with an error. All
// that the client sends until its Sync is dropped, as the server does.
func (s *session) refuseExtended(p *problem) error {
	if s.refusing { // with what was before it (withdraw)
		return nil
	}
	unnamed := s.chain.open && s.chain.statement != nil && s.chain.statementName == ""
	s.cutChain()
	s.refusing = true
	if s.alone() && (!unnamed || !s.hasUnnamed()) {
		s.readyNow = true
		return s.toClient(p.append(nil))
	}
	s.poisonSegment(unnamed, p)
	return nil
}

// poisonSegment makes the server fail in the extended protocol, with or without
// the unnamed statement, which a Parse that fails has dropped.
func (s *session) poisonSegment(unnamed bool, p *problem) {
	name, a := poisonName, answer{want: wantRefusal, refusal: p}
	if unnamed {
		name, a.changes = "", []change{{of: &s.statements}}
	}
	s.send(poisoned(name), a)
}

// poisoned is the Parse that fails, under a name.
func poisoned(name string) []byte {
	return appendMessage(nil, msgParse, cstring(name), cstring(poison), []byte{0, 0})
}

func (s *session) hasUnnamed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, settled := s.statements.find("")
	return b != nil || !settled
}

// alone says that the server need not know of a refusal: it owes nothing, has
// been sent nothing that a refusal would undo, and is in no transaction.
func (s *session) alone() bool {
	if s.segmentOpen.Load() || len(s.batch.answers) > 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quiet() && !s.queue.skipping && s.txStatus == txIdle
}

// answerReady answers the Sync behind a refusal that the server does not know of.
func (s *session) answerReady() error {
	return s.toClient(readyIdle(nil))
}

func readyIdle(dst []byte) []byte {
	return encode(dst, &pgproto3.ReadyForQuery{TxStatus: txIdle})
}

// toClient sends messages of the gateway's own, between those of the server.
func (s *session) toClient(b []byte) error {
	s.clientMu.Lock()
	defer s.clientMu.Unlock()
	if s.cut {
		return errClientGone
	}
	s.bytesOut.Add(int64(len(b)))
	if _, err := s.clientConn.Write(b); err != nil {
		return errClientGone
	}
	return nil
}

func asProblem(err error) (*problem, bool) {
	return errors.AsType[*problem](err)
}
