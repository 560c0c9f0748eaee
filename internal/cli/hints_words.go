// SPDX-License-Identifier: Apache-2.0

package cli

// This file contains the hints about the words of a command line: likely
// corrections and permitted values.

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// faultHint returns the hint for a line that cannot be parsed.
func (m machine) faultHint(f *args.Fault) string {
	if text := strangeHint(f.Word); text != "" {
		return text
	}
	switch f.Kind {
	case args.NotACommand:
		return m.commandHint(f.Word)
	case args.UnknownOption:
		return unknownHint(f.Word)
	case args.MissingValue:
		if r, _ := rowOf(f.Word, len(f.Word)-1); r.Arg != "" {
			return fmt.Sprintf("%s needs a value: %[1]s %s", f.Word, r.Arg)
		}
	case args.UnexpectedArgument:
		return m.argumentHint(f.Word)
	case args.NeedsOption:
		return needed[f.Words[0]]
	case args.IllegalOption:
		return illegalHint(f.Words[0], f.Words[1])
	case args.RepeatedOption:
		return cmp.Or(alternatives[f.Words[0]], "give each option once")
	case args.OptionConflict, args.TunnelConflict:
		return fmt.Sprintf("use either '%s' or '%s'", f.Words[1], f.Words[0])
	case args.IllegalValue:
		return valueHint(f)
	case args.IllegalChoice:
		return guess(f.Word, "", strings.Fields(f.Words[1]))
	case args.InvalidTimeout:
		if f.Option == nil {
			return fmt.Sprintf("seconds from 0 (leave as is) to %d", spec.TimeoutMax)
		}
		return "seconds: " + rangeHint(f.Option)
	case args.InvalidMark:
		return rangeHint(spec.FindOption(spec.OptFWMarkService)) + ", as iptables -j MARK and nft meta mark set it"
	case args.IllegalPrefix:
		return "for IPv6, give a prefix length: " + rangeHint(spec.FindOption(spec.OptNetmask))
	case args.IncompatibleFlag:
		return fmt.Sprintf("%s goes with -s %s", f.Words[0], f.Words[0][:strings.IndexByte(f.Words[0], '-')])
	case args.UnknownFlag:
		return guess(f.Words[0], "", spec.Names(spec.SchedulerFlags[:]))
	}
	return faults[f.Kind].hint
}

// strangeHint returns the hint for characters that look like others, or that
// only a shell understands. It precedes all other hints, since the error for
// such a word is often misleading.
func strangeHint(word string) string {
	switch {
	case strings.HasPrefix(word, "\ufeff"):
		return "the text begins with a byte order mark, which some editors add: save it as UTF-8 without one"
	case isRedirection(word):
		return fmt.Sprintf("%q is shell syntax, but this line is not run by a shell", shorten(word))
	}
	const lookalikes = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2018\u2019\u201c\u201d\"'\u00a0\u200b"
	if i := strings.IndexAny(word, lookalikes); i >= 0 {
		r, _ := utf8.DecodeRuneInString(word[i:])
		return fmt.Sprintf("%s contains %q: type plain dashes and spaces, and no quotation marks", shorten(word), r)
	}
	if strings.IndexByte(word, '#') > 0 {
		return "a comment needs a space before #"
	}
	return ""
}

// shorten truncates a long word for a hint.
func shorten(word string) string {
	if len(word) <= 40 {
		return word
	}
	return strings.ToValidUTF8(word[:40], "") + "..."
}

// isRedirection reports whether a word is a shell operator.
func isRedirection(word string) bool {
	switch word {
	case "|", "||", "&", "&&", ";":
		return true
	}
	return strings.HasPrefix(strings.TrimLeft(word, "012&"), "<") || strings.HasPrefix(strings.TrimLeft(word, "012&"), ">")
}

// commandHint returns the hint for a line that does not begin with a command.
func (m machine) commandHint(word string) string {
	switch {
	case word == "":
		return ""
	case !strings.HasPrefix(word, "-"):
		if c := commandNamed(word); c != "" {
			return fmt.Sprintf("commands begin with dashes: %s %s", m.program, c)
		}
		return guess(word, "commands begin with dashes, and -h lists them", longNames(false))
	}
	switch r, _ := rowOf(word, 1); {
	case r.Option != nil:
		return "put the command before its options"
	case r.Command != nil && r.Arg != "" && strings.HasPrefix(word, "--"):
		return fmt.Sprintf("--%s needs a value: --%[1]s %s", r.Long, r.Arg)
	}
	return unknownHint(word)
}

// commandNamed returns the long option for a command name without dashes, or
// "".
func commandNamed(word string) string {
	i := slices.IndexFunc(spec.Commands[:], func(c spec.Command) bool { return word == c.Name || word == c.Long })
	if i < 0 {
		return ""
	}
	return "--" + spec.Commands[i].Long
}

