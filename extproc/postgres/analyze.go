package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// analyse says what a text does, or why it cannot be said. A text that cannot be
// analysed at all is refused here: policy would have nothing to judge.
func (s *session) analyse(ctx context.Context, text string) (*shape, *problem) {
	return s.analyseWith(ctx, text, nil)
}

// analyseWith is analyse with a resolver of its own for names of the session.
func (s *session) analyseWith(ctx context.Context, text string, resolve resolver) (*shape, *problem) {
	if limit := s.cfg.MaxStatement; len(text) > limit {
		return nil, tooLong(len(text), limit)
	}
	path, certain, err := s.searchPath(ctx)
	if err != nil {
		return nil, s.unanalysed(ctx, err)
	}
	if p := s.readable(text, certain); p != nil {
		return nil, p
	}
	committed, err := s.catalogNow(ctx)
	if err != nil {
		return nil, s.unanalysed(ctx, err)
	}
	catalog, known, err := s.ownCatalog(ctx, committed)
	if err != nil {
		return nil, s.unanalysed(ctx, err)
	}
	certain = certain && known
	catalog = s.seen(catalog)
	an, err := s.deps.Analyzer.Analyze(ctx, text, catalog, path)
	if err == nil && namesUnknown(an) && s.own.catalog == nil && s.mayAsk() {
		if catalog, err = s.catalogAnew(ctx); err == nil {
			catalog = s.seen(catalog)
			an, err = s.deps.Analyzer.Analyze(ctx, text, catalog, path)
		}
	}
	if errors.Is(err, sqlmeta.ErrTooLarge) {
		return nil, failed(codeTooComplex, "the statement is too large or too deep to be analysed, so it is refused")
	}
	if err != nil {
		return nil, s.unanalysed(ctx, err)
	}
	sh, err := s.shape(an, text, path, catalog, resolve)
	if err != nil {
		var p *problem
		if errors.As(err, &p) {
			return nil, p
		}
		return nil, s.unanalysed(ctx, err)
	}
	if !certain && (len(sh.sql.Tables)+len(sh.sql.Functions) > 0 || sh.sought) {
		sh = sh.uncertain()
		s.cfg.Introduce.guard(sh)
	}
	return sh, nil
}

// seen is the catalog as this session sees it.
func (s *session) seen(c sqlmeta.Catalog) sqlmeta.Catalog {
	s.mu.Lock()
	changing := s.tempsInTx
	s.mu.Unlock()
	if changing {
		c = sqlmeta.Bodiless(c)
	}
	return sqlmeta.Shadowed(c, s.temporary.names...)
}

func tooLong(n, limit int) *problem {
	return failed(codeTooComplex, "the statement has %d bytes, and at most %d are analysed", n, limit).
		withHint("Send large values as parameters, or with COPY.")
}

// shape gives the shared shape of an analysis, or one of this session where the
// text is about names of the session.
func (s *session) shape(an *sqlmeta.Analysis, text string, path []string, catalog sqlmeta.Catalog, resolve resolver) (*shape, error) {
	class := s.deps.Classification()
	if sh := s.shapes.get(an); sh != nil && sh.class == class {
		return sh, nil
	}
	if resolve == nil {
		resolve = s.resolve
	}
	sh, err := s.guarded(an, class, catalog, resolve)
	if err != nil {
		return nil, err
	}
	sh.text, sh.path = text, path
	if !sh.named {
		if err := sh.sql.Fix(); err != nil {
			return nil, err
		}
		s.shapes.add(an, sh)
	}
	return sh, nil
}

// uncertain is the same text while it is not certain where names lead.
func (s *shape) uncertain() *shape {
	c := *s
	c.opaque, c.unsure = true, true
	c.risks = append(append([]string{}, s.risks...), sqlmeta.RiskAfterChange, sqlmeta.RiskOpaque)
	c.results = make([]result, len(s.results))
	for i := range c.results {
		c.results[i].opaque = true
	}
	return &c
}

