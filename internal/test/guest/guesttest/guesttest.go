// SPDX-License-Identifier: Apache-2.0

// Package guesttest runs Go tests in a real kernel. A package with such tests
// contains
//
//	func TestMain(m *testing.M) { guesttest.Main(m) }
//
// and wraps the body of each such test in [InGuest].
//
// Environment: KERNEL picks a kernel, one of [guest.Names]; with
// REQUIRE_KERNEL=1 a test without a kernel fails instead of being skipped,
// and Debian packages that a test needs are fetched.
package guesttest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// Main is the body of a TestMain: in a guest it runs the guest's job, on the
// host it runs the tests.
func Main(m *testing.M) {
	guest.Init()
	if guest.InGuest() {
		err := endInTime()
		if err == nil && testing.CoverMode() != "" {
			err = dropCounts("/run/cover")
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// deadlineVariable is the environment variable of a guest with the time at
// which its test must end. It is not a duration, because the boot takes time
// too.
const deadlineVariable = "IPVSADM_TEST_DEADLINE"

// endInTime sets the test's timeout.
func endInTime() error {
	text := os.Getenv(deadlineVariable)
	if text == "" {
		return nil
	}
	deadline, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return err
	}
	flag.Parse()
	return flag.Set("test.timeout", max(time.Until(deadline), time.Second).String())
}

// dropCounts sets a coverage directory that any user can write to. A test
// binary built with -cover writes its counts there when it runs as another
// program, and prints a warning if it cannot.
func dropCounts(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return errors.Join(os.Chmod(dir, 0o777), os.Setenv("GOCOVERDIR", dir))
}

// InGuest runs body, the whole of test t, in a guest. On the host it boots one
// with this test binary, runs this same test in it, and fails with its output
// if that fails. In the guest it just calls body. -test.run, -test.skip,
// -test.timeout and -test.v apply in the guest as well.
//
// The guest has the host test's working directory and, of its environment, PATH,
// HOME, TMPDIR, KERNEL, REQUIRE_KERNEL and IPVSADM_TEST_*. Debian packages
// are named as for [Kernel].
func InGuest(t *testing.T, body func(t *testing.T), packages ...string) {
	t.Helper()
	if guest.InGuest() {
		body(t)
		return
	}
	if strings.Contains(t.Name(), "/") {
		t.Fatal("guesttest.InGuest is for top-level tests: the guest would run everything before this subtest too")
	}
	kernel := Kernel(t, packages...)
	exe, err := os.Executable()
	must.OK(t, err)
	ctx, env := t.Context(), guestEnv()
	args := []string{exe, "-test.paniconexit0", "-test.v=" + flagValue("test.v"), "-test.run=" + guestRun(t.Name(), flagValue("test.run")), "-test.skip=" + flagValue("test.skip")}
	if deadline, ok := t.Deadline(); ok {
		// The guest's own timeout must come first, because it shows
		// where the test hangs.
		left := time.Until(deadline)
		env = append(env, deadlineVariable+"="+deadline.Add(-min(left/3, 15*time.Second)).Format(time.RFC3339Nano))
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, left-min(left/20, 3*time.Second))
		defer cancel()
	}

	var out bytes.Buffer
	to := io.Writer(&out)
	if testing.Verbose() {
		to = io.MultiWriter(&out, t.Output())
	}
	status, err := guest.Run(ctx, guest.Job{Kernel: kernel, Args: args, Env: env, Stdout: to, Stderr: to})
	if !testing.Verbose() && (status != 0 || err != nil) {
		_, _ = t.Output().Write(out.Bytes())
	}
	switch skipped := []byte("\n--- SKIP: " + t.Name() + " "); {
	case err != nil:
		t.Error(err)
	case status != 0:
		t.Errorf("the guest's test ended with status %d", status)
	case bytes.Contains(out.Bytes(), skipped): // unknown without -test.v
		t.SkipNow()
	}
}

// Kernel returns the kernel that the environment variable KERNEL selects. If
// it is missing the test is skipped, or with REQUIRE_KERNEL=1 fails; with
// -test.short it is always skipped, so that the rest takes only seconds. Its
// guests have the files of the named Debian packages and their dependencies,
// unless the machine has its own; nothing is installed. With REQUIRE_KERNEL=1
// missing packages are fetched into the user's cache, otherwise the test is
// skipped.
func Kernel(t testing.TB, packages ...string) guest.Kernel {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a kernel, which takes too long with -short")
	}
	if raceEnabled {
		Lacks(t, "guest: a binary built with -race does not start in the guest: test without -race")
	}
	var log bytes.Buffer
	kernel, err := guest.Obtain(t.Context(), os.Getenv("KERNEL"), required() && len(packages) > 0, &log, packages...)
	if err != nil {
		Lacks(t, strings.TrimSpace(fmt.Sprintf("%v\n%s", err, log.Bytes())))
	}
	return kernel
}

// Lacks ends a test that lacks something: with REQUIRE_KERNEL=1 the test
// fails, otherwise it is skipped.
func Lacks(t testing.TB, what any) {
	t.Helper()
	if required() {
		t.Fatal(what)
	}
	t.Skip(what)
}

func required() bool { return os.Getenv("REQUIRE_KERNEL") == "1" }

// guestRun returns the -test.run that selects, of the test called name, the
// subtests that the host's -test.run selects.
func guestRun(name, hostRun string) string {
	only := "^" + name + "$"
	var selected []string
	for alternative := range strings.SplitSeq(hostRun, "|") {
		top, sub, ok := strings.Cut(alternative, "/")
		if matches, err := regexp.MatchString(top, name); err != nil || matches && !ok {
			return only
		} else if matches {
			selected = append(selected, only+"/"+sub)
		}
	}
	return cmp.Or(strings.Join(selected, "|"), only)
}

func flagValue(name string) string {
	return flag.Lookup(name).Value.String()
}

func guestEnv() []string {
	env := []string{"PATH=" + guest.GuestPath()}
	for _, kv := range os.Environ() {
		switch name, _, _ := strings.Cut(kv, "="); {
		case name == "HOME", name == "TMPDIR", name == "KERNEL", name == "REQUIRE_KERNEL",
			strings.HasPrefix(name, "IPVSADM_TEST_"):
			env = append(env, kv)
		}
	}
	return env
}

// Namespace gives the test, or benchmark, a network namespace of its own, with
// an empty IPVS table and lo up, until it ends. It applies to the calling
// goroutine and the commands it starts, not to subtests, which are other
// goroutines. See [guest.EnterNamespace].
func Namespace(t testing.TB) {
	t.Helper()
	needGuest(t)
	leave, err := guest.EnterNamespace()
	must.OK(t, err)
	t.Cleanup(func() {
		if err := leave(); err != nil {
			t.Error(err)
		}
	})
}

// Modprobe loads kernel modules into the guest.
func Modprobe(t testing.TB, modules ...string) {
	t.Helper()
	needGuest(t)
	if out, err := exec.Command("modprobe", append([]string{"-a"}, modules...)...).CombinedOutput(); err != nil {
		t.Fatalf("modprobe %v: %v\n%s", modules, err, out)
	}
}

func needGuest(t testing.TB) {
	t.Helper()
	if !guest.InGuest() {
		t.Fatal("this is for tests in the guest: wrap the test in guesttest.InGuest")
	}
}
