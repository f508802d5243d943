package filesync

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"keyward/manager/files/wire"
)

// maxFiles bounds a folder, and what is listed of a store.
const maxFiles = 200_000

var (
	errSymlink = errors.New("is a symbolic link, which could lead anywhere")
	errSpecial = errors.New("is neither a file nor a folder")
	errChanged = errors.New("changed while it was being looked at; the next run takes it")
)

// A folder is the local side. Nothing is read or written outside of it, whatever
// links there are.
type folder struct {
	root    *os.Root
	lock    *os.File
	exclude []string
}

// openFolder opens a folder, which is made where it is missing, for one process at
// a time.
func openFolder(dir string, exclude []string) (*folder, error) {
	for _, p := range exclude {
		if _, err := path.Match(p, ""); err != nil {
			return nil, fmt.Errorf("exclude %q is no pattern", p)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{root: root, exclude: exclude}
	if err := f.own(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return f, nil
}

// own makes the folder's own place, and locks it.
func (f *folder) own() error {
	if err := f.root.Mkdir(ownDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if i, err := f.root.Lstat(ownDir); err != nil || !i.IsDir() {
		return fmt.Errorf("%s: %w", ownDir, errSymlink)
	}
	lock, err := f.root.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(errors.New("another keyward-sync is at work in this folder"), lock.Close())
	}
	f.lock = lock
	return nil
}

func (f *folder) close() error { return errors.Join(f.lock.Close(), f.root.Close()) }

// excluded reports whether a name, or a folder that it is in, is left out.
func (f *folder) excluded(name string) bool {
	for segment := range strings.SplitSeq(name, "/") {
		if slices.ContainsFunc(f.exclude, func(p string) bool { ok, _ := path.Match(p, segment); return ok }) {
			return true
		}
	}
	return slices.ContainsFunc(f.exclude, func(p string) bool { ok, _ := path.Match(p, name); return ok })
}

// scan finds all files, by name to what they are. What can't be sent is told to
// refused, and left out. A file that is as it was known is not read.
func (f *folder) scan(s *state, checksum bool, refused func(name string, err error)) (map[string]known, error) {
	files := map[string]known{}
	err := fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && name == ".":
			return err
		case err != nil:
			refused(name, err)
			return nil
		case name == ".":
			return nil
		case name == ownDir:
			return fs.SkipDir
		case f.excluded(name):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if err := wire.CheckName(name); err != nil {
			refused(name, err)
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		if len(files) >= maxFiles {
			return fmt.Errorf("the folder has more than %d files", maxFiles)
		}
		k, err := f.look(name, s.Files[name], checksum)
		if err != nil {
			refused(name, err)
			return nil
		}
		files[name] = k
		return nil
	})
	return files, err
}

// look says what a file is. Its content is read unless it looks as it was.
func (f *folder) look(name string, was known, checksum bool) (known, error) {
	i, err := f.root.Lstat(name)
	if err != nil {
		return known{}, err
	}
	if err := plain(i); err != nil {
		return known{}, err
	}
	k := known{Size: i.Size(), MTime: i.ModTime().UnixNano(), ETag: was.ETag}
	if k == was && !checksum {
		return k, nil
	}
	file, err := openPlain(f.root, name)
	if err != nil {
		return known{}, err
	}
	defer file.Close()
	sum, err := wire.SumOf(file)
	if err != nil {
		return known{}, err
	}
	k.ETag = sum.ETag
	if now, err := file.Stat(); err != nil || now.Size() != sum.Size || now.ModTime().UnixNano() != k.MTime {
		return known{}, errChanged
	}
	return k, nil
}

// unchanged reports whether a file is still as it was found; a zero k: not there.
func (f *folder) unchanged(name string, k known) error {
	i, err := f.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && k == known{}:
		return nil
	case err != nil:
		return err
	case k == known{} || i.Size() != k.Size || i.ModTime().UnixNano() != k.MTime:
		return errChanged
	default:
		return plain(i)
	}
}

// place moves a whole file from the folder's own place to its name.
func (f *folder) place(from, name string, was known) (known, error) {
	if err := f.parents(name); err != nil {
		return known{}, err
	}
	if err := f.unchanged(name, was); err != nil {
		return known{}, err
	}
	if err := f.root.Rename(from, name); err != nil {
		return known{}, err
	}
	i, err := f.root.Lstat(name)
	if err != nil {
		return known{}, err
	}
	return known{Size: i.Size(), MTime: i.ModTime().UnixNano()}, nil
}

// parents makes the folders that a name is in. None of them may be a link.
func (f *folder) parents(name string) error {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	for i := range len(dir) + 1 {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		part := dir[:i]
		if err := f.root.Mkdir(part, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		info, err := f.root.Lstat(part)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%q is in the way: it is no folder", part)
		}
	}
	return nil
}

// remove deletes a file that is still as it was found.
func (f *folder) remove(name string, k known) error {
	if err := f.unchanged(name, k); err != nil {
		return err
	}
	return f.root.Remove(name)
}

func plain(i fs.FileInfo) error {
	switch {
	case i.Mode().IsRegular():
		return nil
	case i.Mode()&fs.ModeSymlink != 0:
		return errSymlink
	default:
		return errSpecial
	}
}

// openPlain opens a file that is no link, and does not wait for one that is a pipe.
func openPlain(root *os.Root, name string) (*os.File, error) {
	was, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if err := plain(was); err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	i, err := f.Stat()
	if err == nil && !os.SameFile(was, i) { // a root follows links that stay in it
		err = errChanged
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
