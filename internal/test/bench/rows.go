// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
)

// The names of the rows. The goals refer to them.
const (
	rowRestore      = "-R"
	rowList         = "-Ln"
	rowStats        = "-Ln --stats"
	rowJSON         = "-L --json"
	rowSave         = "-Sn"
	rowApply        = "ipvsadm-restore, no change"
	rowEdit         = "-E, one command"
	rowLargeRestore = "-R, 10000 services"
	rowLargeList    = "-Ln, 10000 services"
	rowNames        = "-L, 60 names"
	rowConns        = "-Lnc, 500000 connections"
	rowFind         = "-Lnc --client; 1.31 and grep"
	rowFirst        = "-Lnc, to the first output"
)

const servers = 10 // per service

// shape is the size of a table.
type shape struct{ services, servers int }

func (t shape) String() string { return fmt.Sprintf("%dx%d", t.services, t.servers) }

// server returns the address of a server of a service.
func server(service, n int) netip.Addr {
	n++
	return netip.AddrFrom4([4]byte{172, 16 + byte(n>>16), byte(service) + byte(n>>8), byte(n)})
}

// suite builds the rows from the directories of the programs.
type suite struct {
	bin string // directory of ipvsadm
	tmp string // directory of the other programs
	run string // directory in the guest for files
}

// table is a table to restore and to list.
type table struct {
	fill          program // fastest program to create the table
	rules         string  // rule file
	restore, list string  // files of messages for floor
	size          []string
}

func (s suite) tool(name string, args ...string) program {
	return program{args: append([]string{filepath.Join(s.tmp, name)}, args...)}
}

// both returns the original and ours with the same arguments, and their empty
// programs.
func (s suite) both(stdin, name string, args ...string) map[column]program {
	return map[column]program{
		original: {append([]string{filepath.Join(cluster.Original, name)}, args...), stdin},
		ours:     {append([]string{filepath.Join(s.bin, name)}, args...), stdin},
		emptyC:   {args: []string{"/bin/true"}},
		emptyGo:  s.tool("empty"),
	}
}

// alone returns ours and the empty programs.
func (s suite) alone(stdin, name string, args ...string) map[column]program {
	programs := s.both(stdin, name, args...)
	delete(programs, original)
	return programs
}

func with(programs map[column]program, more map[column]program) map[column]program {
	for c, p := range more {
		programs[c] = p
	}
	return programs
}

// table writes the files of a table.
func (s suite) table(of shape) (table, error) {
	t := table{size: []string{strconv.Itoa(of.services), strconv.Itoa(of.servers)}}
	path := func(what string) string { return filepath.Join(s.run, what+of.String()) }
	t.rules, t.restore, t.list = path("rules"), path("restore"), path("list")
	for file, list := range map[string]bool{t.restore: false, t.list: true} {
		b, err := messages(list, of)
		if err == nil {
			err = os.WriteFile(file, b, 0o600)
		}
		if err != nil {
			return t, err
		}
	}
	t.fill = s.tool("floor", "restore")
	t.fill.stdin = t.restore
	return t, write(t.rules, func(w *bufio.Writer) {
		for i := range of.services {
			service := fmt.Sprintf("-t 10.0.%d.%d:80", i>>8, i&0xff)
			fmt.Fprintf(w, "-A %s -s rr\n", service)
			for j := range of.servers {
				fmt.Fprintf(w, "-a %s -r %v:80 -m -w 1\n", service, server(i, j))
			}
		}
	})
}

func (t table) floor(s suite) program {
	p := s.tool("floor", "list")
	p.stdin = t.list
	return p
}

// tableRows returns the rows for tables of 1000 and of 10000 services.
func (s suite) tableRows() ([]row, error) {
	t, err := s.table(shape{1000, servers})
	if err != nil {
		return nil, err
	}
	large, err := s.table(shape{10_000, servers})
	if err != nil {
		return nil, err
	}
	list := map[column]program{floor: t.floor(s), library: s.tool("library", "list"), moby: s.tool("moby", "list")}
	edit := []string{"-E", "-t", "10.0.1.0:80", "-s", "rr"}
	largeOurs := func(args ...string) map[column]program { return s.alone(large.rules, "ipvsadm", args...) }
	return []row{
		{name: rowRestore, fresh: true, quick: 5, programs: with(s.both(t.rules, "ipvsadm", "-R"), map[column]program{
			floor:   t.fill,
			library: s.tool("library", append([]string{"restore"}, t.size...)...),
			moby:    s.tool("moby", append([]string{"restore"}, t.size...)...),
		})},
		{name: rowList, table: t.fill, alike: true, programs: with(s.both("", "ipvsadm", "-Ln"), list), counting: true},
		{name: rowStats, table: t.fill, alike: true, programs: with(s.both("", "ipvsadm", "-Ln", "--stats"), map[column]program{floor: t.floor(s)})},
		{name: rowJSON, table: t.fill, programs: with(s.alone("", "ipvsadm", "-L", "--json"), map[column]program{floor: t.floor(s)})},
		{name: rowSave, table: t.fill, alike: true, programs: with(s.both("", "ipvsadm", "-Sn"), map[column]program{floor: t.floor(s)})},
		{name: rowApply, fresh: true, table: t.fill, programs: s.both(t.rules, "ipvsadm-restore")},
		{name: rowEdit, table: t.fill, quick: 5, programs: with(s.both("", "ipvsadm", edit...), map[column]program{floor: s.tool("start", edit...)})},
		{name: rowLargeRestore, fresh: true, programs: with(largeOurs("-R"), map[column]program{floor: large.fill})},
		{name: rowLargeList, table: large.fill, programs: with(largeOurs("-Ln"), map[column]program{floor: large.floor(s)})},
	}, nil
}

