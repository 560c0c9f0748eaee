// SPDX-License-Identifier: Apache-2.0

package cli

// This file contains the exit statuses and the messages, except warnings and
// most hints. Messages that scripts may parse are 1.31's, byte for byte.

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/doctor"
	"github.com/ipvsadm-go/ipvsadm/internal/outfile"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Exit statuses. Those of 1.31's commands are 1.31's.
const (
	statusOK       = 0
	statusList     = 1   // the kernel refused a listing; output failed; a wrapper was misused
	statusPartly   = 1   // some changes were made, others not
	statusUsage    = 2   // a fault on the command line or in a file; IPVS cannot be reached
	statusRefused  = 255 // the kernel refused a change
	statusScanning = 255 // a word that cannot be parsed
)

// Messages with the status of a fault. Those of options are the parser's, and
// those of a fault in their words are in faults.
const (
	closedText      = "can't read standard input: it is closed; nothing was changed"
	updateText      = "--update needs a file, not standard output"
	noRulesText     = "can't write %s: it has text but no rules (to overwrite it, redirect standard output)"
	redirectionText = "unexpected argument %s: this line is not run by a shell; give the file name alone"
	keepText        = "--keep is not allowed in a file, which has to give all settings"
	mergedFlushText = "-C conflicts with --merge, which keeps other services"
	emptyText       = "%s: no commands in the file, nothing was changed; use -C to delete all services"
	drainedText     = "another ipvsadm is draining %v of %v; nothing was changed"
	noTerminalText  = "the 'watch' command needs a terminal"
)

// Messages of commands that continue.
const (
	moreText         = "%s: and %d more lines with mistakes\n"
	moreWarningsText = "%s: and %d more warnings\n"
	keptText         = "%s: not saved, there are no virtual services\n"
	unchangedText    = "%s: nothing was changed\n"
	undoneText       = "%s: all changes were undone\n"
	notUndoneText    = "%s: some changes could not be undone\n"
	undrainedText    = "the drain time is over, with %s left\n"
	unlockedText     = "warning: can't lock %s: %s; another restore may run at the same time\n"
	readableText     = "the table can be read again\n"
	unreadableText   = "can't read the table: %s; retrying"
	unseenText       = "without %s only the host is examined, not the virtual services\n"
	progressText     = "\r%d of %d changes"
	unaskedText      = "timed out: routes to %d addresses were not checked\n"
)

// doctorStatus returns the exit status of --doctor for its worst finding.
func doctorStatus(worst doctor.Level) int {
	switch worst {
	case doctor.Error:
		return 2
	case doctor.Warning:
		return 1
	}
	return statusOK
}

// hostFailure is the message if the machine's interfaces cannot be read.
func hostFailure(err error) error {
	if unknown, ok := errors.AsType[*ipvs.NetNSError](err); ok {
		return netnsFailure(unknown)
	}
	return &failure{text: "can't examine the host: " + reason(err), status: statusUsage, cause: err}
}

// failure is an error with the message and exit status of the program.
type failure struct {
	text   string
	status int
	cause  error // underlying error, for hints; nil if it adds nothing
	quoted bool  // text may quote a file: it is always escaped
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

// exit returns the error of a command that has printed its own messages.
func exit(status int) error { return &failure{status: status} }

// usageFailure returns a failure with a text, as of fmt.Sprintf, and the
// status of a fault.
func usageFailure(format string, a ...any) *failure {
	return &failure{text: fmt.Sprintf(format, a...), status: statusUsage}
}

// asFailure returns the failure that err contains, or a new one with its
// text.
func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	return &failure{text: err.Error(), status: statusUsage, cause: err}
}

// withStatus returns an error as a failure with another exit status.
func withStatus(err error, status int) error {
	f := *asFailure(err)
	f.status = status
	return &f
}

