package spool

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// diskInterval is how often the free space of the disk is looked at.
const diskInterval = time.Second

// watch looks at an embedded spool's disk, and mends its server after an append
// that got no answer.
func (s *Spool) watch(ctx context.Context) {
	tick := time.NewTicker(diskInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.checkDisk()
		case <-s.suspect:
			s.mend(ctx)
		}
	}
}

// checkDisk notes whether the disk is nearly full.
func (s *Spool) checkDisk() {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(s.cfg.Dir, &fs); err != nil {
		return // an unreadable folder shows itself at the next append
	}
	free := int64(fs.Bavail) * fs.Bsize //nolint:unconvert // its type differs between systems
	full := free < s.cfg.MinFree
	if was := s.full.Swap(full); was != full {
		if full {
			s.log.Error("the spool's disk is nearly full: operations are refused until there is space", "dir", s.cfg.Dir, "free", free, "needed", s.cfg.MinFree)
		} else {
			s.log.Info("the spool's disk has space again", "dir", s.cfg.Dir, "free", free)
		}
	}
}

// mend restarts the embedded JetStream until its streams answer.
func (s *Spool) mend(ctx context.Context) {
	s.down.Store(true)
	defer s.down.Store(false)
	s.log.Error("the spool gave no answer: it is recovered from disk, operations are refused until then", "dir", s.cfg.Dir)
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		s.checkDisk()
		if s.full.Load() {
			return struct{}{}, ErrFull
		}
		if err := s.server.restart(); err != nil {
			return struct{}{}, err
		}
		asking, done := context.WithTimeout(ctx, s.cfg.Timeout)
		defer done()
		return struct{}{}, s.probe(asking)
	}, backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, wait time.Duration) {
		s.log.Warn("the spool could not be recovered yet", "dir", s.cfg.Dir, "err", err, "again_in", wait)
	}))
	if err == nil {
		s.log.Info("the spool is well again", "dir", s.cfg.Dir)
	}
}

// probe makes sure that the streams are there and that the disk takes a write.
func (s *Spool) probe(ctx context.Context) error {
	for name, stream := range s.handles {
		if _, err := stream.Info(ctx); err != nil {
			return fmt.Errorf("stream %s: %w", name, err)
		}
	}
	_, err := s.state.PutString(ctx, "probe", time.Now().UTC().Format(time.RFC3339))
	return err
}

// redact leaves the passwords out of a list of URLs.
func redact(list string) string {
	parts := strings.Split(list, ",")
	for i, p := range parts {
		if u, err := url.Parse(strings.TrimSpace(p)); err == nil {
			parts[i] = u.Redacted()
		} else {
			parts[i] = "(not a URL)"
		}
	}
	return strings.Join(parts, ",")
}