// nameRow returns a listing with names from a slow name server. It adds the
// name server to the guest's configuration.
func (s suite) nameRow() (row, error) {
	for file, text := range map[string]string{
		"/etc/resolv.conf":   "nameserver 127.0.0.1\n",
		"/etc/nsswitch.conf": "hosts: files dns\n",
		"/etc/hosts":         "127.0.0.1 localhost\n",
	} {
		os.Remove(file)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return row{}, err
		}
	}
	rules := filepath.Join(s.run, "named")
	err := write(rules, func(w *bufio.Writer) {
		fmt.Fprintln(w, "-A -t 10.0.0.1:80 -s rr")
		for j := range 60 {
			fmt.Fprintf(w, "-a -t 10.0.0.1:80 -r 172.16.0.%d:80 -m\n", j+1)
		}
	})
	return row{
		name:     rowNames,
		table:    program{[]string{filepath.Join(s.bin, "ipvsadm"), "-R"}, rules},
		serve:    serveNames,
		programs: s.both("", "ipvsadm", "-L"),
		alike:    true,
	}, err
}

// connRows returns listings of a made-up connection table. The table is in a
// /proc with no other files, because nothing can be mounted over the kernel's
// own file.
func (s suite) connRows() ([]row, error) {
	file := filepath.Join(s.run, "connections")
	err := write(file, func(w *bufio.Writer) {
		fmt.Fprintln(w, "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData")
		for i := range 500_000 {
			fmt.Fprintf(w, "TCP %08X %04X 0A000001 0050 AC1000%02X 0050 %-11s %7d\n",
				0x0B000000+i, 1024+i%60000, 1+i%60, [...]string{"ESTABLISHED", "FIN_WAIT", "TIME_WAIT"}[i%3], i%900)
		}
	})
	programs := s.both("", "ipvsadm", "-Lnc")
	find := s.alone("", "ipvsadm", "-Lnc", "--client", "11.0.0.5")
	find[original] = program{args: []string{"/bin/sh", "-c", cluster.Original + "/ipvsadm -Lnc | grep -F ' 11.0.0.5:'"}}
	cover := func() (func() error, error) { return nil, coverProc(file) }
	return []row{
		{name: rowConns, programs: programs, serve: cover, alike: true},
		{name: rowFind, programs: find, serve: cover},
		{name: rowFirst, programs: programs, serve: cover, first: true},
	}, err
}

// coverProc mounts a /proc with the file as its connection table for the
// calling thread, which must end afterwards.
func coverProc(file string) error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	// The program looks up its network namespace there.
	netns := file + ".netns"
	if err := os.WriteFile(netns, nil, 0o600); err != nil {
		return err
	}
	if err := unix.Mount("/proc/thread-self/ns/net", netns, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := unix.Mount("none", "/proc", "tmpfs", 0, ""); err != nil {
		return err
	}
	for link, target := range map[string]string{
		"/proc/net/ip_vs_conn": file, "/proc/thread-self/net/ip_vs_conn": file, "/proc/thread-self/ns/net": netns,
	} {
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(target, link); err != nil {
			return err
		}
	}
	return nil
}

func write(file string, text func(*bufio.Writer)) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	text(w)
	return errors.Join(w.Flush(), f.Close())
}

// rows returns all rows.
func (s suite) rows() ([]row, error) {
	list, err := s.tableRows()
	if err != nil {
		return nil, err
	}
	conns, err := s.connRows()
	if err != nil {
		return nil, err
	}
	names, err := s.nameRow()
	return append(append(list, conns...), names), err
}

// measureAll measures the rows whose names match only, prints the results,
// and reports whether all their goals are met.
func measureAll(bin, tmp string, count int, only string) (met bool, err error) {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return false, err
	}
	s, release, err := newSuite(bin, tmp)
	if err != nil {
		return false, err
	}
	rows, err := s.rows()
	if err != nil {
		return false, err
	}
	r := newReport(os.Stdout, release, runtime.NumCPU(), count)
	for _, row := range rows {
		if !wanted.MatchString(row.name) {
			continue
		}
		row.timed = s.tool("timed").args[0]
		results, err := row.measure(count)
		if err != nil {
			return false, fmt.Errorf("%s: %w", row.name, err)
		}
		r.add(row.name, results)
	}
	return r.judge(), nil
}

// newSuite returns the suite for this guest, and its kernel release.
func newSuite(bin, tmp string) (s suite, release string, err error) {
	s = suite{bin: bin, tmp: tmp, run: "/run/bench"}
	if err := os.MkdirAll(s.run, 0o755); err != nil {
		return s, "", err
	}
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	return s, strings.TrimSpace(string(b)), err
}