// faults contains the message format of each kind of fault, and the hint if
// it does not depend on the fault's words.
var faults = [...]struct{ format, hint string }{
	args.UnknownOption:      {"%s: unknown option", ""},
	args.MissingValue:       {"%s: missing argument", ""},
	args.UnwantedValue:      {"%s: option does not take an argument", "write the option alone, without =value"},
	args.SecondCommand:      {"invalid option `%s'", "one command at a time: give each a line of its own"},
	args.RepeatedOption:     {"multiple '%s' options specified", ""},
	args.UnexpectedArgument: {"unexpected argument %s", ""},
	args.TimeoutCount:       {"--set option requires 3 timeout values", "give seconds for tcp, tcpfin and udp (0: leave as is): --set 900 120 300"},
	args.NeedsOption:        {"You need to supply the '%s' option for the '%s' command", ""},
	args.IllegalOption:      {"Illegal '%s' option with the '%s' command", ""},
	args.OptionConflict:     {"The option '%s' conflicts with the '%s' option in the '%s' command", ""},
	args.TunnelNeedsOption:  {"You need to supply the '%s' option for the '%s' tunnel type", "name the UDP port that the server listens on: --tun-port 6080"},
	args.TunnelIllegal:      {"Illegal '%s' option with the '%s' tunnel type", "gue takes --tun-port, gue and gre take checksum options, ipip takes neither"},
	args.TunnelConflict:     {"The option '%s' conflicts with the '%s' option in the '%s' tunnel type", ""},
	args.IllegalValue:       {"illegal %s specified", ""},
	args.IllegalChoice:      {"illegal %s specified, not one of: %s", ""},
	args.InvalidTimeout:     {"invalid timeout value `%s' specified", ""},
	args.InvalidMark:        {"invalid fwmark value `%s' specified", ""},
	args.IllegalPrefix:      {"illegal ipv6 netmask specified", ""},
	args.IncompatibleFlag:   {"incompatible scheduler flag `%s'", ""},
	args.UnknownFlag:        {"invalid scheduler flag `%s'", ""},
	args.InvalidGroup4:      {"invalid IPv4 mcast-group `%s'", "a multicast group is an address from 224.0.0.0 to 239.255.255.255, or an IPv6 address that begins with ff"},
	args.InvalidGroup6:      {"invalid IPv6 mcast-group `%s'", "an IPv6 multicast group begins with ff: ff02::81"},
	args.FamilyBeforeMark:   {"-6 used before -f\n", "put -6 after the mark: -f 1 -6"},
	args.ZeroPort:           {"Zero port specified for non-persistent service", "add a port, host:port or [IPv6]:port, or -p for a persistent service on all ports"},
	args.OnePacketNotUDP:    {"One-Packet Scheduling is only for UDP virtual services", "-o needs -u"},
	args.MixedFamilies:      {"Different address family is allowed only for tunneling servers", "service and server must both be IPv4 or both IPv6, except with -i"},
	args.TunnelOptions:      {"Tunnel options conflict with forward method", "tunnel options need -i"},
	args.DrainWeight:        {"a drain of a server that stays needs weight 0", "add -w 0"},
	args.ListConflict:       {"options conflicts in the list command", "connections, timeouts and daemons have one format each"},
}

// parseFailure is the message for an invalid command line; program is the
// name that the program was called by.
func parseFailure(err error, program string) error {
	f, ok := errors.AsType[*args.Fault](err)
	if !ok {
		return asFailure(err)
	}
	text, status := faultText(f), statusUsage
	switch {
	case f.Kind == args.NotACommand:
		text, status = fmt.Sprintf("Try `%[1]s -h' or '%[1]s --help' for more information.", program), statusScanning
	case f.Unreadable():
		status = statusScanning
	}
	return &failure{text: text, status: status, cause: f}
}

// notAChange is the error for a line of a rule file whose command does not
// change the table.
type notAChange spec.CommandID

func (c notAChange) Error() string {
	return fmt.Sprintf("the '%s' command does not change the table", spec.FindCommand(spec.CommandID(c)).Name)
}

