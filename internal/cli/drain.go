// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/doctor"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/rule"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// drainPoll is the interval between two readings of the connections.
const drainPoll = 200 * time.Millisecond

// drainCommand is a deletion with --drain: it sets the weight of the servers to
// 0, waits until none has an active connection or the time is over, and deletes
// them. An edit with --drain waits likewise, and the server stays.
type drainCommand struct {
	*session
	cmd     *args.Command
	service ipvs.ServiceEntry
	// servers are the servers to remove, with their original settings; with
	// whole the service is removed too.
	servers []ipvs.DestinationEntry
	whole   bool
}

func (d *drainCommand) Run(ctx context.Context) error {
	if err := d.open(ctx); err != nil {
		return err
	}
	if found, err := d.readTargets(ctx); err != nil || !found {
		return err
	}
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	d.warn()
	signals := catchSignals()
	defer signals.release()
	begin := d.setWeights
	if d.isEdit() {
		begin = d.edit
	}
	if err := begin(ctx, false); err != nil {
		_ = d.setWeights(ctx, true)
		return err
	}
	left, err := d.wait(ctx, d.cmd.Drain, signals.caught)
	switch {
	case err != nil:
		d.report(err)
		d.restoreWeights(ctx, "")
		return exit(statusPartly)
	case signals.got != nil:
		d.restoreWeights(ctx, signals.got.String()+": ")
		return exit(signalStatus(signals.got))
	}
	if c, _ := d.cmd.Change(); !d.isEdit() {
		if err := d.client.Apply(ctx, c); err != nil && !isMissing(err) {
			status := d.report(changeFailure(c.Op, err))
			d.restoreWeights(ctx, "")
			return exit(status)
		}
	}
	d.showUndo()
	if left > 0 {
		fmt.Fprintf(d.Stderr, undrainedText, connections(left))
		return exit(statusPartly)
	}
	return nil
}

// readTargets reads the entries to remove. It returns false if they are
// missing and --exist allows that.
func (d *drainCommand) readTargets(ctx context.Context) (found bool, err error) {
	id := d.cmd.Service.ServiceID
	if d.whole = d.cmd.ID == spec.DeleteService; d.whole {
		d.service, err = d.readService(ctx, id)
		d.servers = d.service.Destinations
	} else {
		var e *ipvs.DestinationEntry
		if d.service, e, err = d.readServer(ctx, id, d.cmd.Destination.AddrPort()); err == nil {
			d.servers = []ipvs.DestinationEntry{*e}
		}
	}
	switch c, _ := d.cmd.Change(); {
	case err == nil:
		return true, nil
	case d.cmd.Given.Has(spec.OptExist) && isMissing(err):
		return false, nil
	default:
		return false, entryFailure(c, err)
	}
}

// isEdit reports whether the server stays in the table.
func (d *drainCommand) isEdit() bool { return d.cmd.ID == spec.EditServer }

// edit makes the change of the command line, which sets the weight to 0.
func (d *drainCommand) edit(ctx context.Context, _ bool) error {
	if err := d.cmd.KeepServer(d.servers[0].Destination); err != nil {
		return parseFailure(err, d.program())
	}
	c, _ := d.cmd.Change()
	if err := d.client.Apply(ctx, c); err != nil {
		return changeFailure(c.Op, err)
	}
	return nil
}

// showUndo prints on a terminal the commands that bring back the drained
// servers with their settings.
func (d *drainCommand) showUndo() {
	id := d.service.ServiceID
	var changes ipvs.Batch
	switch {
	case d.isEdit() && d.servers[0].Weight == 0:
		return
	case d.isEdit():
		changes.EditDestination(id, d.servers[0].Destination)
	case d.whole:
		changes.AddService(d.service.Service)
		fallthrough
	default:
		for i := range d.servers {
			changes.AddDestination(id, d.servers[i].Destination)
		}
	}
	program := "ipvsadm "
	if d.config.NetNS != "" {
		program += "--netns " + d.config.NetNS + " "
	}
	var commands []string
	for _, c := range changes {
		commands = append(commands, program+string(rule.Writer{}.Append(nil, c)))
	}
	d.say("to bring it back: " + strings.Join(commands, "; "))
}

// lock prevents a second drain of the same servers until unlock is called: it
// locks one byte of the lock file for each. If the lock file cannot be
// created, drains are not serialized.
func (d *drainCommand) lock() (unlock func(), err error) {
	f, err := os.OpenFile(d.drainLock, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if isUncreatable(err) {
		return func() {}, nil
	}
	if err != nil {
		return nil, fileFailure("lock", d.drainLock, err)
	}
	netns, err := d.client.NetNS()
	if err != nil {
		netns = 0
	}
	for i := range d.servers {
		h := fnv.New64a()
		fmt.Fprint(h, netns, d.service.ServiceID, d.servers[i].AddrPort())
		l := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: int64(h.Sum64() >> 2), Len: 1}
		if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &l); err != nil {
			f.Close()
			if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
				return nil, usageFailure(drainedText, d.servers[i].AddrPort(), d.service.ServiceID)
			}
			return nil, fileFailure("lock", d.drainLock, err)
		}
	}
	return func() { f.Close() }, nil
}

