// SPDX-License-Identifier: Apache-2.0

package guest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

func TestMain(m *testing.M) { guesttest.Main(m) }

// run runs a job that must exit, and returns its status and outputs.
func run(t *testing.T, job guest.Job) (status int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	job.Kernel, job.Stdout, job.Stderr = guesttest.Kernel(t), &out, &errOut
	status, err := guest.Run(t.Context(), job)
	must.OK(t, err)
	return status, out.String(), errOut.String()
}

func shell(script string, args ...string) []string {
	return append([]string{"sh", "-c", script, "sh"}, args...)
}

func TestStreamsAndStatusAreExact(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	in, file := make([]byte, 3<<20+7), filepath.Join(t.TempDir(), "in")
	random.Read(in)
	must.OK(t, os.WriteFile(file, in, 0o600))
	status, stdout, stderr := run(t, guest.Job{
		Args: shell(`cat "$2"; printf '\000\377\n\r%s' "$1" > /dev/stderr; exit 7`, "two words \xfe", file),
	})
	if status != 7 {
		t.Errorf("status %d, want 7", status)
	}
	if stdout != string(in) {
		t.Errorf("stdout: %d bytes that are not the %d of the file", len(stdout), len(in))
	}
	if want := "\x00\xff\n\rtwo words \xfe"; stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
}

func TestJobHasItsEnvironmentAndDirectory(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Dir(dir)} {
		must.OK(t, os.Chmod(path, 0o777))
	}
	status, stdout, stderr := run(t, guest.Job{
		Args: shell(`pwd; echo "$A"; wc -c; touch new && echo made; echo x > /dev/stdout; kill -9 $$`),
		Env:  []string{"A=b c", "PATH=" + guest.GuestPath()},
		Dir:  dir,
	})
	if want := dir + "\nb c\n0\nmade\nx\n"; stdout != want || stderr != "" {
		t.Errorf("stdout %q, stderr %q, want %q", stdout, stderr, want)
	}
	if status != 128+9 {
		t.Errorf("status %d of a shell killed by signal 9", status)
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file made in the guest is on the host: %v", err)
	}
}

func TestEndedContextLeavesNothingBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the test is over")
	_, err := guest.Run(ctx, guest.Job{
		Kernel: guesttest.Kernel(t),
		Args:   shell(`sleep 100 & setsid sleep 100 & echo ready; wait`),
		Stdout: writerFunc(func([]byte) { cancel(why) }),
	})
	if !errors.Is(err, why) {
		t.Errorf("error %v, want %v", err, why)
	}
	noProcessMentions(t, os.TempDir())
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

// A child of this test runs the guest, so that it can be killed.
func TestGuestEndsWithItsHost(t *testing.T) {
	if os.Getenv("UML_TEST_CHILD") == "1" {
		guest.Run(t.Context(), guest.Job{Kernel: guesttest.Kernel(t), Args: shell(`echo ready; sleep 100`), Stdout: os.Stdout})
		t.Fatal("the guest ended first")
	}
	guesttest.Kernel(t)
	tmp := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "UML_TEST_CHILD=1", "TMPDIR="+tmp)
	stdout, err := child.StdoutPipe()
	must.OK(t, err)
	must.OK(t, child.Start())
	if _, err := io.ReadFull(stdout, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	child.Process.Kill()
	child.Wait()
	noProcessMentions(t, tmp)
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}

// noProcessMentions waits briefly until no process has word in its command
// line.
func noProcessMentions(t *testing.T, word string) {
	t.Helper()
	var found string
	if !must.Soon(func() bool {
		found = ""
		lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
		must.OK(t, err)
		for _, path := range lines {
			if line, err := os.ReadFile(path); err == nil && bytes.Contains(line, []byte(word)) {
				found = path
			}
		}
		return found == ""
	}) {
		t.Errorf("still running: %s", found)
	}
}

