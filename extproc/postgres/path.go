package postgres

import (
	"context"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// probeName is the name under which the gateway asks the server something. It is
// closed at once.
const probeName = "weir probe"

// probe is a question of the gateway's own to the server, in the middle of the
// session. It is guarded by the session's lock.
type probe struct {
	values []string // the first column of each row
	bytes  int
	asked  int // what is not answered yet
	failed bool
	done   bool
	// temporary says that the rest of the rows are the session's temporary relations.
	temporary bool
}

// searchPath is where names without a schema lead now. certain is false while
// that depends on statements which have not been answered yet, and where it
// cannot be asked for.
func (s *session) searchPath(ctx context.Context) (path []string, certain bool, err error) {
	if err := s.firstPath(ctx); err != nil {
		return nil, false, err
	}
	s.mu.Lock()
	known := !s.pathChanged
	s.mu.Unlock()
	if known || s.segmentOpen.Load() || s.chain.open {
		return s.path, known, nil
	}
	if err := s.await(ctx, func() bool { return s.queue.n == 0 }); err != nil {
		return nil, false, err
	}
	s.mu.Lock()
	// Behind an error the server looks at nothing, and a Sync of ours would end that.
	// It would commit what the client has run without one, too.
	failed := s.txStatus == txFailed || s.queue.skipping || s.unsynced
	s.pathChanged = failed // what changes from here on is noted again
	s.settingsChanged = s.settingsChanged && failed
	s.mu.Unlock()
	if failed {
		return s.path, false, nil
	}
	certain, err = s.takePath(ctx, s.askPath())
	return s.path, certain, err
}

// askFirst asks before the client does, so that its first text waits for no
// question of ours. What changes from here on is noted. A client that replicates may
// never send a text for which it matters.
func (s *session) askFirst() {
	if s.replication != "" {
		return
	}
	s.pathChanged, s.settingsChanged = false, false
	s.asking = s.askPath()
}

// firstPath takes the answer to that.
func (s *session) firstPath(ctx context.Context) error {
	p := s.asking
	if p == nil {
		return nil
	}
	s.asking = nil
	_, err := s.takePath(ctx, p)
	return err
}

// askPath asks the server. SHOW needs no snapshot, so the session's transaction
// is not touched by it. Its temporary relations are asked for only after what may have
// made one, which took a snapshot itself.
func (s *session) askPath() *probe {
	texts := []string{"SHOW search_path", "SHOW role"}
	s.mu.Lock()
	temps := s.tempsChanged
	s.mu.Unlock()
	if temps {
		texts = append(texts, temporaryRelations)
	}
	p := &probe{asked: 1, temporary: temps}
	a := answer{want: wantProbe, hidden: true, probe: p}
	if s.replication == "" {
		s.send(questions(texts...), a)
		return p
	}
	p.asked = len(texts)
	for _, text := range texts { // there a Query is all that there is, and of SHOW one at a time
		s.send(appendMessage(nil, msgQuery, cstring(text)), a)
	}
	return p
}

// takePath waits for the answer. certain is false where there was none.
func (s *session) takePath(ctx context.Context, p *probe) (certain bool, err error) {
	if err := s.await(ctx, func() bool { return p.done }); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.failed || len(p.values) < 2 {
		s.pathChanged, s.settingsChanged = true, true
		return false, nil
	}
	user := p.values[1]
	if user == "none" {
		user = s.params["session_authorization"]
	}
	s.path = sqlmeta.ParseSearchPath(p.values[0])
	for i, name := range s.path {
		if name == "$user" {
			s.path[i] = user
		}
	}
	idle := s.txStatus == txIdle
	s.settingsInTx = s.settingsInTx && !idle
	if p.temporary {
		if s.temporary, err = readTemporary(p.values[2:]); err != nil {
			s.pathChanged = true
			return false, nil
		}
		s.tempsChanged, s.tempsInTx = false, s.tempsInTx && !idle
	}
	return true, nil
}

// questions makes the messages that run statements without arguments and leave
// no trace: named, because the unnamed statement is the client's.
func questions(texts ...string) []byte { return questionsIn(false, texts...) }

// questionsIn is questions whose answers come in binary, or not.
func questionsIn(binary bool, texts ...string) []byte {
	var b []byte
	formats := []byte{0, 0, 0, 0, 0, 0}
	if binary {
		formats = []byte{0, 0, 0, 0, 0, 1, 0, 1}
	}
	name := cstring(probeName)
	for _, text := range texts {
		b = appendMessage(b, msgParse, name, cstring(text), []byte{0, 0})
		b = appendMessage(b, msgBind, name, name, formats)
		b = appendMessage(b, msgExecute, name, []byte{0, 0, 0, 0})
		b = appendMessage(b, msgClose, []byte{'P'}, name)
		b = appendMessage(b, msgClose, []byte{'S'}, name)
	}
	return appendMessage(b, msgSync)
}

// noteSettings remembers that what is forwarded may change what names mean.
func (s *session) noteSettings(sh *shape) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh.settings {
		s.pathChanged, s.settingsChanged, s.settingsInTx = true, true, true
	}
	if sh.ddl || sh.runsCode() {
		s.pathChanged, s.tempsChanged, s.tempsInTx = true, true, true
	}
	if (s.settingsInTx || s.tempsInTx) && containsAction(sh, sqlmeta.ActionTransaction) {
		s.pathChanged = true // ROLLBACK takes back what was set, made and dropped
		s.settingsChanged = s.settingsChanged || s.settingsInTx
		s.tempsChanged = s.tempsChanged || s.tempsInTx
	}
	if sh.ddl {
		s.catalogStale = true
	}
}

func containsAction(sh *shape, action string) bool {
	for _, st := range sh.sql.Statements {
		if st.Action == action {
			return true
		}
	}
	return false
}