func (s *session) unanalysed(ctx context.Context, err error) *problem {
	var w *withdrawn
	if errors.As(err, &w) {
		return w.problem
	}
	if ctx.Err() != nil {
		return failed(codeCanceled, "the statement was not sent: the session ends")
	}
	s.deps.Log.ErrorContext(ctx, "a statement could not be analysed", "target", s.cfg.Target.Name, "session", s.gate.ID, "err", err)
	return failed(codeInternal, "the statement could not be analysed, so it is refused").
		withHint("Ask the gateway's operator to look at its log.")
}

// readable says whether the server reads a text as the analysis does: the same
// characters, and the same meaning of a backslash in a string. certain says that
// no change of a setting is on its way.
func (s *session) readable(text string, certain bool) *problem {
	ascii, backslash := isASCII(text), strings.IndexByte(text, '\\') >= 0
	if ascii && !backslash {
		return nil
	}
	s.mu.Lock()
	encoding, conforming := s.params["client_encoding"], s.params["standard_conforming_strings"]
	certain = certain || !s.settingsChanged // else it is the names that are not
	s.mu.Unlock()
	switch {
	case !ascii && (!certain || !strings.EqualFold(encoding, "UTF8")):
		return failed(codeFeatureNotSupported, "the statement has characters beyond ASCII, and client_encoding is not known to be UTF8").
			withHint("SET client_encoding TO 'UTF8', or send such values as parameters.")
	case !ascii && !utf8.ValidString(text):
		return failed(codeInvalidEncoding, "invalid byte sequence for encoding \"UTF8\": %s", invalidUTF8(text))
	case backslash && (!certain || conforming != "on"):
		return failed(codeFeatureNotSupported, "the statement has a backslash, and standard_conforming_strings is not known to be on").
			withHint("SET standard_conforming_strings TO on.")
	}
	return nil
}

// isASCII looks at eight bytes at a time: texts may be long.
func isASCII(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		eight := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		if eight&0x8080808080808080 != 0 {
			return false
		}
	}
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// invalidUTF8 shows the first character that is none, in the server's own form
// (report_invalid_encoding in mbutils.c): as many bytes as its first one promises.
func invalidUTF8(text string) string {
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if r != utf8.RuneError || size > 1 {
			text = text[size:]
			continue
		}
		promised := 1
		switch b := text[0]; {
		case b&0xe0 == 0xc0:
			promised = 2
		case b&0xf0 == 0xe0:
			promised = 3
		case b&0xf8 == 0xf0:
			promised = 4
		}
		return fmt.Sprintf("% #x", text[:min(promised, len(text))])
	}
	return ""
}

// catalogNow is the catalog that the next statement is analysed against. One
// that the session's own DDL has changed is read again first.
func (s *session) catalogNow(ctx context.Context) (sqlmeta.Catalog, error) {
	s.mu.Lock()
	stale := s.catalogStale
	if stale && s.txStatus == txIdle && s.queue.n == 0 {
		s.catalogStale = false // what was changed is committed: once more will do
	}
	s.mu.Unlock()
	if stale {
		return s.catalogAnew(ctx)
	}
	return s.snapshot(ctx)
}

// catalogAnew reads the catalog again.
func (s *session) catalogAnew(ctx context.Context) (sqlmeta.Catalog, error) {
	if err := s.catalog.Refresh(ctx); err != nil {
		return nil, fmt.Errorf("the catalog: %w", err)
	}
	return s.snapshot(ctx)
}

// askAgain is how long a session waits until it has the catalog read again for
// the sake of a name that is not in it.
const askAgain = time.Second

// mayAsk says whether an unknown name is worth reading the catalog again.
func (s *session) mayAsk() bool {
	now := time.Now()
	if now.Sub(s.asked) < askAgain {
		return false
	}
	s.asked = now
	return true
}

func namesUnknown(an *sqlmeta.Analysis) bool {
	for i := range an.Statements {
		for _, t := range an.Statements[i].Tables {
			if !t.Known {
				return true
			}
		}
	}
	return false
}

func (s *session) snapshot(ctx context.Context) (sqlmeta.Catalog, error) {
	c, err := s.catalog.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("the catalog: %w", err)
	}
	return c, nil
}
