// SPDX-License-Identifier: Apache-2.0

// The gap that a restore leaves: in the demo's cluster, with a third server,
// clients send requests without pause while the director restores without
// pause, and what fails is counted. Each trial has a guest of its own, so that
// all start from the same state.

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/network"
)

// trial is clients together with one ipvsadm-restore.
type trial struct {
	program string   // the ipvsadm-restore, "" for none: what fails then is the lab's own fault
	files   string   // what it is given, for the table of results
	rules   []string // the files, taken in turn
}

const (
	ours       = "ipvsadm-restore"
	original   = "/usr/sbin/ipvsadm-restore" // of Debian's package, 1.31's
	gapService = "12.0.0.1:80"
	clients    = 12
	// answerLimit is for one request. With less, what fails on a busy machine is
	// the guest, which stands still for seconds.
	answerLimit = 10 * time.Second
	// noneSeconds is enough for the trial of no program.
	noneSeconds = 5
	// With less than this a trial has shown nothing; restores are ours.
	enoughRequests = 200
	enoughRestores = 5
)

var trials = []trial{
	{"", "-", gapRules},
	{ours, "the same", gapRules[:1]},
	{ours, "two in turn", gapRules},
	{original, "the same", gapRules[:1]},
	{original, "two in turn", gapRules},
}

const gapHosts = demoHosts + "nginx3 ens33 inside 192.168.168.30/24 via 192.168.168.50\n"

// gapRules are two files that have the service in common: between them its two
// servers swap their weights, a third one comes and goes, and so does every
// other service.
var gapRules = []string{
	"-A -t " + gapService + " -s wlc\n" +
		"-a -t " + gapService + " -r 192.168.168.10:80 -m -w 3\n" +
		"-a -t " + gapService + " -r 192.168.168.20:80 -m -w 1\n" +
		otherServices(8000),
	"-A -t " + gapService + " -s wlc\n" +
		"-a -t " + gapService + " -r 192.168.168.10:80 -m -w 1\n" +
		"-a -t " + gapService + " -r 192.168.168.20:80 -m -w 3\n" +
		"-a -t " + gapService + " -r 192.168.168.30:80 -m -w 2\n" +
		otherServices(9000),
}

// otherServices are some dozens, on ports from the first one on.
func otherServices(first int) string {
	var b strings.Builder
	for port := first; port < first+36; port++ {
		fmt.Fprintf(&b, "-A -t 12.0.0.1:%d -s rr\n", port)
		for _, server := range []string{"192.168.168.10", "192.168.168.20"} {
			fmt.Fprintf(&b, "-a -t 12.0.0.1:%d -r %s:80 -m -w 1\n", port, server)
		}
	}
	return b.String()
}

// gap runs all trials and reports whether each was as it has to be.
func (l lab) gap(ctx context.Context) (ok bool, err error) {
	if l.seconds < 1 {
		return false, fmt.Errorf("%d seconds are too few", l.seconds)
	}
	kernel, err := l.equip(ctx)
	if err != nil {
		return false, err
	}
	fmt.Printf("Linux %s, %d clients, %d seconds each:\n", kernel.Version, clients, l.seconds)
	printRow(os.Stdout, "program", "files", "restores", "requests", "failed", "slowest", "how they failed")
	ok = true
	for i := range trials {
		fine, err := l.boot(ctx, kernel, "-seconds", strconv.Itoa(l.seconds), "gap", strconv.Itoa(i))
		if err != nil {
			return false, err
		}
		ok = ok && fine
	}
	return ok, nil
}

// printRow prints a row of the table of results.
func printRow(out io.Writer, cells ...any) {
	row := fmt.Sprintf("%-22s  %-11s  %8v  %8v  %6v  %7s  %s", cells...)
	fmt.Fprintln(out, strings.TrimRight(row, " "))
}

// findTrial reads the guest's arguments.
func findTrial(args []string) (trial, error) {
	if len(args) == 1 {
		if i, err := strconv.Atoi(args[0]); err == nil && i >= 0 && i < len(trials) {
			return trials[i], nil
		}
	}
	return trial{}, fmt.Errorf("there is no trial %q", args)
}