// rowOf returns the row of a word that begins with a dash. For a group of
// letters, it is that of the letter at an index.
func rowOf(word string, at int) (spec.Row, bool) {
	if long, isLong := strings.CutPrefix(word, "--"); isLong {
		name, _, _ := strings.Cut(long, "=")
		return spec.FindLong(name)
	}
	if at >= len(word) {
		return spec.Row{}, false
	}
	return spec.FindLetter(word[at])
}

// oneDashHint returns the hint for a long option with one dash, which is
// parsed as letters.
func oneDashHint(words []string) string {
	for _, word := range words {
		bare, _, _ := strings.Cut(strings.TrimPrefix(word, "-"), "=")
		if _, found := spec.FindLong(bare); found && len(bare) > 1 && strings.HasPrefix(word, "-") {
			return fmt.Sprintf("long options have two dashes: --%s", bare)
		}
	}
	return ""
}

// equivalents maps options of other programs to their equivalents here.
var equivalents = map[string]string{"--xml": "--json", "--yaml": "--json", "--csv": "--json", "-j": "--json", "--top": "--watch"}

// unknownHint returns the hint for an unknown option.
func unknownHint(word string) string {
	name, _, _ := strings.Cut(word, "=")
	if own := equivalents[name]; own != "" {
		return "use " + own
	}
	if strings.HasPrefix(name, "--") {
		if c := commandNamed(name[2:]); c != "" {
			return fmt.Sprintf("did you mean %s?", c)
		}
		return guess(name, "", longNames(true))
	}
	for i := 1; i < len(name); i++ {
		letter := name[i]
		if _, found := spec.FindLetter(letter); found {
			continue
		}
		if other, found := spec.FindLetter(letter ^ 0x20); found {
			return fmt.Sprintf("there is no -%c; -%c is --%s", letter, letter^0x20, other.Long)
		}
		if letter < utf8.RuneSelf {
			return fmt.Sprintf("there is no option -%c", letter)
		}
		return ""
	}
	return ""
}

// argumentHint returns the hint for a word that is not an option or its
// value.
func (m machine) argumentHint(word string) string {
	restore := spec.FindCommand(spec.Restore)
	switch {
	case len(m.words) > 0 && (m.words[0] == "-"+string(restore.Short) || m.words[0] == "--"+restore.Long):
		return fmt.Sprintf("-R reads standard input only: ipvsadm-restore %s", shorten(word))
	case commandNamed(word) != "":
		return "commands begin with dashes: " + commandNamed(word)
	case spec.IsScheduler(word):
		return "name the scheduler with an option: -s " + word
	case strings.Contains(word, ".") || strings.Contains(word, ":"):
		return "put an option before the address: -t, -u, --sctp-service or -r"
	case isDigits(word):
		return "put an option before the number; a port follows its host: host:port"
	}
	return fmt.Sprintf("%s is not the value of an option", shorten(word))
}

// needed contains the hints for missing options.
var needed = map[string]string{
	spec.OptTCPService.String(): "name the virtual service: -t host:port, -u host:port, --sctp-service host:port or -f mark",
	spec.OptRealServer.String(): "name the real server: -r host or -r host:port",
}

// illegalHint returns the hint for an option that a command does not take, or
// takes only with another one.
func illegalHint(option, command string) string {
	for i := range spec.Commands {
		for _, w := range spec.Commands[i].Rule.With {
			for o := range spec.Options {
				if id := spec.Options[o].ID; spec.Commands[i].Name == command && id.String() == option && w.Takes.Has(id) {
					return fmt.Sprintf("'%s' needs --%s: ipvsadm %s --%[2]s", option, spec.FindOption(w.Option).Long, "-"+string(spec.Commands[i].Short))
				}
			}
		}
	}
	if command == spec.FindCommand(spec.DeleteServer).Name {
		return "name the service and the real server, -t address -r server, and leave out all else"
	}
	takers := spec.Takers(option)
	ofServers := slices.Contains(takers, spec.FindCommand(spec.AddServer))
	ofServices := slices.Contains(takers, spec.FindCommand(spec.AddService))
	switch {
	case option == spec.OptRealServer.String():
		return "real servers have their own commands: -a adds, -e edits, -d deletes one"
	case ofServers && !ofServices:
		return fmt.Sprintf("'%s' is for real servers: ipvsadm -e -t address -r server", option)
	case ofServices && !ofServers:
		return fmt.Sprintf("'%s' is for virtual services: ipvsadm -E -t address", option)
	case len(takers) > 0:
		var names []string
		for _, c := range takers {
			names = append(names, c.Name)
		}
		return fmt.Sprintf("'%s' is an option of: %s", option, strings.Join(names, ", "))
	}
	return ""
}

