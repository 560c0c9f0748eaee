// SPDX-License-Identifier: Apache-2.0

package conformance

// This file generates scripts. Options come from the table of options;
// values, and words that are not in the table, are listed here.

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// generator generates scripts from random numbers.
type generator struct{ *rand.Rand }

// percent returns true with a probability of n percent.
func (g generator) percent(n int) bool { return g.IntN(100) < n }

func (g generator) pick(from ...string) string { return from[g.IntN(len(from))] }

// script generates a script of a random kind.
func (g generator) script() script {
	t := table{generator: g}
	switch n := g.IntN(100); {
	case n < 30:
		t.build()
		t.change()
		t.fold(0)
		t.save()
		t.list()
	case n < 50:
		t.restores()
	case n < 65:
		t.build()
		for range 2 + g.IntN(4) {
			t.list()
		}
	case n < 75:
		t.daemons()
	default:
		t.junk()
	}
	return script{commands: t.commands}
}

// option is an option and its value, before one of the spellings is chosen.
type option struct {
	long   string
	short  byte
	kind   spec.Value
	value  string
	valued bool
}

func optionOf(id spec.OptionID) option {
	o := spec.FindOption(id)
	return option{long: o.Long, short: o.Short, kind: o.Value}
}

func (g generator) command(id spec.CommandID) option {
	c := spec.FindCommand(id)
	o := option{long: c.Long, short: c.Short, kind: c.Value}
	if c.Alias != 0 && g.percent(30) {
		o.short = c.Alias
	}
	return o
}

func (o option) with(value string) option {
	o.value, o.valued = value, true
	return o
}

// spell returns options in a random spelling that popt accepts, including
// clusters of letters.
func (g generator) spell(options ...option) []string {
	var words []string
	cluster := false // the last word can take another letter
	for _, o := range options {
		var sep string
		if o.short != 0 && (o.long == "" || g.percent(60)) {
			if cluster && g.percent(60) {
				words[len(words)-1] += string(o.short)
			} else {
				words = append(words, "-"+string(o.short))
			}
			cluster = o.kind == spec.NoValue
			sep = g.pick("", "=", " ", " ", " ")
		} else {
			words = append(words, "--"+o.long)
			cluster = false
			sep = g.pick("=", "=", " ", " ", " ")
		}
		switch {
		case !o.valued:
		case sep == " ":
			words = append(words, o.value)
		default:
			words[len(words)-1] += sep + o.value
		}
	}
	return words
}

// shuffled returns the options in random order.
func (g generator) shuffled(options []option) []option {
	options = slices.Clone(options)
	g.Shuffle(len(options), func(i, j int) { options[i], options[j] = options[j], options[i] })
	return options
}

// table generates a script and tracks the resulting table.
type table struct {
	generator
	commands []command
	services []service
	single   bool // do not fold commands
}

// service holds the options that select a virtual service.
type service struct {
	name    []option
	six     bool
	servers []string
}

// maybe adds an option with a probability of n percent, and a random value.
func (t *table) maybe(list *[]option, n int, id spec.OptionID, values ...string) {
	if !t.percent(n) {
		return
	}
	o := optionOf(id)
	if values != nil {
		o = o.with(t.pick(values...))
	}
	*list = append(*list, o)
}

func (t *table) add(words ...string) { t.commands = append(t.commands, command{words: words}) }

// run adds an ipvsadm command to the script.
func (t *table) run(options ...option) {
	t.add(append([]string{"ipvsadm"}, t.spell(options...)...)...)
}

var (
	addresses4 = []string{
		"10.0.0.1", "10.0.0.2", "10.0.0.3", "100.64.0.1", "172.16.5.9", "192.168.7.1", "192.168.7.9", "127.0.0.1", "1.2.3.4",
		"web1", "both", "localhost", "web1.example.org", "0x0a.1", "10.1", "010.0.0.1", "167772161", "a-host.with-a-name-of-32.example",
	}
	addresses6 = []string{"2001:db8::1", "2001:db8::3", "fd00::2", "::1", "2001:DB8:0:0::77", "fe80::1", "::ffff:10.0.0.1"}
	servers4   = []string{
		"10.9.0.1", "10.9.0.2", "10.9.0.77", "10.9.1.3", "172.31.0.4", "192.168.168.5", "127.0.0.1", "127.0.0.2", "rs1", "rs2", "long", "10.0.0.1",
	}
	servers6 = []string{"2001:db8:9::1", "2001:db8::77", "fd00:9::2", "::1", "fe80::9"}
	ports    = []string{"80", "80", "80", "443", "53", "5060", "http", "https", "domain", "sip", "8080", "65535", "0", "+80", "  80"}
	marks    = []string{"1", "2", "77", "77", "2147483647", "2147483648", "3000000000", "4294967295"}
)