// ruleFailure is the message for an invalid line of a rule file. Unlike
// parseFailure, it names hosts and services that were not found.
func ruleFailure(err error, program string) error {
	if name, ok := errors.AsType[*args.NameError](err); ok {
		return &failure{text: nameText(name), status: statusUsage, cause: err}
	}
	if errors.Is(err, restore.ErrLongLine) {
		return usageFailure("longer than %d bytes", restore.MaxLine)
	}
	return parseFailure(err, program)
}

// nameText is the message for a name that was not resolved.
func nameText(e *args.NameError) string {
	dns, _ := errors.AsType[*net.DNSError](e.Err)
	switch {
	case e.Proto != "":
		return fmt.Sprintf("service %s/%s not found", e.Name, e.Proto)
	case dns == nil || dns.IsNotFound:
		return fmt.Sprintf("host %s not found", e.Name)
	case dns.IsTimeout:
		return fmt.Sprintf("can't look up host %s: no answer from the name server", e.Name)
	}
	why := dns.Err[strings.LastIndex(dns.Err, ": ")+1:] // without the connection
	return fmt.Sprintf("can't look up host %s: %s", e.Name, strings.TrimSpace(why))
}

func faultText(f *args.Fault) string {
	words := make([]any, len(f.Words))
	for i, w := range f.Words {
		words[i] = w
	}
	return fmt.Sprintf(faults[f.Kind].format, words...)
}

// refusals maps errors of the library and the kernel to messages.
var refusals = []struct {
	err  error
	ops  []ipvs.Op // for any operation if nil
	text string
}{
	{ipvs.ErrServiceExists, nil, "Service already exists"},
	{ipvs.ErrNoScheduler, nil, "Scheduler or persistence engine not found"},
	{ipvs.ErrNoService, []ipvs.Op{ipvs.OpAddDestination, ipvs.OpEditDestination, ipvs.OpDeleteDestination}, "Service not defined"},
	{ipvs.ErrNoService, nil, "No such service"},
	{ipvs.ErrDestinationExists, nil, "Destination already exists"},
	{ipvs.ErrNoDestination, nil, "No such destination"},
	{ipvs.ErrDaemonRunning, nil, "Daemon has already run"},
	{ipvs.ErrNoDaemon, nil, "No daemon is running"},
	{ipvs.ErrChanging, nil, "The table keeps changing while it is read"},
	{unix.EPERM, nil, "Permission denied (you must be root)"},
	{unix.EINVAL, nil, "Invalid operation.  Possibly wrong module version, address not unicast, ..."},
	{unix.ENOPROTOOPT, nil, "Protocol not available"},
	{unix.ENOMEM, nil, "Memory allocation problem"},
	{unix.EOPNOTSUPP, nil, "Operation not supported with IPv6"},
	{unix.EAFNOSUPPORT, nil, "Operation not supported with specified address family"},
	{unix.EMSGSIZE, nil, "Module is wrong version"},
}

// refusalText is the message for an error of the library; op is the attempted
// change, zero for a query.
func refusalText(op ipvs.Op, err error) string {
	for _, r := range refusals {
		if errors.Is(err, r.err) && (r.ops == nil || slices.Contains(r.ops, op)) {
			return r.text
		}
	}
	if apply, ok := errors.AsType[*ipvs.ApplyError](err); ok {
		err = apply.Err
	}
	return reason(err)
}

// initFailure is the message if IPVS cannot be reached at all.
func initFailure(cause error) error {
	if unknown, ok := errors.AsType[*ipvs.NetNSError](cause); ok {
		return netnsFailure(unknown)
	}
	err := cause
	if errors.Is(err, ipvs.ErrNoIPVS) {
		err = unix.ENOPROTOOPT // 1.31's error, from the kernel's older interface
	}
	return &failure{text: "Can't initialize ipvs: " + refusalText(0, err) +
		"\nAre you sure that IP Virtual Server is built in the kernel or as module?", status: statusUsage, cause: cause}
}