func TestRunErrorsSayWhatWentWrong(t *testing.T) {
	kernel := guesttest.Kernel(t)
	for name, c := range map[string]struct {
		job  guest.Job
		want string
	}{
		"no command":                  {guest.Job{}, "guest: the job has no command"},
		"command not in PATH":         {guest.Job{Args: []string{"no-such-command"}}, `guest: exec: "no-such-command": executable file not found in $PATH`},
		"no such program":             {guest.Job{Args: []string{"/no/such/program"}, Dir: "/"}, "guest: start /no/such/program in /: no such file or directory"},
		"kernel panic":                {guest.Job{Args: shell("echo c > /proc/sysrq-trigger; sleep 100")}, "console: Kernel panic - not syncing: sysrq triggered crash"},
		"power off":                   {guest.Job{Args: shell("poweroff -f; sleep 100")}, "guest: ended without a result\nconsole: "},
		"a kernel that does not boot": {guest.Job{Args: []string{"true"}, Kernel: guest.Kernel{Path: "/bin/false"}}, "guest: ended without a result\nconsole: "},
	} {
		t.Run(name, func(t *testing.T) {
			if c.job.Kernel == (guest.Kernel{}) {
				c.job.Kernel = kernel
			}
			_, err := guest.Run(t.Context(), c.job)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestFindSaysHowToGetAKernel(t *testing.T) {
	t.Setenv("PATH", "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	guest.SetProcessor(t, "avx2")
	for version, want := range map[string]string{
		"":          "guest: no linux.uml on this machine: make deps",
		"6.12":      "guest: no linux.uml 6.12 on this machine: make deps KERNEL=6.12",
		"debian-13": "guest: no kernel of Debian on this machine: make deps KERNEL=debian-13",
		"5.10":      `guest: no kernel "5.10": there are 6.1, 6.12, 7.2, debian-11, debian-12, debian-13, debian-sid`,
	} {
		if k, err := guest.Find(version); err == nil || err.Error() != want {
			t.Errorf("Find(%q): %v, %v, want %s", version, k, err, want)
		}
	}
}

func TestFindPackagesSaysWhatIsMissing(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	want := "guest: not in the cache: hello netbase: make test fetches them"
	if root, err := guest.FindPackages("", "hello", "netbase"); err == nil || err.Error() != want {
		t.Errorf("%s, %v, want %s", root, err, want)
	}
}

func TestGuest(t *testing.T) {
	probe := filepath.Join(t.TempDir(), "probe")
	if !guest.InGuest() {
		must.OK(t, os.WriteFile(probe, []byte("host's"), 0o644))
		t.Setenv("IPVSADM_TEST_PROBE", probe)
		t.Setenv("IPVSADM_TEST_NOW", time.Now().Format(time.RFC3339Nano))
	}
	guesttest.InGuest(t, testGuest)
	if !guest.InGuest() {
		if b, err := os.ReadFile(probe); err != nil || string(b) != "host's" {
			t.Errorf("the host's file after the guest changed its own: %q, %v", b, err)
		}
	}
}

// TestGuestReadsMoreFilesThanItsHostOpensByDefault sets an ordinary user's
// limit, whoever runs it.
func TestGuestReadsMoreFilesThanItsHostOpensByDefault(t *testing.T) {
	const limit, files = 256, 1000
	dir := t.TempDir()
	if !guest.InGuest() {
		for i := range files {
			must.OK(t, os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), []byte("x"), 0o644))
		}
		t.Setenv("IPVSADM_TEST_PROBE", dir)
		var before unix.Rlimit
		must.OK(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
		lower := unix.Rlimit{Cur: limit, Max: before.Max}
		must.OK(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &lower))
		defer unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	}
	guesttest.InGuest(t, func(t *testing.T) {
		for i := range files {
			b, err := os.ReadFile(filepath.Join(os.Getenv("IPVSADM_TEST_PROBE"), strconv.Itoa(i)))
			if err != nil || string(b) != "x" {
				t.Fatalf("file %d: %q, %v", i, b, err)
			}
		}
	})
}

func testGuest(t *testing.T) {
	must := func(t *testing.T, script string) string {
		t.Helper()
		out, err := exec.Command("bash", "-euc", script).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
		return string(out)
	}
	t.Run("a host file can be changed here only", func(t *testing.T) {
		must(t, `test "$(cat "$IPVSADM_TEST_PROBE")" = "host's"; echo guest > "$IPVSADM_TEST_PROBE"; rm "$IPVSADM_TEST_PROBE"`)
		must(t, "rm /etc/passwd; echo > /etc/new; touch /usr/bin/new /tmp/new /run/new")
	})
	t.Run("the clock is the host's", func(t *testing.T) {
		now, err := time.Parse(time.RFC3339Nano, os.Getenv("IPVSADM_TEST_NOW"))
		if since := time.Since(now); err != nil || since < 0 || since > time.Hour { // including the boot on a busy machine
			t.Errorf("%v after the boot, %v", since, err)
		}
	})
	t.Run("the working directory is the package's", func(t *testing.T) {
		if _, err := os.Stat("guest_test.go"); err != nil {
			t.Error(err)
		}
	})
}