var schedulers = []string{"rr", "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sh", "mh", "sed", "nq", "fo", "ovf"}

// newService returns a random service.
func (t *table) newService() service {
	id := []spec.OptionID{spec.OptTCPService, spec.OptTCPService, spec.OptUDPService, spec.OptSCTPService, spec.OptFWMarkService}[t.IntN(5)]
	s := service{name: []option{optionOf(id)}}
	switch {
	case id == spec.OptFWMarkService:
		s.name[0] = s.name[0].with(t.pick(marks...))
		if t.percent(30) {
			s.name = append(s.name, optionOf(spec.OptIPv6))
			s.six = true
		}
	case t.percent(30):
		s.name[0] = s.name[0].with(t.address(addresses6, true))
		s.six = true
	default:
		s.name[0] = s.name[0].with(t.address(addresses4, false))
	}
	return s
}

// address returns a random address, usually with a port.
func (t *table) address(from []string, six bool) string {
	host := t.pick(from...)
	switch {
	case t.percent(12):
		return host
	case six:
		host = "[" + host + "]"
	}
	return host + ":" + t.pick(ports...)
}

// known returns a service of the table, or rarely one that does not exist.
func (t *table) known() *service {
	if len(t.services) == 0 || t.percent(5) {
		s := t.newService()
		return &s
	}
	return &t.services[t.IntN(len(t.services))]
}

// build fills the table.
func (t *table) build() {
	at := len(t.commands)
	for range 1 + t.IntN(3) {
		s := t.newService()
		t.services = append(t.services, s)
		t.service(spec.AddService, &s)
		for range t.IntN(4) {
			t.server(spec.AddServer, &t.services[len(t.services)-1])
		}
	}
	t.fold(at)
}

// fold usually replaces the commands from at on by one restore, because a
// process is slow to start in a guest.
func (t *table) fold(at int) {
	if t.single || t.percent(20) || at == len(t.commands) {
		return
	}
	var text strings.Builder
	for _, c := range t.commands[at:] {
		text.WriteString(c.stdin)
		if c.stdin == "" {
			text.WriteString(strings.Join(c.words[1:], " ") + "\n")
		}
	}
	t.commands = append(t.commands[:at], command{[]string{"ipvsadm", "-R"}, text.String()})
}

func (t *table) service(id spec.CommandID, s *service) {
	t.run(append([]option{t.command(id)}, t.shuffledService(s, t.serviceOptions(s.six))...)...)
}

// shuffledService usually keeps -6 after -f.
func (t *table) shuffledService(s *service, more []option) []option {
	if t.percent(5) {
		return t.shuffled(append(slices.Clone(s.name), more...))
	}
	more = t.shuffled(more)
	at := 0
	if t.percent(40) {
		at = t.IntN(len(more) + 1)
	}
	return slices.Concat(more[:at], s.name, more[at:])
}

func (t *table) serviceOptions(six bool) []option {
	var all []option
	scheduler := t.pick(schedulers...)
	if t.percent(85) {
		all = append(all, optionOf(spec.OptScheduler).with(scheduler))
	}
	if t.percent(35) {
		o := optionOf(spec.OptPersistent)
		if t.percent(70) {
			o = o.with(t.pick("1", "60", "300", "+7", "2678400", "86400", " 9"))
		}
		all = append(all, o)
		t.maybe(&all, 25, spec.OptPersistenceEngine, "sip", "sip", "sip", "none", "")
	}
	masks := []string{"255.255.255.0", "255.255.0.0", "255.255.255.255", "24", "0.0.0.0", "0xffff0000"}
	if six {
		masks = []string{"64", "128", "1", "64x", " 48"}
	}
	t.maybe(&all, 20, spec.OptNetmask, masks...)
	t.maybe(&all, 12, spec.OptOnePacket)
	if t.percent(25) {
		flags := t.pick("flag-1", "flag-2", "flag-3", "flag-1,flag-2", "flag-3,flag-1", ",flag-2,,")
		if scheduler == "sh" || scheduler == "mh" {
			flags = scheduler + t.pick("-port", "-fallback", "-port,flag-3", "-fallback,"+scheduler+"-port", "-port,")
		}
		all = append(all, optionOf(spec.OptSchedFlags).with(flags))
	}
	return all
}

