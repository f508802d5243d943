package testenv

import (
	"strconv"
	"syscall"
	"testing"
)

// SmallDisk mounts a file system of a size in bytes, in memory, and returns its
// folder. It ends with the test.
func SmallDisk(t testing.TB, size int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "size="+strconv.Itoa(size)); err != nil {
		missing(t, "the right to mount a small file system (run as root)")
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}
