// SPDX-License-Identifier: Apache-2.0

package cli

// This file drains servers before it removes them: --drain of -d and -D.

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// drainPoll is the interval between two looks at the connections.
const drainPoll = 200 * time.Millisecond

// drain is a deletion that waits for connections to end.
type drain struct {
	*session
	service ipvs.ServiceEntry
	// servers are the ones to remove, as they were; with whole the
	// service is removed too.
	servers []ipvs.DestinationEntry
	whole   bool
}

// drain sets the weight of the servers to 0, waits until none has an active
// connection or the time is over, and deletes them. It returns the exit
// status.
func (s *session) drain(ctx context.Context, cmd args.Command) int {
	if err := s.open(ctx); err != nil {
		return s.report(err)
	}
	d := drain{session: s, whole: cmd.ID == spec.DeleteService}
	if found, err := d.find(ctx, cmd); err != nil || !found {
		return s.report(err)
	}
	unlock, err := d.lock()
	if err != nil {
		return s.report(err)
	}
	defer unlock()
	d.doubts(s.machine(subject{}))
	signals := catchSignals()
	defer signals.release()
	if err := d.weigh(ctx, false); err != nil {
		_ = d.weigh(ctx, true)
		return s.report(err)
	}
	left, err := d.wait(ctx, cmd.Drain, signals.caught)
	switch {
	case err != nil:
		s.report(err)
		d.putBack(ctx, "")
		return statusPartly
	case signals.got != nil:
		d.putBack(ctx, signals.got.String()+": ")
		return 128 + int(signals.got.(syscall.Signal))
	}
	c, _ := cmd.Change()
	switch err := s.client.Apply(ctx, c); {
	case err == nil, errors.Is(err, ipvs.ErrNoService), errors.Is(err, ipvs.ErrNoDestination):
	default:
		status := s.report(changeFailure(c.Op, err))
		d.putBack(ctx, "")
		return status
	}
	if left > 0 {
		fmt.Fprintln(s.Stderr, undrainedText(left))
		return statusPartly
	}
	return statusOK
}

// find reads what is to be removed. It reports false if that is missing and
// --exist allows it.
func (d *drain) find(ctx context.Context, cmd args.Command) (bool, error) {
	id := cmd.Service.ServiceID
	c, _ := cmd.Change()
	var err error
	d.service, err = d.readService(ctx, id)
	d.servers = d.service.Destinations
	if !d.whole && (err == nil || errors.Is(err, ipvs.ErrChanging)) {
		var e *ipvs.DestinationEntry
		if e, err = found(&d.service, cmd.Destination.AddrPort(), err); err == nil {
			d.servers = []ipvs.DestinationEntry{*e}
		}
	}
	if cmd.Given.Has(spec.OptExist) && (errors.Is(err, ipvs.ErrNoService) || errors.Is(err, ipvs.ErrNoDestination)) {
		return false, nil
	}
	if err != nil {
		return false, changeFailure(c.Op, &ipvs.ChangeError{Change: c, Err: err})
	}
	return true, nil
}

// drainLockFile has a locked byte for each server that is being drained.
const drainLockFile = "/run/ipvsadm-drain.lock"

// lock refuses a second drain of a server until unlock is called. If the lock
// file cannot be made, drains are not serialized.
func (d *drain) lock() (unlock func(), err error) {
	f, err := os.OpenFile(d.drainLock, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EROFS) {
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
				return nil, drainingFailure(d.service.ServiceID, d.servers[i].Destination)
			}
			return nil, fileFailure("lock", d.drainLock, err)
		}
	}
	return func() { f.Close() }, nil
}

// doubts returns why a drain may not have its effect.
func (d *drain) doubts(m machine) {
	svc := &d.service
	const fallback = ipvs.FlagSched1 // sh-fallback, mh-fallback
	var texts []string
	switch {
	case svc.Flags&ipvs.FlagOnePacket != 0:
		texts = append(texts, drainOnePacketText)
	case svc.Protocol == ipvs.UDP:
		texts = append(texts, drainUDPText)
	case svc.Scheduler == "dh", (svc.Scheduler == "sh" || svc.Scheduler == "mh") && svc.Flags&fallback == 0:
		texts = append(texts, drainHashText(svc.Scheduler))
	}
	if svc.Flags&ipvs.FlagPersistent != 0 && m.setting("net.ipv4.vs.expire_quiescent_template") == "0" {
		texts = append(texts, drainTemplateText)
	}
	if m.setting("net.ipv4.vs.expire_nodest_conn") == "1" {
		texts = append(texts, drainExpiresText)
	}
	for _, text := range texts {
		fmt.Fprintf(d.Stderr, "%v: %s\n", svc.ServiceID, text)
	}
}

// weigh sets the weight of the servers to 0, or with back to what it was,
// unless another program has changed it. Their other settings stay as they
// are now.
func (d *drain) weigh(ctx context.Context, back bool) error {
	id := d.service.ServiceID
	var now []ipvs.DestinationEntry
	var unsure, missed error // servers may be missing; one is
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

// putBack undoes a drain that did not finish.
func (d *drain) putBack(ctx context.Context, why string) {
	if err := d.weigh(ctx, true); err != nil {
		d.report(err)
		fmt.Fprintln(d.Stderr, why+notPutBackText)
		return
	}
	fmt.Fprintln(d.Stderr, why+putBackText)
}

// wait waits until the connections have ended, the time is over or it is
// stopped, and returns how many are left.
func (d *drain) wait(ctx context.Context, most time.Duration, stopped func() bool) (left uint64, err error) {
	terminal := isTerminal(d.Stderr)
	if terminal {
		defer fmt.Fprint(d.Stderr, "\r\x1b[K")
	}
	for end := time.Now().Add(most); ; {
		list, err := d.client.Destinations(ctx, d.service.ServiceID)
		switch {
		case errors.Is(err, ipvs.ErrNoService):
			return 0, nil // another program was quicker
		case err != nil && !errors.Is(err, ipvs.ErrChanging):
			return 0, changeFailure(ipvs.OpEditDestination, err)
		}
		left = 0
		for i := range list {
			e := &list[i]
			if !d.whole && e.AddrPort() != d.servers[0].AddrPort() {
				continue
			}
			if e.Weight != 0 {
				return 0, reweighedFailure(d.service.ServiceID, e.Destination)
			}
			left += uint64(e.Conns.Active)
		}
		rest := time.Until(end)
		sure := err == nil // no server is missing in the list
		if left == 0 && sure || rest <= 0 || stopped() {
			return left, nil
		}
		if terminal {
			fmt.Fprint(d.Stderr, "\r\x1b[K"+drainingText(left, rest))
		}
		time.Sleep(min(drainPoll, rest))
	}
}