// netnsFailure is the message for a network namespace that cannot be entered.
func netnsFailure(err *ipvs.NetNSError) *failure {
	why := reason(err)
	if errors.Is(err, unix.EINVAL) {
		why = "Not a network namespace"
	}
	return &failure{text: fmt.Sprintf("can't use network namespace %s: %s", err.NetNS, why), status: statusUsage, cause: err}
}

// changeFailure is the message for a change that was not made.
func changeFailure(op ipvs.Op, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return initFailure(err) // 1.31 reports this before anything else
	}
	return &failure{text: refusalText(op, err), status: statusRefused, cause: err}
}

// entryFailure is the message for an entry that cannot be read before a
// change.
func entryFailure(c ipvs.Change, err error) error {
	return changeFailure(c.Op, &ipvs.ChangeError{Change: c, Err: err})
}

// listFailure is the message for a query that failed.
func listFailure(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return initFailure(err)
	}
	return &failure{text: refusalText(0, err), status: statusList, cause: err}
}

// output is the message if standard output cannot be written to, nil if err is.
func output(err error) error {
	if err == nil {
		return nil
	}
	return &failure{text: "can't write to standard output: " + reason(err), status: statusList, cause: err}
}

// inputFailure is the message if standard input cannot be read.
func inputFailure(err error) *failure {
	return &failure{text: "can't read standard input: " + reason(err), status: statusList, cause: err}
}

const saferHint = "save into a directory that only root can write to, or redirect standard output: ipvsadm-save -n > file"

// refusedFiles are the reasons not to write to a file, with their hints.
var refusedFiles = [...]struct{ reason, hint string }{
	outfile.DirOwner:   {"another user owns its directory or one above", saferHint},
	outfile.DirShared:  {"other users can write to its directory or one above", saferHint},
	outfile.FileOwner:  {"another user owns it, and its directory is sticky", saferHint},
	outfile.FileLinked: {"it has other hard links, and its directory is sticky", saferHint},
	outfile.Immutable:  {"it is immutable", "make it writable: chattr -i file"},
	outfile.AppendOnly: {"it is append-only", "make it writable: chattr -a file"},
	outfile.Changing:   {"another program keeps replacing it", ""},
}

