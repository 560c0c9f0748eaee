// SPDX-License-Identifier: Apache-2.0

// The soak: a stress test in the gap's network, for a given time. Requests,
// restores, saves, lists, two other writers and a monitor run at once. No
// request may fail, no permanent service may be missing from a list or a
// save, nothing may leak, and the kernel must not log warnings.

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
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

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
)

// soak returns a trial of this length.
func soak(length time.Duration) example {
	c := gap("soak", "", "0")
	c.name = "soak"
	for i := range c.files {
		c.files[i].text += strings.Join(standing, "")
	}
	c.scenarios[0].typed = fmt.Sprintf(`
lab# soak %v
nothing lost, nothing missing, nothing leaked
`, length)
	return c
}

// standing are the rules of services that no role changes.
var standing = func() (rules []string) {
	for port := 10_000; port < 10_500; port++ {
		service := fmt.Sprintf("-t 12.0.0.1:%d", port)
		rules = append(rules, "-A "+service+" -s rr\n")
		for _, server := range []string{"192.168.168.10", "192.168.168.20"} {
			rules = append(rules, "-a "+service+" -r "+server+":80 -m -w 1\n")
		}
	}
	return rules
}()

// missing returns the ports of the standing services that are not in a list
// or a save in any format.
func missing(list string) (ports []string) {
	listed := map[string]bool{}
	for _, port := range standingPort.FindAllStringSubmatch(list, -1) {
		listed[port[1]] = true
	}
	for port := 10_000; port < 10_500; port++ {
		if name := fmt.Sprint(port); !listed[name] {
			ports = append(ports, name)
		}
	}
	return ports
}

var standingPort = regexp.MustCompile(`(?:12\.0\.0\.1:|"port": ?|port=")(10[0-4]\d\d)\b`)

// role is a concurrent worker; do runs its nth iteration. It counts failures
// that match may; any other failure, or an error, ends the soak.
type role struct {
	name string
	may  *regexp.Regexp // allowed failures, nil for none
	do   func(n int) (failure string, err error)
}

var (
	differs  = regexp.MustCompile(`^[12] .*(?:still differs|undone)`)
	changing = regexp.MustCompile(`^1 The table keeps changing while it is read$`)
	missed   = regexp.MustCompile(`^255 (?:line N: )?(?:No such service|Service not defined|Service already exists)$`)
)

var roles = []role{
	{"restore", differs, func(n int) (string, error) {
		words := [][]string{{"1"}, {"0"}, {"--strict", "1"}, {"--strict", "0"}, {"--keep-going", "1"}, {"0"}}[n%6]
		return try("", "ipvsadm-restore", words...)
	}},
	{"save", changing, saveOnce},
	{"list", nil, func(n int) (string, error) {
		words := [][]string{{"-Ln"}, {"-L", "--json"}, {"-Sn"}, {"-Ln", "--stats"}, {"-L", "--metrics"}}[n%5]
		list, failure, err := invoke("", "ipvsadm", words...)
		if absent := missing(list); err == nil && failure == "" && len(absent) > 0 {
			return "", fmt.Errorf("ipvsadm %s lacks %d of the permanent services: %v", words, len(absent), absent)
		}
		return failure, err
	}},
	{"connections", nil, func(int) (string, error) {
		return try("", "ipvsadm", "-Lnc", "--client", "12.0.0.0/24", "--state", "time_wait")
	}},
	{"command", missed, func(n int) (string, error) {
		service := fmt.Sprintf("12.0.0.1:%d", 20_000+n/5%100)
		return try("", "ipvsadm", [][]string{
			{"-A", "-t", service, "-s", "wlc"},
			{"-a", "-t", service, "-r", "192.168.168.10:80", "-m"},
			{"-e", "-t", service, "-r", "192.168.168.10:80", "-m", "-w", "3"},
			{"-E", "-t", service, "-s", "rr", "-p", "60"},
			{"-D", "-t", service},
		}[n%5]...)
	}},
	{"rules", missed, func(int) (string, error) {
		var rules strings.Builder
		for port := 21_000; port < 21_040; port++ {
			fmt.Fprintf(&rules, "-A -t 12.0.0.1:%[1]d -s rr\n-a -t 12.0.0.1:%[1]d -r 192.168.168.10:80 -m\n-D -t 12.0.0.1:%[1]d\n", port)
		}
		return try(rules.String(), "ipvsadm", "-R")
	}},
}

