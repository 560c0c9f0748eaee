// SPDX-License-Identifier: Apache-2.0

package guesttest

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

// parser parses the output of a test binary with -test.v=test2json: that of
// -test.v, with a mark before the lines of the testing package itself.
type parser struct {
	top  string // the only top-level test that runs
	done func(outcome)

	rest    []byte                      // an incomplete last line
	current string                      // the test whose output comes next
	open    []string                    // running tests, in the order they started
	logs    map[string]*strings.Builder // of the running tests
}

// outcome is the result of one test.
type outcome struct {
	name    string
	verdict string // PASS, FAIL or SKIP
	log     string
}

const mark = "\x16"

var event = regexp.MustCompile(`^ *(?:=== (RUN|NAME|CONT|PAUSE)|--- (PASS|FAIL|SKIP):) +(\S*)`)

func (p *parser) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	for {
		i := bytes.IndexByte(p.rest, '\n')
		if i < 0 {
			return len(b), nil
		}
		p.line(string(p.rest[:i]))
		p.rest = p.rest[i+1:]
	}
}

// close returns the tests that have not ended, with their logs, or "".
func (p *parser) close() string {
	if len(p.rest) > 0 {
		p.line(string(p.rest))
	}
	var b strings.Builder
	for _, name := range p.open {
		b.WriteString(name + " did not end\n" + p.logs[name].String())
	}
	return b.String()
}

func (p *parser) line(line string) {
	// A test's output without a final newline precedes the mark.
	text, own, marked := strings.Cut(line, mark)
	if !marked {
		p.log(line + "\n")
		return
	}
	if text = strings.TrimLeft(text, " "); text != "" {
		p.log(text + "\n")
	}
	m := event.FindStringSubmatch(own)
	if m == nil {
		return
	}
	word, verdict, name := m[1], m[2], m[3]
	switch {
	case verdict != "":
		r := outcome{name: name, verdict: verdict}
		if i := slices.Index(p.open, name); i >= 0 {
			r.log = p.logs[name].String()
			p.open = slices.Delete(p.open, i, i+1)
			delete(p.logs, name)
		}
		p.current = name
		p.done(r)
	case word == "RUN":
		if p.logs == nil {
			p.logs = make(map[string]*strings.Builder)
		}
		p.open = append(p.open, name)
		p.logs[name] = new(strings.Builder)
		p.current = name
	default:
		p.current = name
	}
}

// log adds a line to the current test's log, without the indent that the
// host's report will add again.
func (p *parser) log(line string) {
	b := p.logs[p.current]
	if b == nil {
		b = p.logs[p.top]
	}
	if b != nil {
		b.WriteString(strings.TrimPrefix(line, "    "))
	}
}
