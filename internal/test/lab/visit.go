// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// visit is a connection of the client's to a web server.
type visit struct {
	conn   net.Conn
	reader *bufio.Reader
}

// call is where a visit comes from and goes to.
type call struct {
	source  string // IP address, "" for the host's own
	address string // with port
}

// repeat is a call n times.
func repeat(n int, c call) []call { return slices.Repeat([]call{c}, n) }

// dial opens a connection from the namespace of the calling thread.
func (c call) dial() (visit, error) {
	dialer := net.Dialer{Deadline: time.Now().Add(answerLimit)}
	if c.source != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(c.source)}
	}
	conn, err := dialer.Dial("tcp", c.address)
	if err != nil {
		return visit{}, err
	}
	return visit{conn, bufio.NewReader(conn)}, nil
}

// get asks for a file and returns what came.
func (v visit) get(path string) (body string, err error) { return v.getWithin(path, answerLimit) }

func (v visit) getWithin(path string, limit time.Duration) (body string, err error) {
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

// fetch gets a file over a connection of its own.
func (c call) fetch(path string) (body string, err error) {
	v, err := c.dial()
	if err != nil {
		return "", err
	}
	defer v.conn.Close()
	return v.get(path)
}

// server asks which server answers.
func (c call) server() (name string, err error) {
	body, err := c.fetch("/")
	return serverOf(body), err
}

// serverOf is the name on a server's page.
func serverOf(page string) string { return strings.TrimSpace(strings.TrimPrefix(page, "this is ")) }

// tally counts how often each server answered.
type tally map[string]int

// String is the numbers in the order of the servers' names.
func (t tally) String() string {
	var numbers []string
	for _, name := range slices.Sorted(maps.Keys(t)) {
		numbers = append(numbers, fmt.Sprint(t[name]))
	}
	return strings.Join(numbers, " ")
}

// add adds what another has counted, without what it has not.
func (t tally) add(other tally) {
	for name, n := range other {
		if n > 0 {
			t[name] += n
		}
	}
}

// newTally has the names of the real servers, with nothing counted.
func (c cluster) newTally() tally {
	t := tally{}
	for _, h := range c.realServers() {
		t[h.name] = 0
	}
	return t
}

// share makes the calls, each after the one before, and counts who answers.
func (c cluster) share(calls []call) (tally, error) {
	t := c.newTally()
	err := client.do(func() error {
		for _, call := range calls {
			name, err := call.server()
			if err != nil {
				return fmt.Errorf("%v after %v", err, t)
			}
			t[name]++
		}
		return nil
	})
	return t, err
}

// sticky makes the calls of all groups some rounds over, and says for how many
// groups all answers came from one server, and how many servers there were.
func (c cluster) sticky(groups [][]call, rounds int) (string, error) {
	servers := make([]tally, len(groups))
	all := tally{}
	err := client.do(func() error {
		for range rounds {
			for i, group := range groups {
				for _, call := range group {
					name, err := call.server()
					if err != nil {
						return err
					}
					if servers[i] == nil {
						servers[i] = tally{}
					}
					servers[i][name]++
					all[name]++
				}
			}
		}
		return nil
	})
	one := 0
	for _, t := range servers {
		if len(t) == 1 {
			one++
		}
	}
	return fmt.Sprintf("%d of %d on one server, %d servers", one, len(groups), len(all)), err
}

// held are open connections, by the server at their other end.
type held map[string][]visit

// hold opens a connection for each call, asks who is there and leaves it open.
func (h held) hold(calls []call) error {
	return client.do(func() error {
		for _, call := range calls {
			v, err := call.dial()
			if err != nil {
				return err
			}
			page, err := v.get("/hold")
			if err != nil {
				return err
			}
			name := serverOf(page)
			h[name] = append(h[name], v)
		}
		return nil
	})
}

// count says how many each server has.
func (h held) count(c cluster) tally {
	t := c.newTally()
	for name, visits := range h {
		t[name] = len(visits)
	}
	return t
}

// close ends the connections to all servers, or to those named.
func (h held) close(names ...string) {
	for name, visits := range h {
		if len(names) == 0 || slices.Contains(names, name) {
			for _, v := range visits {
				v.conn.Close()
			}
			delete(h, name)
		}
	}
}

// reset breaks the connections to a server off, which the director forgets sooner
// than those that end in order.
func (h held) reset(name string) {
	for _, v := range h[name] {
		v.conn.(*net.TCPConn).SetLinger(0)
	}
	h.close(name)
}

// answering is how many of the connections are still served by their server.
func (h held) answering() int {
	n := 0
	for name, visits := range h {
		for _, v := range visits {
			if page, err := v.get("/hold"); err == nil && serverOf(page) == name {
				n++
			}
		}
	}
	return n
}

// carried is how many bytes the host's cards have received and sent.
func (h host) carried() (bytes int, err error) {
	var text []byte
	err = h.do(func() error {
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

// throughDirector fetches the big file again and again and says how much of it
// the director's cards carried: each byte that is received and sent counts twice.
func (c cluster) throughDirector(times int, calls call) (string, error) {
	before, err := director.carried()
	if err != nil {
		return "", err
	}
	received := 0
	err = client.do(func() error {
		for range times {
			body, err := calls.fetch("/big")
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
	after, err := director.carried()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d MB, the director carried %d %%", received/bigFile, (after-before)*100/received), nil
}