func (t *table) server(id spec.CommandID, s *service) {
	six := s.six != t.percent(8)
	address := t.address(servers4, false)
	if six {
		address = t.address(servers6, true)
	}
	if id == spec.AddServer {
		s.servers = append(s.servers, address)
	} else if len(s.servers) > 0 && t.percent(90) {
		address = s.servers[t.IntN(len(s.servers))]
	}
	more := []option{optionOf(spec.OptRealServer).with(address)}
	if id != spec.DeleteServer {
		more = append(more, t.serverOptions()...)
	}
	t.run(append([]option{t.command(id)}, t.shuffledService(s, more)...)...)
}

func (t *table) serverOptions() []option {
	var all []option
	tunnel := false
	switch t.IntN(10) {
	case 0, 1:
		all = append(all, optionOf(spec.OptGatewaying))
	case 2, 3, 4:
		all = append(all, optionOf(spec.OptMasquerading))
	case 5, 6, 7:
		all = append(all, optionOf(spec.OptIPIP))
		tunnel = true
	}
	if tunnel && t.percent(70) || t.percent(4) {
		kind := t.pick("ipip", "gue", "gue", "gre")
		all = append(all, optionOf(spec.OptTunnelType).with(kind))
		if (kind == "gue") != t.percent(5) {
			all = append(all, optionOf(spec.OptTunnelPort).with(t.pick("6080", "1", "65535", "+5555")))
		}
		csums := []spec.OptionID{spec.OptTunnelNoCsum, spec.OptTunnelCsum, spec.OptTunnelRemCsum}
		for range t.IntN(3) - t.IntN(2) {
			all = append(all, optionOf(csums[t.IntN(len(csums))]))
		}
	}
	t.maybe(&all, 60, spec.OptWeight, "0", "1", "5", "100", "65535", "2147483647", "+3", " 8")
	t.maybe(&all, 25, spec.OptUThreshold, "0", "1", "500", "2147483647")
	t.maybe(&all, 25, spec.OptLThreshold, "0", "1", "100", "600", "2147483647")
	return all
}

// change edits, deletes and zeroes services and servers.
func (t *table) change() {
	for range 1 + t.IntN(3) {
		switch t.IntN(8) {
		case 0, 1:
			t.service(spec.EditService, t.known())
		case 2, 3:
			t.server(spec.EditServer, t.known())
		case 4:
			t.server(spec.DeleteServer, t.known())
		case 5:
			t.run(append([]option{t.command(spec.DeleteService)}, t.known().name...)...)
		case 6:
			if t.percent(50) {
				t.run(append([]option{t.command(spec.Zero)}, t.known().name...)...)
			} else {
				t.run(t.command(spec.Zero))
			}
		case 7:
			if t.percent(25) {
				t.run(t.command(spec.Flush))
			} else {
				t.service(spec.AddService, t.known())
			}
		}
	}
}

var listOptions = []spec.OptionID{
	spec.OptNumeric, spec.OptStats, spec.OptRate, spec.OptThresholds, spec.OptPersistentConn, spec.OptTunnelInfo, spec.OptNoSort,
	spec.OptSort, spec.OptExact, spec.OptConnection, spec.OptTimeout, spec.OptDaemon,
}

// list lists in one format or two formats at once, sometimes for one service.
func (t *table) list() {
	if t.percent(4) {
		t.add("ipvsadm")
		return
	}
	var more []option
	t.maybe(&more, 60, spec.OptNumeric)
	for range t.IntN(3) {
		more = append(more, optionOf(listOptions[t.IntN(len(listOptions))]))
	}
	t.maybe(&more, 5, spec.OptSyncID, "0", "7", "255")
	if t.percent(25) {
		more = t.shuffledService(t.known(), more)
	} else {
		more = t.shuffled(more)
	}
	t.run(append([]option{t.command(spec.List)}, more...)...)
}

