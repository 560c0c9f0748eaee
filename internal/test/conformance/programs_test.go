// SPDX-License-Identifier: Apache-2.0

package conformance

// This file runs the programs and reads the kernel's table afterwards.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// answer is the result of a command.
type answer struct {
	program.Answer
	hung bool // killed at the timeout
}

// patience is the timeout of a command, because 1.31 waits forever if the
// kernel does not answer. On a busy machine a kernel in QEMU can take more
// than ten seconds to find a module. perByte is added for each byte of rules
// read before.
const (
	patience = 20 * time.Second
	perByte  = time.Second / 4000
)

// run runs a program, from the directory if it is under test.
func run(dir string, c command, limit time.Duration) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	path := c.words[0]
	if c.underTest() {
		path = filepath.Join(dir, c.program())
	}
	cmd := exec.CommandContext(ctx, path, c.words[1:]...)
	cmd.Args[0] = c.words[0]
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
	cmd.Stdin = strings.NewReader(c.stdin)
	cmd.WaitDelay = time.Second
	got, err := program.Collect(cmd)
	hung := ctx.Err() != nil
	if hung {
		err = nil
	}
	return answer{got, hung}, err
}

// director is a network namespace whose table one of the programs manages.
type director struct {
	netns  *os.File
	client *ipvs.Client
}

// arena is where a script runs: a director for each program. Only the
// goroutine that entered it may call its methods.
type arena struct {
	programs
	leave          []func() error // the namespaces, in the order of entering
	ours, original director
	rules          int // bytes of the largest input
	// anyOrder allows a different order of the servers in the kernel: our
	// ipvsadm-restore does not move unchanged servers.
	anyOrder bool
}

// programs are the directories of the programs.
type programs struct {
	original string // directory
	ours     string // directory, "" to run ours in this process
}

// enter creates an arena and locks the goroutine to its thread until close.
func (p programs) enter() (*arena, error) {
	a := &arena{programs: p}
	for _, d := range []*director{&a.ours, &a.original} {
		leave, err := guest.EnterNamespace()
		if err != nil {
			return nil, err
		}
		a.leave = append(a.leave, leave)
		if d.netns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return nil, err
		}
		if d.client, err = ipvs.Dial(context.Background(), ipvs.Config{}); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// close stops daemons that still run in the namespaces, and releases the
// namespaces.
func (a *arena) close() error {
	var errs []error
	for _, d := range []director{a.ours, a.original} {
		for _, state := range []ipvs.DaemonState{ipvs.Master, ipvs.Backup} {
			err := d.client.Apply(context.Background(), ipvs.Change{Op: ipvs.OpStopDaemon, Daemon: ipvs.Daemon{State: state}})
			if err != nil && !errors.Is(err, ipvs.ErrNoDaemon) {
				errs = append(errs, err)
			}
		}
		errs = append(errs, d.client.Close(), d.netns.Close())
	}
	for _, leave := range slices.Backward(a.leave) {
		errs = append(errs, leave())
	}
	return errors.Join(errs...)
}

// in moves the thread into the director's namespace.
func (a *arena) in(d director) error { return unix.Setns(int(d.netns.Fd()), unix.CLONE_NEWNET) }

// runOurs and runOriginal run a command in a director's namespace.
func (a *arena) runOurs(d director, c command) (answer, error) {
	if err := a.in(d); err != nil {
		return answer{}, err
	}
	if a.programs.ours == "" {
		return answer{Answer: program.Here(c.stdin, c.words...)}, nil
	}
	return run(a.programs.ours, c, a.limit(c))
}

func (a *arena) runOriginal(d director, c command) (answer, error) {
	if err := a.in(d); err != nil {
		return answer{}, err
	}
	return run(a.programs.original, c, a.limit(c))
}

func (a *arena) limit(c command) time.Duration {
	a.rules = max(a.rules, len(c.stdin))
	return patience + time.Duration(a.rules)*perByte
}

// prepare runs another program in both namespaces.
func (a *arena) prepare(c command) error {
	for _, d := range []director{a.ours, a.original} {
		if err := a.in(d); err != nil {
			return err
		}
		got, err := run("", c, patience)
		if err != nil {
			return err
		}
		if got.Status != 0 {
			return fmt.Errorf("%v: status %d\n%s%s", c, got.Status, got.Stdout, got.Stderr)
		}
	}
	return nil
}

// state returns the kernel's state in a director's namespace: /proc/net/ip_vs
// and what only Generic Netlink shows. Services are sorted, because their
// order differs between namespaces; servers are in the kernel's order.
func (a *arena) state(d director) (string, error) {
	if err := a.in(d); err != nil {
		return "", err
	}
	text, err := readOnce("/proc/thread-self/net/ip_vs")
	if err != nil {
		return "", err
	}
	text = connectionTable.ReplaceAllString(text, "(size)")
	blocks := blocks(text)
	if a.anyOrder {
		blocks = slices.Collect(strings.Lines(text))
	}
	slices.Sort(blocks)
	table, err := d.client.Table(context.Background())
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(strings.Join(blocks, ""))
	slices.SortFunc(table.Services, func(x, y ipvs.ServiceEntry) int { return strings.Compare(x.ServiceID.String(), y.ServiceID.String()) })
	for _, s := range table.Services {
		fmt.Fprintf(&b, "%v %+v\n", s.ServiceID, s.Service)
		if a.anyOrder {
			slices.SortFunc(s.Destinations, func(x, y ipvs.DestinationEntry) int { return x.AddrPort().Compare(y.AddrPort()) })
		}
		for _, d := range s.Destinations {
			fmt.Fprintf(&b, "  %+v\n", d)
		}
	}
	for _, d := range table.Daemons {
		fmt.Fprintf(&b, "%+v\n", d)
	}
	fmt.Fprintf(&b, "%+v\n", table.Timeouts)
	return b.String(), nil
}

// readOnce returns a file of the kernel if one read returns all of it, and ""
// otherwise: between two reads of /proc/net/ip_vs the kernel skips entries if
// other namespaces have some.
func readOnce(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := make([]byte, 64<<10)
	n, err := f.Read(b)
	if err != nil {
		return "", err
	}
	if more, _ := f.Read(b[n:]); more > 0 {
		return "", nil
	}
	return string(b[:n]), nil
}

// blocks splits a listing before each line that does not belong to the
// previous one.
func blocks(listing string) []string {
	var all []string
	for line := range strings.Lines(listing) {
		if n := len(all); n > 0 && (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "-a ")) {
			all[n-1] += line
			continue
		}
		all = append(all, line)
	}
	return all
}

