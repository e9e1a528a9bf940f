package spool

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	startTime = time.Minute // recovering a large spool takes a while
	startStep = 100 * time.Millisecond
	// maxMessage is the bytes of one message of evidence. The largest is a block of
	// payload, of 1 MiB before it is packed. A reader has a message and more ahead, in
	// three copies: the server's, its connection's and the client library's.
	maxMessage = 2 << 20
	maxValue   = 8 << 20 // bytes of a message of anybody else's: a held operation
	// syncInterval is how often streams that do not wait for the disk are synced.
	syncInterval = 2 * time.Second
	// noLimit keeps the server's own limit out of the way: each stream has one.
	noLimit = 1 << 50
)

// embedded is a NATS server in this process. It listens on no port.
type embedded struct {
	server *server.Server
	dir    string
}

func startEmbedded(dir string, log *slog.Logger) (*embedded, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s, err := server.NewServer(&server.Options{
		ServerName:             "weir",
		DontListen:             true,
		NoSigs:                 true,
		JetStream:              true,
		DisableJetStreamBanner: true,
		StoreDir:               dir,
		JetStreamMaxStore:      noLimit,
		JetStreamMaxMemory:     64 << 20,
		SyncAlways:             true, // fsync before acknowledge
		SyncInterval:           syncInterval,
		MaxPayload:             maxValue,
	})
	if err != nil {
		return nil, fmt.Errorf("embedded NATS: %w", err)
	}
	s.SetLoggerV2(serverLog{log}, false, false, false)
	s.Start()
	for waited := time.Duration(0); !s.ReadyForConnections(startStep); waited += startStep {
		if !s.Running() || waited > startTime {
			s.Shutdown()
			return nil, fmt.Errorf("embedded NATS could not use %s; its log says why", dir)
		}
	}
	return &embedded{server: s, dir: dir}, nil
}

// restart takes JetStream through a recovery from disk. A stream that once
// failed to write refuses all else until then.
func (e *embedded) restart() error {
	if err := e.server.ShutdownJetStream(); err != nil {
		return err
	}
	return e.server.EnableJetStream(&server.JetStreamConfig{
		StoreDir: e.dir, MaxStore: noLimit, MaxMemory: 64 << 20, SyncAlways: true, SyncInterval: syncInterval,
	})
}

func (e *embedded) shutdown() {
	e.server.Shutdown()
	e.server.WaitForShutdown()
}

// serverLog turns the server's log into ours. Its notices are our debug.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l serverLog) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l serverLog) Fatalf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l serverLog) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l serverLog) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l serverLog) Tracef(string, ...any)           {}