// warn reports why a drain may not have its effect.
func (d *drainCommand) warn() {
	svc := &d.service
	var texts []string
	switch {
	case svc.Flags&ipvs.FlagOnePacket != 0:
		texts = append(texts, drainOnePacketText)
	case svc.Protocol == ipvs.UDP:
		texts = append(texts, drainUDPText)
	case doctor.RefusesDrained(&svc.Service):
		texts = append(texts, drainHashText(svc.Scheduler))
	}
	if svc.Flags&ipvs.FlagPersistent != 0 && doctor.ReadSetting(d.config.NetNS, "net.ipv4.vs.expire_quiescent_template") == "0" {
		texts = append(texts, drainTemplateText)
	}
	if doctor.ReadSetting(d.config.NetNS, "net.ipv4.vs.expire_nodest_conn") == "1" {
		texts = append(texts, drainExpiresText)
	}
	for _, text := range texts {
		fmt.Fprintf(d.Stderr, "%v: %s\n", svc.ServiceID, text)
	}
}

// setWeights sets the weight of the servers to 0, or with back to its
// original value, unless another program has changed it. Other settings keep
// their current values.
func (d *drainCommand) setWeights(ctx context.Context, back bool) error {
	id := d.service.ServiceID
	var now []ipvs.DestinationEntry
	var unsure, missed error // unsure: servers may be missing; missed: one is
	if back {
		if now, unsure = d.client.Destinations(ctx, id); unsure != nil && !errors.Is(unsure, ipvs.ErrChanging) {
			return changeFailure(ipvs.OpEditDestination, unsure)
		}
	}
	var changes ipvs.Batch
	for i := range d.servers {
		e := d.servers[i].Destination
		if e.Weight == 0 {
			continue
		}
		if back {
			j := slices.IndexFunc(now, func(n ipvs.DestinationEntry) bool { return n.AddrPort() == e.AddrPort() })
			if j < 0 {
				missed = unsure
				continue
			}
			if now[j].Weight != 0 {
				continue
			}
			weight := e.Weight
			e = now[j].Destination
			e.Weight = weight
		} else {
			e.Weight = 0
		}
		changes.EditDestination(id, e)
	}
	if err := d.client.Apply(ctx, changes...); err != nil {
		return changeFailure(ipvs.OpEditDestination, err)
	}
	if missed != nil {
		return changeFailure(ipvs.OpEditDestination, missed)
	}
	return nil
}

// restoreWeights undoes a drain that did not finish.
func (d *drainCommand) restoreWeights(ctx context.Context, why string) {
	if err := d.setWeights(ctx, true); err != nil {
		d.report(err)
		fmt.Fprintln(d.Stderr, why+notPutBackText)
		return
	}
	fmt.Fprintln(d.Stderr, why+putBackText)
}

// wait waits until the connections have ended, the time is over or it is
// stopped, and returns the number of connections left.
func (d *drainCommand) wait(ctx context.Context, most time.Duration, stopped func() bool) (left uint64, err error) {
	terminal, shown := isTerminal(d.Stderr), false
	defer func() {
		if shown {
			fmt.Fprint(d.Stderr, "\r\x1b[K")
		}
	}()
	counter := restore.Drain{Kernel: d.client, Service: d.service.ServiceID, Begin: time.Now()}
	for end := counter.Begin.Add(most); ; {
		list, err := d.client.Destinations(ctx, d.service.ServiceID)
		switch {
		case errors.Is(err, ipvs.ErrNoService):
			return 0, nil // another program has changed the weight
		case err != nil && !errors.Is(err, ipvs.ErrChanging):
			return 0, changeFailure(ipvs.OpEditDestination, err)
		}
		if !d.whole {
			list = slices.DeleteFunc(list, func(e ipvs.DestinationEntry) bool { return e.AddrPort() != d.servers[0].AddrPort() })
		}
		for _, e := range list {
			if e.Weight != 0 {
				return 0, reweighedFailure(d.service.ServiceID, e.Destination)
			}
		}
		left = counter.Left(ctx, list)
		rest := time.Until(end)
		sure := err == nil // the list is complete
		if left == 0 && sure || rest <= 0 || stopped() {
			return left, nil
		}
		if terminal {
			fmt.Fprint(d.Stderr, "\r\x1b[K"+drainingText(left, rest))
			shown = true
		}
		time.Sleep(min(drainPoll, rest))
	}
}