// alternatives contains the hints for options that exclude each other.
var alternatives = map[string]string{
	spec.OptTCPService.String():   "one virtual service at a time: -t, -u, --sctp-service or -f",
	spec.OptMasquerading.String(): "one forwarding method: -g, -i or -m",
}

// valueHint returns the hint for an invalid value of an option.
func valueHint(f *args.Fault) string {
	o := f.Option
	switch {
	case o == nil: // a command's value
		return commandValueHint(f)
	case o.ID == spec.OptTunnelType:
		return guess(f.Word, "", spec.Names(o.Choices))
	case o.Noun == spec.FindOption(spec.OptTCPService).Noun, o.ID == spec.OptRealServer:
		if e, ok := errors.AsType[*args.NameError](f); ok {
			return nameHint(e)
		}
		return addressHint(f.Word)
	case o.ID == spec.OptNetmask:
		return "for IPv4, give a mask such as 255.255.255.0"
	case o.Max > 0:
		return rangeHint(o)
	}
	return ""
}

// commandValueHint returns the hint for an invalid value of a command.
func commandValueHint(f *args.Fault) string {
	for i := range spec.Commands {
		c := &spec.Commands[i]
		switch {
		case c.Noun != f.Words[0]:
		case len(c.Choices) > 0:
			return guess(f.Word, "", spec.Names(c.Choices))
		default:
			return fmt.Sprintf("give seconds from 0.1 to %d", spec.TimeoutMax)
		}
	}
	return ""
}

// nameHint returns the hint for a name that was not found.
func nameHint(e *args.NameError) string {
	if e.Proto != "" {
		return fmt.Sprintf("%s is not in /etc/services for %s: use the port number", shorten(e.Name), e.Proto)
	}
	if dns, ok := errors.AsType[*net.DNSError](e.Err); ok && !dns.IsNotFound {
		return fmt.Sprintf("use the address of %s, or add the host to /etc/hosts, which needs no name server", shorten(e.Name))
	}
	return fmt.Sprintf("host %s does not resolve: check getent hosts %[1]s, or use its address", shorten(e.Name))
}

// addressHint returns the hint for an invalid address of a service or server.
func addressHint(word string) string {
	const shape = "use host:port or [IPv6]:port; "
	host, _, _ := strings.Cut(word, ":")
	_, err := netip.ParseAddr(host)
	switch {
	case strings.Contains(word, "/"):
		return shape + "this is a URL or a network"
	case err != nil && strings.Contains(host, ".") && isDigits(strings.ReplaceAll(host, ".", "")):
		return shape + fmt.Sprintf("%s is not an IPv4 address: four numbers from 0 to 255", shorten(host))
	}
	return shape + "ports are numbers from 0 to 65535, or names"
}

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// rangeHint names the values that an option accepts.
func rangeHint(o *spec.Option) string {
	return fmt.Sprintf("a whole number from %d to %d", o.Min, o.Max)
}

// longNames returns the long names of all commands, and with options those of
// all options too.
func longNames(options bool) (names []string) {
	for r := range spec.Rows() {
		if r.Command != nil || options {
			names = append(names, "--"+r.Long)
		}
	}
	return names
}

// someOf joins words, at most the first few of a long list.
func someOf(words []string) string {
	const most = 4
	if len(words) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
	}
	if last := len(words) - 1; last > 0 {
		words = []string{strings.Join(words[:last], ", "), words[last]}
	}
	return strings.Join(words, " and ")
}

// guess returns a reason and suggests the candidates most similar to word,
// or all of them if they are few.
func guess(word, reason string, candidates []string) string {
	text := reason
	if near := nearest(word, candidates); len(near) > 0 && len(near) <= 3 {
		if text != "" {
			text += ": "
		}
		return text + "did you mean " + strings.Join(near, " or ") + "?"
	}
	if len(candidates) <= len(spec.Schedulers) {
		if text != "" {
			text += ": "
		}
		return text + "use one of " + strings.Join(candidates, ", ")
	}
	return text
}

// nearest returns the candidates at the smallest edit distance from word, if
// that is small for its length. Case is ignored.
func nearest(word string, candidates []string) (near []string) {
	if len(word) > 40 { // no known word is as long
		return nil
	}
	typed := strings.ToLower(strings.TrimLeft(word, "-"))
	least := 1 + len(typed)/3
	for _, k := range candidates {
		switch n := distance(typed, strings.ToLower(strings.TrimLeft(k, "-"))); {
		case n < least:
			near, least = []string{k}, n
		case n == least:
			near = append(near, k)
		}
	}
	return near
}

// distance returns the edit distance of two words: the number of letters to
// insert, delete, replace or swap with the next one.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			differ := 1
			if a[i-1] == b[j-1] {
				differ = 0
			}
			n := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+differ)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				n = min(n, rows[i-2][j-2]+1)
			}
			rows[i][j] = n
		}
	}
	return rows[len(a)][len(b)]
}
