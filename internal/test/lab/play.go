// SPDX-License-Identifier: Apache-2.0

// This file plays sessions: commands for the shells of hosts and, on the host
// lab, commands that count, which are functions below.

package main

import (
	"cmp"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
)

const pause = 100 * time.Millisecond

var director, client = cluster.Host{Name: "director"}, cluster.Host{Name: "client"}

// home returns the working directory of a host's commands.
func home(host string) string { return filepath.Join("/run/lab", host) }

// run runs a command on a host and returns its standard output and error.
func run(host string, cmd *exec.Cmd) (output []byte, err error) {
	return cluster.Run(host, home(host), cmd)
}

// shell runs a command line on a host, as cluster.Shell does.
func shell(host, command string) (answer string, err error) {
	return cluster.Shell(host, home(host), command)
}

// player plays steps and keeps track of the client's open connections.
type player struct {
	hosts     cluster.Hosts
	held      held
	requests  *requests
	downloads downloads
	probe     *probe
	started   <-chan answered
}

// answered is the outcome of a command.
type answered struct {
	answer string
	err    error
}

// start runs a command in the background.
func start(host, command string) <-chan answered {
	end := make(chan answered, 1)
	go func() {
		answer, err := shell(host, command)
		end <- answered{answer, err}
	}()
	return end
}

// counts is the name of the host whose commands count.
const counts = "lab"

// sessions returns a player of sessions with the verbs.
func (p *player) sessions() cluster.Player {
	return cluster.Player{Home: home, Verb: func(name, args string) (string, error) {
		f, known := verbs[name]
		if !known {
			return "", fmt.Errorf("there is no command %q", name)
		}
		return f(p, args)
	}}
}

// playDemo plays the demo in the guest, and prints it as a terminal shows it.
// The host completes the last line.
func playDemo(out io.Writer) (ok bool, err error) {
	steps, err := session.Parse(session.Host, demo)
	if err != nil {
		return false, err
	}
	p := player{hosts: cluster.Parse(demoHosts)}
	if err := build(p.hosts); err != nil {
		return false, err
	}
	if err := p.sessions().Play(installed + demoNames); err != nil {
		return false, err
	}
	var wrong []string
	for _, s := range steps {
		if s.Note != "" {
			fmt.Fprintf(out, "\n# %s\n", s.Note)
		}
		fmt.Fprintf(out, "%s%s\n", s.Prompt(), s.Command)
		answer, err := p.sessions().Step(s)
		fmt.Fprint(out, answer)
		if err != nil {
			fmt.Fprintf(out, "!!! not as expected: %v\n", err)
			wrong = append(wrong, fmt.Sprintf("%s%s\n    %v\n", s.Prompt(), s.Command, err))
		}
	}
	fmt.Fprintln(out)
	if len(wrong) > 0 {
		fmt.Fprintf(out, "Not as expected:\n%s", strings.Join(wrong, ""))
	}
	fmt.Fprintf(out, "%d commands, %d answers as expected, ", len(steps), len(steps)-len(wrong))
	return len(wrong) == 0, nil
}

// soon waits until a condition holds. Its error names the condition.
func soon(what string, condition func() (bool, error)) error {
	var err error
	holds := false
	if !must.Soon(func() bool { holds, err = condition(); return holds || err != nil }) {
		return fmt.Errorf("%s: not within %v", what, must.Patience)
	}
	return err
}

// verbs are the commands that count.
var verbs map[string]func(p *player, args string) (string, error)

