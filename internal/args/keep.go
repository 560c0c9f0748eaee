// SPDX-License-Identifier: Apache-2.0

package args

import (
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Keeps reports whether what the command does not name stays as it is. It has
// no change before KeepService or KeepServer has completed it.
func (c *Command) Keeps() bool { return c.Given.Has(spec.OptKeep) }

// KeepService completes a command that edits a service with what was: each
// value whose option was not given. Another scheduler has no use for the flags
// of the old one. The error is a *Fault.
func (c *Command) KeepService(was ipvs.Service) error {
	s := scan{cmd: *c, schedFlags: c.schedFlags}
	svc, given := &s.cmd.Service, c.Given
	const schedFlags = ipvs.FlagSched1 | ipvs.FlagSched2 | ipvs.FlagSched3
	if !given.Has(spec.OptScheduler) {
		svc.Scheduler = was.Scheduler
	}
	if !given.Has(spec.OptSchedFlags) && svc.Scheduler == was.Scheduler {
		svc.Flags |= was.Flags & schedFlags
	}
	if !given.Has(spec.OptPersistent) {
		svc.Flags |= was.Flags & ipvs.FlagPersistent
		svc.Timeout = was.Timeout
	}
	if !given.Has(spec.OptNetmask) && was.Flags&ipvs.FlagPersistent != 0 {
		svc.Netmask = was.Netmask
	}
	svc.Flags |= was.Flags & ipvs.FlagOnePacket
	if !given.Has(spec.OptPersistenceEngine) {
		svc.PersistenceEngine = was.PersistenceEngine
	}
	err := s.schedulerFlags()
	if err == nil {
		err = s.finishService()
	}
	s.cmd.kept = true
	*c = s.cmd
	return err
}

// KeepServer completes a command that edits a real server with what was: each
// value whose option was not given. A tunnel of another type has a port and
// checksums of its own. The error is a *Fault.
func (c *Command) KeepServer(was ipvs.Destination) error {
	s := scan{cmd: *c}
	dst, given := &s.cmd.Destination, c.Given
	if !given.HasAny(spec.ForwardingMethod) {
		dst.Forward = was.Forward
	}
	if !given.Has(spec.OptWeight) {
		dst.Weight = was.Weight
	}
	if !given.Has(spec.OptUThreshold) {
		dst.UpperThreshold = was.UpperThreshold
	}
	if !given.Has(spec.OptLThreshold) {
		dst.LowerThreshold = was.LowerThreshold
	}
	if dst.Forward == ipvs.Tunnel && was.Forward == ipvs.Tunnel {
		s.keepTunnel(was.Tunnel)
	}
	err := s.checkServer()
	s.cmd.Given, s.cmd.kept = given, true
	*c = s.cmd
	return err
}

// keepTunnel counts what the tunnel keeps as given, so that the rule of its
// type is checked with it.
func (s *scan) keepTunnel(was ipvs.TunnelInfo) {
	t, given := &s.cmd.Destination.Tunnel, &s.cmd.Given
	if !given.Has(spec.OptTunnelType) {
		t.Type = was.Type
	}
	if t.Type != was.Type {
		return
	}
	if !given.Has(spec.OptTunnelPort) && was.Port != 0 {
		t.Port = was.Port
		*given |= spec.Of(spec.OptTunnelPort)
	}
	if !given.HasAny(spec.Of(spec.OptTunnelNoCsum, spec.OptTunnelCsum, spec.OptTunnelRemCsum)) {
		t.Flags = was.Flags
	}
}
