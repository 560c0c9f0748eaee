// SPDX-License-Identifier: Apache-2.0

// The gap of a restore: in the demo's cluster, with a third server, clients
// send requests without pause during continuous restores, and failures are
// counted. Each trial has its own guest, so that all start from the same
// state.

package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	clients = 12
	// answerLimit is the timeout of one request. With a shorter one
	// requests would fail on a busy machine, whose guest pauses for
	// seconds.
	answerLimit = 30 * time.Second
)

// gaps are the trials of make lab SCENARIO=gap. With 1.31 any number of
// requests may fail; without a restore a failure is a fault of the lab.
var gaps = []example{
	gap("none", "5 none", "0"),
	gap("same", "20 ipvsadm-restore 0", "0"),
	gap("in-turn", "20 ipvsadm-restore 0 1", "0"),
	gap("1.31-same", "20 /usr/sbin/ipvsadm-restore 0", `<\d+>`),
	gap("1.31-in-turn", "20 /usr/sbin/ipvsadm-restore 0 1", `<\d+>`),
}

// gap returns a trial with the arguments of restore, and the number of
// requests that may be lost. Fewer than 200 requests or 5 restores prove
// nothing.
func gap(name, restore, lost string) example {
	restores := map[bool]string{true: "0", false: `<[5-9]|\d{2,}>`}[name == "none"]
	return example{
		name:  "gap",
		hosts: demoHosts + "nginx3 ens33 inside 192.168.168.30/24 via 192.168.168.50\n",
		files: []file{{"director", "0", gapRules(8000, 3, 1)}, {"director", "1", gapRules(9000, 1, 3, 2)}},
		// The original is the program whose -v mentions popt. The
		// wide port range prevents early reuse of a port.
		typed: `
director# sysctl -qw net.ipv4.ip_forward=1
client# sysctl -qw net.ipv4.ip_local_port_range="1024 65535"
director# /usr/sbin/ipvsadm -v
<.* popt .*>
director# ipvsadm-restore < 0
`,
		scenarios: []scenario{{name: name, typed: fmt.Sprintf(`
lab# requests
lab# restore %s
%s restores
lab# lost
%s of <[2-9]\d{2}|\d{4,}> requests lost<.*>
`, restore, restores, lost)}},
	}
}

// gapRules returns one of two files with the same service: they differ in the
// weights, in a third server and in every other service.
func gapRules(first int, weights ...int) string {
	servers := strings.NewReplacer("director# ipvsadm ", "", "-e", "-a").Replace(natWeights(weights...))
	return "-A -t " + natService + " -s wlc\n" + servers + otherServices(first)
}

// otherServices returns a few dozen services, on ports from first on.
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

// restore takes SECONDS PROGRAM FILE... and restores the files in turn until
// the time is up. The table is already that of the first file. Without files
// it waits.
func restore(args string) (string, error) {
	words := strings.Fields(args)
	length, err := time.ParseDuration(words[0] + "s")
	end, n := time.Now().Add(length), 0
	for files := words[2:]; err == nil && len(files) > 0 && time.Now().Before(end); {
		n++
		err = restoreFrom(words[1], files[n%len(files)])
	}
	time.Sleep(time.Until(end))
	return fmt.Sprint(n, " restores"), err
}

func restoreFrom(program, name string) error {
	rules, err := os.Open(filepath.Join(home("director"), name))
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

// work is the client's work in the background.
type work struct {
	group sync.WaitGroup
	mu    sync.Mutex // guards the error and the counts
	err   error
}

func (w *work) start(f func() error) {
	w.group.Go(func() {
		err := client.Do(f)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.err = errors.Join(w.err, err)
	})
}

// wait waits for all work to end and returns the errors since the last call.
func (w *work) wait() error {
	w.group.Wait()
	err := w.err
	w.err = nil
	return err
}

// requests counts the requests of all clients.
type requests struct {
	work
	count    int
	failures map[string]int // by kind
	slowest  time.Duration  // of the answered requests
	ended    atomic.Bool
}

// startRequests makes each client send requests one at a time.
func startRequests() *requests {
	r := &requests{failures: map[string]int{}}
	for range clients {
		r.start(func() error {
			for !r.ended.Load() {
				start := time.Now()
				failure := request(natService, answerLimit)
				r.add(failure, time.Since(start))
			}
			return nil
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

// end stops the clients and waits for the last answers.
func (r *requests) end() error {
	r.ended.Store(true)
	return r.wait()
}

// lost returns how many requests failed, and how.
func (r *requests) lost() string {
	n, kinds := 0, ""
	for _, kind := range slices.Sorted(maps.Keys(r.failures)) {
		n += r.failures[kind]
		kinds += fmt.Sprintf(", %d %s", r.failures[kind], kind)
	}
	return fmt.Sprintf("%d of %d requests lost, slowest %.2f s%s", n, r.count, r.slowest.Seconds(), kinds)
}

var rightPage = regexp.MustCompile(`^this is nginx[123]\n$`)

// request fetches a page over a new connection. It returns the failure, or
// "".
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