func (t *table) save() {
	if t.percent(25) {
		t.add("ipvsadm-save")
		if t.percent(50) {
			t.add("ipvsadm-save", t.pick("-n", "-n", "-x", "--numeric", "n"))
		}
		return
	}
	options := []option{t.command(spec.Save)}
	t.maybe(&options, 60, spec.OptNumeric)
	t.run(options...)
}

// restores adds a command that reads rules.
func (t *table) restores() {
	if t.percent(40) {
		t.build()
	}
	for range 1 + t.IntN(2) {
		text := t.rules()
		words := []string{"ipvsadm", "-R"}
		switch t.IntN(10) {
		case 0, 1:
			words = []string{"ipvsadm-restore"}
		case 3:
			words[1] = "--restore"
		case 4:
			if t.percent(30) {
				words = append(words, t.pick("-n", "-", "x", "--", "-R"))
			}
		}
		t.commands = append(t.commands, command{words, text})
	}
	t.save()
	t.list()
}

// rules returns the text of a restore. Faulty lines, and commands that do not
// change the table, are rare, because the first fault ends a restore.
func (t *table) rules() string {
	made := table{generator: t.generator, services: slices.Clone(t.services), single: true}
	made.build()
	if t.percent(40) {
		made.change()
	}
	if t.percent(15) {
		made.junk()
	}
	end := t.pick("\n", "\n", "\n", "\r\n")
	var b strings.Builder
	for _, c := range made.commands {
		words := c.words
		if c.program() != "ipvsadm" || c.lists() && !c.saves() && t.percent(70) {
			continue
		}
		if t.percent(70) {
			words = words[1:] // the program's name
		} else if t.percent(5) {
			words = append(words, "ipvsadm")
		}
		if t.percent(3) {
			b.WriteString(t.pick("#", "# comment", "#-A -f 1", " # indented", "-", "--", "ipvsadm", "\\") + end)
		}
		if t.percent(10) {
			b.WriteString(t.pick("", " ", "\t", " \t ") + end)
		}
		b.WriteString(t.pick("", "", "", "", " ", "\t", "  "))
		b.WriteString(strings.Join(words, t.pick(" ", " ", " ", "  ", "\t")))
		b.WriteString(t.pick("", "", "", " ", "\t") + end)
	}
	text := b.String()
	if t.percent(20) {
		text = strings.TrimRight(text, "\r\n")
	}
	return text
}

// daemons starts and stops daemons and sets timeouts. There is always another
// command between start and stop: see the difference stopped-daemon.
func (t *table) daemons() {
	if t.percent(60) {
		const card = "link add eth0 type dummy\naddr add 10.77.0.1/24 dev eth0\nlink set eth0 up\n"
		t.commands = append(t.commands, command{[]string{"ip", "-batch", "-"}, card})
	}
	for range 2 + t.IntN(3) {
		switch t.IntN(6) {
		case 0, 1:
			t.startDaemon()
		case 2:
			options := []option{t.command(spec.StopDaemon).with(t.pick("master", "backup"))}
			t.maybe(&options, 20, spec.OptSyncID, "3")
			t.run(options...)
		case 3, 4:
			words := t.spell(t.command(spec.SetTimeouts))
			for range 3 {
				words = append(words, t.pick("0", "1", "10", "900", "120", "2678400", "+5", " 6"))
			}
			t.add(append([]string{"ipvsadm"}, words...)...)
		case 5:
			if t.percent(50) {
				t.run(t.command(spec.Flush))
			}
		}
		t.add("ipvsadm", "-L", "-n", t.pick("--timeout", "--daemon"))
	}
}

func (t *table) startDaemon() {
	var more []option
	t.maybe(&more, 60, spec.OptMcastInterface, "lo", "lo", "eth0", "none", "")
	t.maybe(&more, 50, spec.OptSyncID, "0", "1", "255", "+9")
	t.maybe(&more, 30, spec.OptMcastGroup, "224.0.0.81", "239.1.2.3", "ff02::81", "ff05::1", "FF02::5")
	t.maybe(&more, 30, spec.OptMcastPort, "1", "8848", "8849", "65535")
	t.maybe(&more, 30, spec.OptMcastTTL, "1", "7", "255")
	t.maybe(&more, 30, spec.OptSyncMaxLen, "1", "100", "1472", "65507")
	t.run(append([]option{t.command(spec.StartDaemon).with(t.pick("master", "backup"))}, t.shuffled(more)...)...)
}

