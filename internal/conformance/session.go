package conformance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// answerWithin is how long one statement may take: what takes longer is broken.
const answerWithin = 15 * time.Second

// signInWithin is how long a connection may take, if its DSN does not say.
const signInWithin = 15 * time.Second

// session is a connection of which every message is seen.
type session struct {
	conn     net.Conn
	frontend *pgproto3.Frontend
	status   byte // of the transaction: I, T, E
}

// dial signs in, with the scratch schema first in the search path. Poolers that take
// no such parameter of a connection (PgBouncer: ignore_startup_parameters) are told by SET.
func (p *player) dial(ctx context.Context) (*session, error) {
	schema := p.world.schema
	cfg, err := pgconn.ParseConfig(p.target)
	if err != nil {
		return nil, err
	}
	if p.password != nil {
		if cfg.Password, err = p.password(ctx); err != nil {
			return nil, err
		}
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = signInWithin
	}
	cfg.RuntimeParams["search_path"] = schema
	cfg.RuntimeParams["application_name"] = "weir conformance"
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil && strings.Contains(err.Error(), "startup parameter") {
		delete(cfg.RuntimeParams, "search_path")
		if conn, err = pgconn.ConnectConfig(ctx, cfg); err == nil {
			_, err = conn.Exec(ctx, "SET search_path TO "+pgx.Identifier{schema}.Sanitize()).ReadAll()
		}
	}
	if err != nil {
		return nil, err
	}
	h, err := conn.Hijack()
	if err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return &session{conn: h.Conn, frontend: h.Frontend, status: h.TxStatus}, nil
}

func (s *session) close() {
	s.frontend.Send(&pgproto3.Terminate{})
	_ = s.frontend.Flush() // it may be gone already
	_ = s.conn.Close()
}

// exchange sends messages and returns what comes back up to a ReadyForQuery. A COPY
// from the client is given data.
func (s *session) exchange(ctx context.Context, data string, messages ...pgproto3.FrontendMessage) ([]pgproto3.BackendMessage, error) {
	deadline := time.Now().Add(answerWithin)
	if by, ok := ctx.Deadline(); ok && by.Before(deadline) {
		deadline = by
	}
	if err := s.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for _, m := range messages {
		s.frontend.Send(m)
	}
	if err := s.frontend.Flush(); err != nil {
		return nil, err
	}
	var all []pgproto3.BackendMessage
	for {
		m, err := s.receive()
		if err != nil {
			return all, err
		}
		all = append(all, m)
		switch m := m.(type) {
		case *pgproto3.ReadyForQuery:
			s.status = m.TxStatus
			return all, nil
		case *pgproto3.CopyInResponse:
			s.frontend.Send(&pgproto3.CopyData{Data: []byte(data)})
			s.frontend.Send(&pgproto3.CopyDone{})
			if _, query := messages[0].(*pgproto3.Query); !query {
				s.frontend.Send(&pgproto3.Sync{}) // the server has passed over the one before
			}
			if err := s.frontend.Flush(); err != nil {
				return all, err
			}
		}
	}
}

// receive reads a message into memory of its own: the frontend uses its again.
func (s *session) receive() (pgproto3.BackendMessage, error) {
	m, err := s.frontend.Receive()
	if err != nil {
		return nil, err
	}
	return clone(m)
}

// clone copies what a later message would overwrite.
func clone(m pgproto3.BackendMessage) (pgproto3.BackendMessage, error) {
	c := fresh(m)
	if c == nil {
		return nil, fmt.Errorf("a message %T that was not asked for", m)
	}
	b, err := m.Encode(nil)
	if err != nil {
		return nil, err
	}
	const header = 5
	return c, c.Decode(b[header:])
}

// fresh is an empty message of the same kind, nil of those that do not come after
// sign-in.
func fresh(m pgproto3.BackendMessage) pgproto3.BackendMessage {
	switch m.(type) {
	case *pgproto3.BindComplete:
		return &pgproto3.BindComplete{}
	case *pgproto3.CloseComplete:
		return &pgproto3.CloseComplete{}
	case *pgproto3.CommandComplete:
		return &pgproto3.CommandComplete{}
	case *pgproto3.CopyBothResponse:
		return &pgproto3.CopyBothResponse{}
	case *pgproto3.CopyData:
		return &pgproto3.CopyData{}
	case *pgproto3.CopyDone:
		return &pgproto3.CopyDone{}
	case *pgproto3.CopyInResponse:
		return &pgproto3.CopyInResponse{}
	case *pgproto3.CopyOutResponse:
		return &pgproto3.CopyOutResponse{}
	case *pgproto3.DataRow:
		return &pgproto3.DataRow{}
	case *pgproto3.EmptyQueryResponse:
		return &pgproto3.EmptyQueryResponse{}
	case *pgproto3.ErrorResponse:
		return &pgproto3.ErrorResponse{}
	case *pgproto3.FunctionCallResponse:
		return &pgproto3.FunctionCallResponse{}
	case *pgproto3.NoData:
		return &pgproto3.NoData{}
	case *pgproto3.NoticeResponse:
		return &pgproto3.NoticeResponse{}
	case *pgproto3.NotificationResponse:
		return &pgproto3.NotificationResponse{}
	case *pgproto3.ParameterDescription:
		return &pgproto3.ParameterDescription{}
	case *pgproto3.ParameterStatus:
		return &pgproto3.ParameterStatus{}
	case *pgproto3.ParseComplete:
		return &pgproto3.ParseComplete{}
	case *pgproto3.PortalSuspended:
		return &pgproto3.PortalSuspended{}
	case *pgproto3.ReadyForQuery:
		return &pgproto3.ReadyForQuery{}
	case *pgproto3.RowDescription:
		return &pgproto3.RowDescription{}
	}
	return nil
}