// saveOnce saves to a file, which must then contain all standing services, or
// be unchanged if the save failed.
func saveOnce(int) (failure string, err error) {
	name := filepath.Join(home("director"), "saved")
	old, _ := os.ReadFile(name) // may not exist yet
	if failure, err = try("", "ipvsadm-save", "-n", "--output", "saved"); err != nil {
		return "", err
	}
	saved, err := os.ReadFile(name)
	switch {
	case failure != "" && !bytes.Equal(saved, old):
		return "", fmt.Errorf("a save that failed changed the file: %s", failure)
	case failure != "":
		return failure, nil
	case err != nil:
		return "", err
	}
	lines := map[string]bool{}
	for line := range strings.Lines(string(saved)) {
		lines[line] = true
	}
	for _, rule := range standing {
		if !lines[rule] {
			return "", fmt.Errorf("the save lacks %s", rule)
		}
	}
	return "", nil
}

// invoke runs a program on the director. A failure, which needs a nonzero
// status and a message, is returned as the message with its numbers hidden,
// so that equal ones can be counted.
func invoke(stdin, name string, words ...string) (stdout, failure string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), must.Patience)
	defer cancel()
	var out, text bytes.Buffer
	command := strings.Join(append([]string{name}, words...), " ")
	cmd := exec.CommandContext(ctx, name, words...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &text
	cmd.Dir = home("director")
	err = director.Do(cmd.Run)
	exit := (*exec.ExitError)(nil)
	switch {
	case ctx.Err() != nil:
		return "", "", fmt.Errorf("%s: no end within %v", command, must.Patience)
	case errors.As(err, &exit) && exit.ExitCode() > 0 && text.Len() > 0:
		// The lines of a long message differ in numbers only.
		first, _, _ := strings.Cut(text.String(), "\n")
		return out.String(), fmt.Sprintf("%d %s", exit.ExitCode(), digits.ReplaceAllString(first, "N")), nil
	case err != nil || text.Len() > 0:
		return "", "", fmt.Errorf("%s: %v: %s", command, err, text.String())
	}
	return out.String(), "", nil
}

var digits = regexp.MustCompile(`\d+`)

// try is invoke without the output.
func try(stdin, name string, words ...string) (failure string, err error) {
	_, failure, err = invoke(stdin, name, words...)
	return failure, err
}

// monitored is a monitor that runs during the whole soak.
type monitored struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	ended  chan error
	lines  atomic.Int64
}

func startMonitor() (*monitored, error) {
	m := &monitored{cmd: exec.Command("ipvsadm", "--monitor"), ended: make(chan error, 1)}
	m.cmd.Stderr = &m.stderr
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := director.Do(m.cmd.Start); err != nil {
		return nil, err
	}
	go func() {
		b := make([]byte, 32<<10)
		for {
			n, err := out.Read(b)
			m.lines.Add(int64(bytes.Count(b[:n], []byte("\n"))))
			if err != nil {
				if err == io.EOF {
					err = nil
				}
				m.ended <- errors.Join(err, m.cmd.Wait())
				return
			}
		}
	}()
	return m, nil
}

// end stops the monitor, which must still be running.
func (m *monitored) end() error {
	select {
	case err := <-m.ended:
		return fmt.Errorf("the monitor has ended: %v: %s", err, m.stderr.String())
	default:
	}
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := <-m.ended; err == nil || m.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		return fmt.Errorf("the monitor ended with %v: %s", m.cmd.ProcessState, m.stderr.String())
	}
	return nil
}

// kept holds the resources that grow if something leaks.
type kept struct {
	files, sockets, available int // available memory in MB
	monitor                   int // resident memory in MB
}

// kept returns the minimum of several samples, because each worker opens and
// closes files and sockets.
func (m *monitored) kept() (least kept, err error) {
	for n := range 20 {
		k, err := m.keptNow()
		if err != nil {
			return k, err
		}
		if n == 0 {
			least = k
		}
		least.files, least.sockets = min(least.files, k.files), min(least.sockets, k.sockets)
		time.Sleep(pause / 2)
	}
	return least, nil
}

func (m *monitored) keptNow() (k kept, err error) {
	process := fmt.Sprintf("/proc/%d/", m.cmd.Process.Pid)
	files, err := os.ReadDir(process + "fd")
	if err != nil {
		return k, err
	}
	k.files = len(files)
	for name, f := range map[string]func(text string){
		process + "status": func(text string) { k.monitor = kilobytes(text, "VmRSS:") >> 10 },
		"/proc/meminfo":    func(text string) { k.available = kilobytes(text, "MemAvailable:") >> 10 },
	} {
		b, err := os.ReadFile(name)
		if err != nil {
			return k, err
		}
		f(string(b))
	}
	return k, director.Do(func() error {
		b, err := os.ReadFile("/proc/thread-self/net/netlink")
		k.sockets = bytes.Count(b, []byte("\n"))
		return err
	})
}

// kilobytes reads a field of a file of /proc.
func kilobytes(text, field string) (n int) {
	_, rest, _ := strings.Cut(text, field)
	fmt.Sscan(rest, &n)
	return n
}