// reason returns a system error's text without the call and the file, which
// the message names.
func reason(err error) string {
	if refusal, ok := errors.AsType[outfile.Refusal](err); ok {
		return refusedFiles[refusal].reason
	}
	if errors.Is(err, restore.ErrLarge) {
		return fmt.Sprintf("it has more than %d MB, the most that is read", maxText>>20)
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		text := errno.Error() // the C library's text, but in lower case
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return err.Error()
}

// inLine adds the line number of rule text to an error.
func inLine(n int, err error) error { return atPlace(fmt.Sprintf("line %d: ", n), false, err) }

// atPlace prefixes an error with a place; it returns nil for nil.
func atPlace(place string, quoted bool, err error) error {
	if err == nil {
		return nil
	}
	f := *asFailure(err)
	f.text, f.quoted = place+f.text, f.quoted || quoted
	return &f
}

// stdinName is what messages call standard input.
const stdinName = "<stdin>"

// fileFailure is the message for a file that cannot be used.
func fileFailure(what, name string, err error) *failure {
	f := &failure{text: fmt.Sprintf("can't %s %s: %s", what, name, reason(err)), status: statusUsage}
	if refusal := outfile.Refusal(0); errors.As(err, &refusal) {
		f.cause = err // the hints for kernel errors concern IPVS, not files
	}
	return f
}

// schedulerText tells whether a service got its scheduler back, which the
// kernel removed when it refused an edit.
func schedulerText(s ipvs.Service, err error) string {
	if err != nil {
		return fmt.Sprintf("%v has lost its scheduler %s: %s", s.ServiceID, s.Scheduler, refusalText(ipvs.OpEditService, err))
	}
	return fmt.Sprintf("%v has its scheduler %s back", s.ServiceID, s.Scheduler)
}

// waitingText names the process that a restore waits for; holder may be
// empty.
func waitingText(lock, holder string) string {
	if holder == "" {
		holder = "another ipvsadm"
	}
	return "waiting for lock " + lock + ", held by " + holder
}

func stillDiffersText(name string, result restore.Result) string {
	left := "remaining changes:"
	if result.Undo != restore.Kept {
		left = "changes not made:"
	}
	return fmt.Sprintf("%s: after %d attempts the table still differs, another program may be changing it; %s", name, restore.MaxRounds, left)
}

func interruptedText(name string, sig os.Signal, result restore.Result) string {
	s := fmt.Sprintf("%s: %v after %d of %d changes", name, sig, result.Done, result.All)
	if result.Undo == restore.Kept {
		s += "; run it again to finish"
	}
	return s
}

// lostTerminalFailure is the message if the terminal closes during --watch.
func lostTerminalFailure(err error) *failure {
	return &failure{text: "lost the terminal: " + reason(err), status: statusList}
}

// watchTitle is the title of the live screen: its interval and namespace.
func watchTitle(netns string, interval time.Duration) string {
	title := fmt.Sprintf("every %g s", interval.Seconds())
	if netns != "" {
		title += ", netns " + netns
	}
	return title
}

const estimationOffText = "counters are not updated: net.ipv4.vs.run_estimation is 0"

// versionText is the output of -v. Its first line has 1.31's format, for
// scripts that parse the version.
func versionText(own string) string {
	return "ipvsadm v1.31 2019/12/24 (compiled with pflag and IPVS v1.2.1)\nipvsadm-go " + own + "\n"
}

// Warnings of a drain that may not have the intended effect.
const (
	drainOnePacketText = "one-packet scheduling has no connections to wait for"
	drainUDPText       = "UDP connections do not end, so there is nothing to wait for; their packets are dropped once the server is deleted"
	drainTemplateText  = "persistent clients return to their server even at weight 0: sysctl -w net.ipv4.vs.expire_quiescent_template=1"
	drainExpiresText   = "connections that outlast the drain time are ended at once"
)

func drainHashText(scheduler string) string {
	text := fmt.Sprintf("scheduler %s refuses the clients of a server of weight 0", scheduler)
	if scheduler != "dh" {
		text += fmt.Sprintf("; -b %s-fallback sends them to another server", scheduler)
	}
	return text
}

const (
	putBackText    = "nothing was deleted, and weights set to 0 were put back"
	notPutBackText = "nothing was deleted, but the weights could not be put back"
	goneText       = ": another program has deleted it meanwhile"
)

func drainingText(left uint64, rest time.Duration) string {
	return fmt.Sprintf("%s left, waiting up to %d seconds", connections(left), (rest+time.Second-1)/time.Second)
}

func connections(n uint64) string { return count(n, "connection") }

func count[N int | uint64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func reweighedFailure(id ipvs.ServiceID, d ipvs.Destination) *failure {
	return &failure{text: fmt.Sprintf("another program set the weight of %v in %v to %d", d.AddrPort(), id, d.Weight), status: statusPartly}
}

// changedText summarizes a restore on a terminal; t is the resulting table.
func changedText(name string, t *ipvs.Table, result restore.Result) string {
	servers := 0
	for i := range t.Services {
		servers += len(t.Services[i].Destinations)
	}
	text := fmt.Sprintf("%s: %s, %s: ", name, count(len(t.Services), "service"), count(servers, "server"))
	switch {
	case result.Added+result.Removed+result.Changed > 0:
		return text + fmt.Sprintf("%d added, %d removed, %d changed", result.Added, result.Removed, result.Changed)
	case result.Wanted.Complaints.Any():
		return text + "nothing was changed"
	}
	return text + "nothing to change"
}