// hosts are the host names for both programs.
const hosts = `127.0.0.1 localhost
::1 localhost ip6-localhost
10.0.0.1 web1.example.org web1
10.0.0.2 a-host.with-a-name-of-32.example
10.0.0.3 both
2001:db8::3 both
2001:db8::1 six.example.org six
10.9.0.1 rs1
10.9.0.2 rs2.example.net rs2
2001:db8:9::1 rs6
10.9.0.77 a-name-that-goes-past-the-fifty-nine-bytes-that-a-line-has-room-for.example.org long
2001:db8::77 an-ipv6-name-that-goes-past-the-fifty-nine-bytes-of-a-line-too.example.org long6
192.168.7.9 198.51.100.9
::1 only6
::ffff:10.0.0.7 mapped
10.0.0.7 later
2001:DB8::8 Upper6 lower6
   10.0.0.8 indented Alias8 # comment8
10.0.0.10 tail#more
10.0.0.012 octal
10.13 short
fe80::1%lo scoped
10.0.0.14 123 a.b.
10.0.0.15 returned` + "\r\n" + `10.0.0.16 unended`

// services are unusual lines before those of the guest's own file.
const services = `odd	4080/tcp	odd-www odd-web	# WorldWideWeb
odd	4080/udp
odd-alt	4080/tcp	odd-later
Odd-Case	4081/tcp	ODD-ALIAS
odd-upper	4082/TCP
odd-glued	4083/tcp#comment
   odd-indented	4084/tcp
odd-spaced	4085 /tcp
odd-comma	4086,tcp
odd-nothing	4087
odd-protoless	4088/
odd-double	4089//tcp
odd-octal	010100/tcp
odd-hex	0x105A/tcp
odd-www	4092/tcp
odd-zero	0/tcp
odd-negative	-1/tcp
odd-sip	4060/sctp
odd-ended	4093/tcp	odd-cr` + "\r\n"

// prepareGuest prepares the guest for both programs: names are resolved from
// files only.
func prepareGuest(t *testing.T) {
	t.Helper()
	program.ResolveFrom(t, hosts)
	program.Replace(t, "/etc/services", services+program.Read(t, "/etc/services"))
	// The kernel loads these two schedulers with the IPVS lock held. They
	// wait for namespaces that are being freed, which wait for that lock:
	// a deadlock. The other schedulers do not wait.
	guesttest.Modprobe(t, "ip_vs", "ip_vs_lblc", "ip_vs_lblcr")
}
