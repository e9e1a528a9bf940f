package parts

import (
	"archive/tar"
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// maxUnpacked bounds what one archive may unpack to, in bytes: the largest
// part (libchdb.so) is 566 MB.
const maxUnpacked = 2 << 30

// unpacker writes the wanted files of an archive below one folder. os.Root
// keeps every write inside it, whatever the names say.
type unpacker struct {
	part *part
	root *os.Root
	left int64
}

// unpack takes the files that the part wants from a .tgz or a wheel into dst,
// which must exist. It refuses archives with names that lead outside.
func unpack(ctx context.Context, p *part, file, dst string) error {
	root, err := os.OpenRoot(dst)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	u := &unpacker{part: p, root: root, left: maxUnpacked}
	if strings.HasSuffix(file, ".whl") || strings.HasSuffix(file, ".zip") {
		err = u.zip(ctx, file)
	} else {
		err = u.tgz(ctx, file)
	}
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", filepath.Base(file), err)
	}
	return nil
}

func (u *unpacker) tgz(ctx context.Context, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	archive := tar.NewReader(unzipped)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		if header.Typeflag != tar.TypeReg {
			return fmt.Errorf("%q is neither a file nor a folder", header.Name)
		}
		if err := u.file(ctx, header.Name, header.FileInfo().Mode(), archive); err != nil {
			return err
		}
	}
}

func (u *unpacker) zip(ctx context.Context, file string) error {
	archive, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	for _, entry := range archive.File {
		if strings.HasSuffix(entry.Name, "/") {
			continue
		}
		if err := u.zipped(ctx, entry); err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) zipped(ctx context.Context, entry *zip.File) error {
	r, err := entry.Open()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return u.file(ctx, entry.Name, entry.Mode(), r)
}

func (u *unpacker) file(ctx context.Context, name string, mode fs.FileMode, r io.Reader) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !filepath.IsLocal(name) {
		return fmt.Errorf("%q leads outside the archive", name)
	}
	dst, wanted := u.part.destination(name)
	if !wanted {
		return nil
	}
	if err := u.root.MkdirAll(path.Dir(dst), 0o755); err != nil {
		return err
	}
	perm := fs.FileMode(0o644)
	if mode&0o111 != 0 || u.part.executable(dst) {
		perm = 0o755
	}
	w, err := u.root.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	n, err := io.Copy(w, io.LimitReader(r, u.left+1))
	if err := errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("%s: %w", dst, err)
	}
	if u.left -= n; u.left < 0 {
		return fmt.Errorf("more than %d bytes unpacked", int64(maxUnpacked))
	}
	return nil
}