// junk adds arbitrary command lines.
func (t *table) junk() {
	if t.percent(50) {
		t.build()
	}
	for range 2 + t.IntN(3) {
		words := t.anything()
		for range t.IntN(3) {
			words = t.spoil(words)
		}
		if slices.Contains(words[:min(1, len(words))], "--stop-daemon") {
			t.add("ipvsadm", "-L", "--daemon")
		}
		t.add(append([]string{"ipvsadm"}, words...)...)
	}
	t.save()
}

// commands and options are those of 1.31, without our additions.
var commands, options = func() (commands []spec.CommandID, options []spec.OptionID) {
	for i := range spec.Commands {
		if c := &spec.Commands[i]; !c.Beyond() {
			commands = append(commands, c.ID)
		}
	}
	for i := range spec.Options {
		if o := &spec.Options[i]; !o.Beyond() {
			options = append(options, o.ID)
		}
	}
	return commands, options
}()

// anything returns a command with options and values that are rarely valid
// together.
func (t *table) anything() []string {
	c := t.command(commands[t.IntN(len(commands))])
	if c.kind != spec.NoValue {
		c = c.with(t.pick("master", "backup", "master", "", "slave", "Master"))
	}
	line := []option{c}
	if t.percent(70) {
		line = append(line, t.known().name...)
	}
	for range t.IntN(5) {
		o := optionOf(options[t.IntN(len(options))])
		if o.kind == spec.RequiredValue || o.kind == spec.OptionalValue && t.percent(60) {
			o = o.with(t.value(o))
		}
		line = append(line, o)
	}
	if t.percent(15) {
		line = append(line, line[t.IntN(len(line))])
	}
	words := t.spell(line...)
	if c.long == "set" && t.percent(80) || t.percent(3) {
		for range t.IntN(5) {
			words = append(words, t.number())
		}
	}
	return words
}

// value returns a value that the option may or may not accept.
func (t *table) value(o option) string {
	if t.percent(10) {
		return t.pick("", " ", "-", "--", "-1", "x", "=", "\xff", "-n", "master")
	}
	switch o.long {
	case "tcp-service", "udp-service", "sctp-service", "real-server":
		switch t.IntN(4) {
		case 0:
			return t.address(addresses4, false)
		case 1:
			return t.address(addresses6, true)
		}
		return t.pick(badAddresses...)
	case "scheduler":
		return t.pick("rr", "sh", "mh", "", "nosuch", "RR", "a-name-of-sixteen", "rr ", "wlcwlcwlcwlcwlcw")
	case "sched-flags":
		return t.pick("sh-port", "mh-port", "flag-1", "flag-4", "", "flag-1,sh-fallback", "flag-1 ,flag-2", "Flag-1")
	case "pe":
		return t.pick("sip", "", "SIP", "nosuch", "an-engine-of-seventeen")
	case "netmask":
		return t.pick("255.255.255.0", "24", "64", "0", "129", "-1", "255.0.255.0", "web1", "nosuch", "0x40", "2001:db8::", "255.255.255.256")
	case "tun-type":
		return t.pick("ipip", "gue", "gre", "vxlan", "GUE", "")
	case "mcast-interface":
		return t.pick("lo", "eth0", "an-interface-of-many-letters", "")
	case "mcast-group":
		return t.pick("224.0.0.81", "10.0.0.1", "ff02::1", "2001:db8::1", "224.0.0.1.2", "all", "", ":", "ff02::1%lo", "224.1", "::ffff:224.0.0.1")
	}
	return t.number()
}

