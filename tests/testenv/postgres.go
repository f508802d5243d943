package testenv

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// PostgreSQL is a server of the test's own, without durability and reached by a
// Unix socket alone.
type PostgreSQL struct {
	bin string // folder with its programs
	dir string // data and socket
	as  *syscall.SysProcAttr
	log Output

	server *os.Process
	ended  chan struct{} // closed when the server has
}

// NeedPostgreSQL starts a server that ends with the test.
func NeedPostgreSQL(t testing.TB) *PostgreSQL {
	t.Helper()
	initdb := findInitdb()
	if initdb == "" {
		missing(t, "initdb of PostgreSQL (apt install postgresql-15)")
	}
	p := &PostgreSQL{bin: filepath.Dir(initdb)}
	var err error
	if p.dir, err = os.MkdirTemp("", "keyward-postgres-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(p.dir) })
	if os.Geteuid() == 0 { // the server refuses to run as root
		p.dropPrivileges(t)
	}
	p.run(t, initdb, "-D", p.dir, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale", "C", "--no-sync")
	p.start(t)
	return p
}

// findInitdb returns its path, from Debian's folders too; empty: there is none.
// The other programs are beside it, but not beside a link to it.
func findInitdb() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return path
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

func (p *PostgreSQL) dropPrivileges(t testing.TB) {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		missing(t, "the user postgres")
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(p.dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	p.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

func (p *PostgreSQL) start(t testing.TB) {
	t.Helper()
	cmd := exec.Command(filepath.Join(p.bin, "postgres"), "-D", p.dir, "-k", p.dir, "-c", "listen_addresses=",
		"-c", "fsync=off", "-c", "shared_buffers=32MB")
	cmd.Dir, cmd.SysProcAttr, cmd.Stdout, cmd.Stderr = p.dir, p.as, &p.log, &p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	p.server, p.ended = cmd.Process, ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // "fast": ends sessions, then itself
		<-ended
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		ready := p.command(ctx, filepath.Join(p.bin, "pg_isready"), "-h", p.dir)
		if ready.Run() == nil {
			return
		}
		select {
		case <-ended:
			t.Fatalf("postgres ended:\n%s", p.log.String())
		case <-ctx.Done():
			t.Fatal("postgres did not become ready")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Crash ends the server and all its sessions at once, so that it has to recover
// when it is started again.
func (p *PostgreSQL) Crash() {
	_ = p.server.Signal(syscall.SIGQUIT) // "immediate"
	<-p.ended
}

// Start starts the server again.
func (p *PostgreSQL) Start(t testing.TB) {
	t.Helper()
	p.start(t)
}

func (p *PostgreSQL) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.SysProcAttr = p.dir, p.as
	return cmd
}

func (p *PostgreSQL) run(t testing.TB, program string, args ...string) {
	t.Helper()
	if out, err := p.command(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(program), err, out)
	}
}

// Log is what the server has written.
func (p *PostgreSQL) Log() string { return p.log.String() }

// Database makes an empty database and returns its DSN.
func (p *PostgreSQL) Database(t *testing.T) string {
	t.Helper()
	name := "t" + strings.ToLower(rand.Text())
	p.run(t, filepath.Join(p.bin, "createdb"), "-h", p.dir, "-U", "postgres", name)
	u := url.URL{Scheme: "postgres", Path: "/" + name, RawQuery: url.Values{"host": {p.dir}, "user": {"postgres"}}.Encode()}
	return u.String()
}

// Dump is all that a database holds, as text: also what no query of ours would
// show.
func (p *PostgreSQL) Dump(t testing.TB, dsn string) []byte {
	t.Helper()
	out, err := p.command(t.Context(), filepath.Join(p.bin, "pg_dump"), "--inserts", dsn).Output()
	if err != nil {
		t.Fatalf("pg_dump: %v", err)
	}
	return out
}