func init() {
	verbs = map[string]func(p *player, args string) (string, error){
		// share N ADDRESS: the number of N calls that each server
		// answers.
		"share": func(p *player, args string) (string, error) {
			n, c := numbered(args)
			t, err := count(p.hosts, n, c.server)
			return t.String(), err
		},
		// share-udp N ADDRESS: the same for datagrams.
		"share-udp": func(p *player, args string) (string, error) {
			n, c := numbered(args)
			t, err := count(p.hosts, n, datagrams(c.address))
			return t.String(), err
		},
		// serve-udp ADDRESS: makes the servers answer datagrams.
		"serve-udp": func(p *player, args string) (string, error) { return "", serveUDP(p.hosts, args) },
		// sticky BITS SOURCES ADDRESS...: see the function.
		"sticky": func(_ *player, args string) (string, error) {
			words := strings.Fields(args)
			bits, err := strconv.Atoi(words[0])
			if err != nil {
				return "", err
			}
			return sticky(bits, words[1], words[2:])
		},
		// path N ADDRESS: the share of N large files that passes
		// through the director.
		"path": func(_ *player, args string) (string, error) { return throughDirector(numbered(args)) },
		// hold N ADDRESS: opens N connections; the number per server.
		"hold": func(p *player, args string) (string, error) {
			err := p.held.hold(numbered(args))
			return p.held.count(p.hosts).String(), err
		},
		// close SERVER, reset SERVER: closes or resets its
		// connections.
		"close": func(p *player, args string) (string, error) { p.held.close(args, false); return "", nil },
		"reset": func(p *player, args string) (string, error) { p.held.close(args, true); return "", nil },
		// answering: the number of open connections that are still
		// served.
		"answering": func(p *player, _ string) (string, error) { return fmt.Sprint(p.held.answering()), nil },
		// ask HOST COMMAND: the answer of the host.
		"ask": func(_ *player, args string) (string, error) {
			host, command, _ := strings.Cut(args, " ")
			answer, err := shell(host, command)
			return strings.TrimSpace(answer), err
		},
		// start HOST COMMAND: starts it; ended: waits for its end;
		// its output, and its exit status in brackets.
		"start": func(p *player, args string) (string, error) {
			host, command, _ := strings.Cut(args, " ")
			p.started = start(host, command)
			return "", nil
		},
		"ended": func(p *player, _ string) (string, error) {
			a := <-p.started
			return cmp.Or(strings.Join(strings.Fields(a.answer), " "), "[0]"), a.err
		},
		// until HOST COMMAND: waits until the command succeeds.
		"until": func(_ *player, args string) (string, error) {
			host, command, _ := strings.Cut(args, " ")
			return "", soon(args, func() (bool, error) {
				answer, err := shell(host, command+" >/dev/null")
				return answer == "", err
			})
		},
		// plug HOST, unplug HOST: see Plug.
		"plug":   func(p *player, args string) (string, error) { return "", p.hosts.Host(args).Plug(true) },
		"unplug": func(p *player, args string) (string, error) { return "", p.hosts.Host(args).Plug(false) },
		// probe: starts to measure; gap: the longest interruption.
		"probe": func(p *player, _ string) (string, error) { p.probe = startProbe(); return "", nil },
		"gap":   func(p *player, _ string) (string, error) { return p.probe.end() },
		// download: starts one; downloads: the number of complete
		// ones.
		"download":  func(p *player, _ string) (string, error) { p.downloads.add(); return "", nil },
		"downloads": func(p *player, _ string) (string, error) { return p.downloads.end() },
		// requests: starts requests without pause; lost: stops them;
		// the number of failures.
		"requests": func(p *player, _ string) (string, error) { p.requests = startRequests(); return "", nil },
		"lost": func(p *player, _ string) (string, error) {
			err := p.requests.end()
			return p.requests.lost(), err
		},
		// restore SECONDS PROGRAM FILE...: see the function.
		"restore": func(_ *player, args string) (string, error) { return restore(args) },
		// soak TIME: see the function.
		"soak": func(_ *player, args string) (string, error) {
			length, err := time.ParseDuration(args)
			if err != nil {
				return "", err
			}
			return soakFor(length)
		},
	}
}

// numbered reads N [ADDRESS].
func numbered(args string) (n int, c call) {
	_, _ = fmt.Sscan(args, &n, &c.address)
	return n, c
}