// soakFor runs all roles and a monitor for a time, and until each role has
// run and the monitor has shown a change. It prints the number of runs of
// each role and their failures.
func soakFor(length time.Duration) (verdict string, err error) {
	if err := os.WriteFile("/dev/kmsg", []byte("<6>"+soakBegins+"\n"), 0); err != nil {
		return "", err
	}
	if err := restoreFrom("ipvsadm-restore", "0"); err != nil {
		return "", err
	}
	m, err := startMonitor()
	if err != nil {
		return "", err
	}
	asked := startRequests()
	over, stop := context.WithCancel(context.Background())
	defer stop()
	begin := time.Now()
	var done atomic.Int64 // roles that have run
	outcomes := make([]map[string]int, len(roles))
	failures := make([]error, len(roles))
	var group sync.WaitGroup
	for i, r := range roles {
		outcomes[i] = map[string]int{}
		group.Go(func() {
			for n := 0; over.Err() == nil; n++ {
				failure, err := r.do(n)
				if err == nil && failure != "" && (r.may == nil || !r.may.MatchString(failure)) {
					err = errors.New(failure)
				}
				if err != nil {
					failures[i] = fmt.Errorf("%s %d: %w", r.name, n, err)
					stop()
					return
				}
				if outcomes[i][failure]++; failure == "" && outcomes[i][""] == 1 {
					done.Add(1)
				}
			}
		})
	}
	// Compare resources with those after the first runs of all roles.
	select {
	case <-over.Done():
	case <-time.After(length / 10):
	}
	shown := soon("a change that the monitor shows", func() (bool, error) { return m.lines.Load() > 0 || over.Err() != nil, nil })
	fmt.Printf("the monitor shows a change after %.1f s\n", time.Since(begin).Seconds())
	before, err := m.kept()
	err = errors.Join(err, shown, soon("each role has done its work", func() (bool, error) {
		return done.Load() == int64(len(roles)) || over.Err() != nil, nil
	}))
	select {
	case <-over.Done():
	case <-time.After(time.Until(begin.Add(length))):
	}
	stop()
	group.Wait()
	after, keptErr := m.kept()
	err = errors.Join(append(failures, err, keptErr, m.end(), asked.end())...)
	if len(asked.failures) > 0 || asked.count == 0 {
		err = errors.Join(err, errors.New("requests were lost"))
	}
	if after.files > before.files || after.sockets > before.sockets+len(roles) || after.monitor > before.monitor+16 {
		err = errors.Join(err, errors.New("something leaked"))
	}
	// With no other writer, a restore's table is exactly its file.
	for _, how := range []string{"--strict", "--diff"} {
		if out, failure, failed := invoke("", "ipvsadm-restore", how, "0"); failed != nil || failure != "" || out != "" {
			err = errors.Join(err, fmt.Errorf("ipvsadm-restore %s at the end: %s%s (%v)", how, out, failure, failed))
		}
	}
	complaints, kmsgErr := complaintsOfTheKernel()
	if complaints != "" {
		err = errors.Join(err, fmt.Errorf("the kernel says\n%s", complaints))
	}
	for i, r := range roles {
		fmt.Printf("%s: %d done", r.name, outcomes[i][""])
		for _, outcome := range slices.Sorted(maps.Keys(outcomes[i])) {
			if outcome != "" {
				fmt.Printf(", %d times %q", outcomes[i][outcome], outcome)
			}
		}
		fmt.Println()
	}
	fmt.Printf("monitor: %d changes, files %d and %d, resident %d and %d MB\nnetlink sockets: %d and %d\nmemory available: %d and %d MB\n",
		m.lines.Load(), before.files, after.files, before.monitor, after.monitor, before.sockets, after.sockets, before.available, after.available)
	fmt.Println("requests:", asked.lost())
	return "nothing lost, nothing missing, nothing leaked", errors.Join(err, kmsgErr)
}

const (
	soakBegins = "lab: the soak begins"
	// stoodStill matches the kernel's messages after its emulator had no
	// processor for a moment.
	stoodStill = "hrtimer: interrupt took "
)

// complaintsOfTheKernel returns the kernel's warnings and errors since the
// soak began.
func complaintsOfTheKernel() (string, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	const warning = 4
	found, last, begun := "", "", false
	record := make([]byte, 16<<10)
	for {
		n, err := unix.Read(fd, record)
		switch {
		case errors.Is(err, unix.EAGAIN):
			if !begun {
				return "", fmt.Errorf("the kernel's log has lost the beginning of the soak: its last line is %q", last)
			}
			return found, nil
		case errors.Is(err, unix.EPIPE): // records were overwritten
			continue
		case err != nil:
			return "", err
		}
		priority := 0
		fmt.Sscan(string(record[:n]), &priority)
		_, text, _ := strings.Cut(string(record[:n]), ";")
		last = text
		begun = begun || strings.HasPrefix(text, soakBegins)
		if begun && priority&7 <= warning && !strings.HasPrefix(text, stoodStill) {
			found += text
		}
	}
}