// badAddresses are typical results of empty variables in scripts, of typos,
// and of other programs' notations.
var badAddresses = []string{
	"", " ", ":", ":80", "80", "0", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:+80", "1.2.3.4: 80", "1.2.3.4:80 ", "1.2.3.4 :80",
	"1.2.3:80", "1.2.3.4.5:80", "256.1.1.1:80", "0xa.0:80", "08.1:80", "1.2.3.4:0x50", "1.2.3.4:080", "1.2.3.4:http", "1.2.3.4:HTTP", "1.2.3.4:nosuch",
	"1.2.3.4:80:90", "1.2.3.4/24:80", "http://1.2.3.4:80", "nosuch", "nosuch:80", "six:80", "web1:http", "WEB1:80", "web1.:80", "*:80", "0.0.0.0:80",
	"255.255.255.255:80", "224.0.0.1:80", "[::1]", "[::1]:", "[::1]:0", "[::1]80", "[::1]:http", "[::1]:nosuch", "[::1]:80:90", "[::1", "::1]:80", "[]:80", "[", "]",
	"[]", "[1.2.3.4]:80", "[1.2.3.4:80]:90", "[1.2.3.4]", "[:80", "::1", "::", "[::]:80", "::1:80", "1::2::3", "[fe80::1%lo]:80", "fe80::1%lo", "::ffff:1.2.3.4",
	"[::ffff:1.2.3.4]:80", "::1.2.3.4", "12345::1", "ff02::1", "[ff02::1]:80", "localhost:80", "ip6-localhost:80", "1.2.3.4:80\n", "\t1.2.3.4:80",
	"4294967295:80", "4294967296:80", "-1:80", "1.2.3.4:ipp", "1.2.3.4:tftp", "1.2.3.4:domain", "1.2.3.4:99999999999999999999",
}

// number returns a number, or text that resembles one.
func (t *table) number() string {
	if t.percent(25) {
		return strconv.Itoa(t.IntN(70000) - 100)
	}
	return t.pick("", " ", "+", "-", "0", "-0", "+0", "1", "+1", "-1", " 1", "1 ", "\t5", "\v5", "1\n", "0x10", "010", "1e3", "1.5", "+-1", "--1", "- 1", "x", "1x",
		"128", "255", "256", "65507", "65508", "65535", "65536", "2678400", "2678401", "2147483647", "2147483648", "4294967295", "4294967296",
		"9223372036854775807", "9223372036854775808", "-9223372036854775809", "99999999999999999999", "٣", "1,000", "1_000", "0b1", "00001")
}

// strangers are words that are not in the table of options.
var strangers = []string{
	"", "-", "--", "---", "--=", "--=x", "-=", "-=x", "--foo", "--foo=bar", "-q", "-Q", "-?", "--usage", "-V", "--tcp", "--add-serv", "-tcp-service", "--help=1",
	"--numeric=1", "-n=1", "-n1", "-An", "-nA", "-nq", "-qn", "-Lq", "x", "foo", "-1", "=", "-\xff", "--\xff", "-é", "-p=", "-p", "--persistent=", "-s=", "--scheduler=",
	"-t==x", "-6", "-66", "--ipv6", "--sort", "--", "-A", "-C", "ipvsadm", "-o", "-X", "-c", "--Stats", "--stats ", "- -n", "-n-", "-n-L",
}

// spoil damages a command line at one word.
func (t *table) spoil(words []string) []string {
	words = slices.Clone(words)
	if len(words) == 0 {
		return []string{t.pick(strangers...)}
	}
	i := t.IntN(len(words))
	switch t.IntN(9) {
	case 0:
		return slices.Delete(words, i, i+1)
	case 1:
		return slices.Insert(words, i, words[t.IntN(len(words))])
	case 2:
		j := t.IntN(len(words))
		words[i], words[j] = words[j], words[i]
	case 3, 4:
		return slices.Insert(words, t.IntN(len(words)+1), t.pick(strangers...))
	case 5:
		words[i] = t.pick(strangers...)
	case 6:
		if n := len(words[i]); n > 1 {
			at := 1 + t.IntN(n-1)
			return slices.Insert(slices.Concat(words[:i], []string{words[i][:at]}, words[i+1:]), i+1, words[i][at:])
		}
	case 7:
		if i > 0 {
			return slices.Concat(words[:i-1], []string{words[i-1] + words[i]}, words[i+1:])
		}
	case 8:
		if n := len(words[i]); n > 0 {
			at := t.IntN(n + 1)
			words[i] = words[i][:at] + t.pick("=", "-", " ", "q", "n", "A", "0", ":", "\xc3") + words[i][at:]
		}
	}
	return words
}