// play runs the trial in the guest, prints its row of the table and reports
// whether no request failed that may not: with 1.31's any may.
func (t trial) play(out io.Writer, seconds int) (ok bool, err error) {
	if t.program == "" {
		seconds = min(seconds, noneSeconds)
	}
	if err := t.prepare(); err != nil {
		return false, err
	}
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	requests := startRequests()
	restores := 0
	for t.program != "" && time.Now().Before(end) && err == nil {
		restores++
		err = restore(t.program, restores%len(t.rules)) // the first one is in force already
	}
	time.Sleep(time.Until(end))
	if err := errors.Join(requests.end(), err); err != nil {
		return false, err
	}

	failed, kinds := requests.failed()
	slowest := fmt.Sprintf("%.2f s", requests.slowest.Seconds())
	printRow(out, t.title(), t.files, restores, requests.count, failed, slowest, kinds)
	if requests.count < enoughRequests || t.program == ours && restores < enoughRestores {
		return false, fmt.Errorf("%d requests and %d restores show nothing", requests.count, restores)
	}
	return failed == 0 || t.program == original, nil
}

func (t trial) title() string {
	switch t.program {
	case "":
		return "none"
	case original:
		return "1.31's ipvsadm-restore"
	}
	return t.program
}

// prepare builds the network and puts the first file into force.
func (t trial) prepare() error {
	if err := build(network.Parse(gapHosts)); err != nil {
		return err
	}
	// A port is not used again for a while.
	const typed = `
director# sysctl -qw net.ipv4.ip_forward=1
client# sysctl -qw net.ipv4.ip_local_port_range="1024 65535"
`
	if err := (&player{}).playAll(typed); err != nil {
		return err
	}
	for i, text := range gapRules {
		if err := os.WriteFile(rulesFile(i), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if t.program == original {
		// Its -v says which parser of options it was made with.
		b, err := run("director", exec.Command(filepath.Join(filepath.Dir(original), "ipvsadm"), "-v"))
		if err != nil || !strings.Contains(string(b), "popt") {
			return fmt.Errorf("%s is not 1.31's: %q, %v", original, b, err)
		}
	}
	return restore(cmp.Or(t.program, ours), 0)
}

func rulesFile(i int) string { return filepath.Join(home("director"), strconv.Itoa(i)) }

// restore runs an ipvsadm-restore on the director.
func restore(program string, file int) error {
	rules, err := os.Open(rulesFile(file))
	if err != nil {
		return err
	}
	defer rules.Close()
	cmd := exec.Command(program)
	cmd.Stdin = rules
	if b, err := run("director", cmd); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, b)
	}
	return nil
}

// requests are what all clients together have asked for.
type requests struct {
	group    sync.WaitGroup
	mu       sync.Mutex // of all that follows
	count    int
	failures map[string]int // how many of each kind
	slowest  time.Duration  // that was answered
	err      error          // of a client that could not even ask
	ended    atomic.Bool
}

// startRequests lets all clients send one request after the other.
func startRequests() *requests {
	r := &requests{failures: map[string]int{}}
	for range clients {
		r.group.Go(func() {
			err := client.Do(func() error {
				for !r.ended.Load() {
					start := time.Now()
					failure := request(gapService, answerLimit)
					r.add(failure, time.Since(start))
				}
				return nil
			})
			r.mu.Lock()
			defer r.mu.Unlock()
			r.err = errors.Join(r.err, err)
		})
	}
	return r
}

func (r *requests) add(failure string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	if failure == "" {
		r.slowest = max(r.slowest, took)
	} else {
		r.failures[failure]++
	}
}

// end waits for the last answers.
func (r *requests) end() error {
	r.ended.Store(true)
	r.group.Wait()
	return r.err
}

// failed is how many requests failed, and how.
func (r *requests) failed() (n int, kinds string) {
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(r.failures)) {
		n += r.failures[kind]
		list = append(list, fmt.Sprintf("%d %s", r.failures[kind], kind))
	}
	return n, strings.Join(list, ", ")
}

var rightPage = regexp.MustCompile(`^this is nginx[123]\n$`)

// request asks for a page over a connection of its own and says how that
// failed, "" if it did not.
func request(address string, limit time.Duration) (failure string) {
	page, err := call{address: address}.fetch("/", limit)
	timeout, errno := net.Error(nil), syscall.Errno(0)
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	case errors.As(err, &errno):
		return errno.Error()
	case err != nil:
		return err.Error()
	case !rightPage.MatchString(page):
		return "wrong answer"
	}
	return ""
}
