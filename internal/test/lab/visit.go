// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
)

// visit is a connection from the client to a web server.
type visit struct {
	conn   net.Conn
	reader *bufio.Reader
}

// call is the source and destination of a visit.
type call struct {
	source  string // IP address, "" for the host's own
	address string // with port
}

// dial opens a connection from the namespace of the calling thread.
func (c call) dial(limit time.Duration) (visit, error) {
	dialer := net.Dialer{Deadline: time.Now().Add(limit)}
	if c.source != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(c.source)}
	}
	conn, err := dialer.Dial("tcp", c.address)
	if err != nil {
		return visit{}, err
	}
	return visit{conn, bufio.NewReader(conn)}, nil
}

// get fetches a file.
func (v visit) get(path string, limit time.Duration) (body string, err error) {
	if err := v.conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(v.conn, "GET %s HTTP/1.1\r\nHost: lab\r\n\r\n", path); err != nil {
		return "", err
	}
	answer, err := http.ReadResponse(v.reader, nil)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s for %s", answer.Status, path)
	}
	return string(b), err
}

// fetch gets a file over a new connection.
func (c call) fetch(path string, limit time.Duration) (body string, err error) {
	v, err := c.dial(limit)
	if err != nil {
		return "", err
	}
	defer v.conn.Close()
	return v.get(path, limit)
}

// server returns the name of the server that answers.
func (c call) server() (name string, err error) {
	body, err := c.fetch("/", answerLimit)
	return serverOf(body), err
}

// serverOf returns the name on a server's page.
func serverOf(page string) string { return strings.TrimSpace(strings.TrimPrefix(page, "this is ")) }

// tally counts the answers of each server.
type tally map[string]int

// String returns the counts in the order of the servers' names.
func (t tally) String() string {
	var numbers []string
	for _, name := range slices.Sorted(maps.Keys(t)) {
		numbers = append(numbers, fmt.Sprint(t[name]))
	}
	return strings.Join(numbers, " ")
}

// newTally returns a tally of the real servers with all counts at zero.
func newTally(hosts cluster.Hosts) tally {
	t := tally{}
	for _, h := range realServers(hosts) {
		t[h.Name] = 0
	}
	return t
}

// count makes n calls from the client and tallies the servers that answer.
func count(hosts cluster.Hosts, n int, ask func() (server string, err error)) (tally, error) {
	t := newTally(hosts)
	err := client.Do(func() error {
		for range n {
			name, err := ask()
			if err != nil {
				return fmt.Errorf("%v after %v", err, t)
			}
			t[name]++
		}
		return nil
	})
	return t, err
}

// datagrams returns a function that sends datagrams from one port.
func datagrams(address string) (ask func() (string, error)) {
	var conn net.Conn
	return func() (string, error) {
		var err error
		if conn == nil {
			if conn, err = net.Dial("udp", address); err != nil {
				return "", err
			}
		}
		if err := conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
			return "", err
		}
		if _, err := conn.Write([]byte("who")); err != nil {
			return "", err
		}
		answer := make([]byte, 1<<10)
		n, err := conn.Read(answer)
		return string(answer[:n]), err
	}
}

// sticky calls each address from each source, twice. It returns the number of
// networks with the prefix length that got all answers from one server, and
// the number of servers that answered.
func sticky(bits int, sources string, addresses []string) (string, error) {
	groups, all := map[netip.Prefix]tally{}, tally{}
	err := client.Do(func() error {
		for _, source := range slices.Repeat(expand(sources), 2) {
			group := netip.PrefixFrom(netip.MustParseAddr(source), bits).Masked()
			for _, to := range addresses {
				name, err := call{source, to}.server()
				if err != nil {
					return err
				}
				if groups[group] == nil {
					groups[group] = tally{}
				}
				groups[group][name]++
				all[name]++
			}
		}
		return nil
	})
	one := 0
	for _, t := range groups {
		if len(t) == 1 {
			one++
		}
	}
	return fmt.Sprintf("%d of %d on one server, %d servers", one, len(groups), len(all)), err
}

var span = regexp.MustCompile(`(\d+)-(\d+)`)

// expand returns the text once for each number of its ranges, such as 2-4.
func expand(text string) (all []string) {
	at := span.FindStringSubmatchIndex(text)
	if at == nil {
		return []string{text}
	}
	first, _ := strconv.Atoi(text[at[2]:at[3]])
	last, _ := strconv.Atoi(text[at[4]:at[5]])
	for n := first; n <= last; n++ {
		all = append(all, expand(text[:at[0]]+strconv.Itoa(n)+text[at[1]:])...)
	}
	return all
}

// held are open connections by server.
type held map[string][]visit

// hold opens n connections, records which server answers each and leaves them
// open.
func (h held) hold(n int, c call) error {
	return client.Do(func() error {
		for range n {
			v, err := c.dial(answerLimit)
			if err != nil {
				return err
			}
			page, err := v.get("/hold", answerLimit)
			if err != nil {
				return err
			}
			name := serverOf(page)
			h[name] = append(h[name], v)
		}
		return nil
	})
}

// count returns the number of connections per server.
func (h held) count(hosts cluster.Hosts) tally {
	t := newTally(hosts)
	for name, visits := range h {
		t[name] = len(visits)
	}
	return t
}

// close closes the connections to a server. With reset it resets them: the
// director forgets those sooner than connections that are closed normally.
func (h held) close(name string, reset bool) {
	for _, v := range h[name] {
		if reset {
			v.conn.(*net.TCPConn).SetLinger(0)
		}
		v.conn.Close()
	}
	delete(h, name)
}

// closeAll closes all connections.
func (h held) closeAll() {
	for name := range h {
		h.close(name, false)
	}
}

// answering returns the number of connections that their server still serves.
func (h held) answering() int {
	n := 0
	for name, visits := range h {
		for _, v := range visits {
			if page, err := v.get("/hold", answerLimit); err == nil && serverOf(page) == name {
				n++
			}
		}
	}
	return n
}

// carried returns the bytes received and sent by the director's interfaces.
func carried() (bytes int, err error) {
	var text []byte
	err = director.Do(func() error {
		text, err = os.ReadFile("/proc/thread-self/net/dev")
		return err
	})
	for line := range strings.Lines(string(text)) {
		name, numbers, found := strings.Cut(strings.TrimSpace(line), ":")
		fields := strings.Fields(numbers)
		if !found || name == "lo" || len(fields) < 9 {
			continue
		}
		for _, field := range []string{fields[0], fields[8]} {
			n := 0
			if _, err := fmt.Sscan(field, &n); err != nil {
				return 0, err
			}
			bytes += n
		}
	}
	return bytes, err
}

// throughDirector fetches the big file several times and returns the share of
// it that the director's interfaces carried. A byte that is received and sent
// counts twice.
func throughDirector(times int, calls call) (string, error) {
	before, err := carried()
	if err != nil {
		return "", err
	}
	received := 0
	err = client.Do(func() error {
		for range times {
			body, err := calls.fetch("/big", answerLimit)
			if err != nil {
				return err
			}
			received += len(body)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	after, err := carried()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d MB, the director carried %d %%", received/bigFile, (after-before)*100/received), nil
}
