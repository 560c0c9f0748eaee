// SPDX-License-Identifier: Apache-2.0

package args

import (
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Keeps reports whether the command has the option --keep, which keeps all
// values whose options are not given. The command is incomplete until
// KeepService or KeepServer has added them.
func (c *Command) Keeps() bool { return c.Given.Has(spec.OptKeep) }

// KeepService completes a command that edits a service: it keeps each old
// value whose option was not given. Scheduler flags are kept only for the
// same scheduler. The error is a *Fault.
func (c *Command) KeepService(old ipvs.Service) error {
	s := scan{cmd: *c, schedFlags: c.schedFlags}
	svc, given := &s.cmd.Service, c.Given
	const schedFlags = ipvs.FlagSched1 | ipvs.FlagSched2 | ipvs.FlagSched3
	if !given.Has(spec.OptScheduler) {
		svc.Scheduler = old.Scheduler
	}
	if !given.Has(spec.OptSchedFlags) && svc.Scheduler == old.Scheduler {
		svc.Flags |= old.Flags & schedFlags
	}
	if !given.Has(spec.OptPersistent) {
		svc.Flags |= old.Flags & ipvs.FlagPersistent
		svc.Timeout = old.Timeout
	}
	if !given.Has(spec.OptNetmask) && old.Flags&ipvs.FlagPersistent != 0 {
		svc.Netmask = old.Netmask
	}
	svc.Flags |= old.Flags & ipvs.FlagOnePacket
	if !given.Has(spec.OptPersistenceEngine) {
		svc.PersistenceEngine = old.PersistenceEngine
	}
	err := s.schedulerFlags()
	if err == nil {
		err = s.finishService()
	}
	s.cmd.completed = true
	*c = s.cmd
	return err
}

// KeepServer completes a command that edits a real server: it keeps each old
// value whose option was not given. The port and checksums of a tunnel are
// kept only for the same tunnel type. The error is a *Fault.
func (c *Command) KeepServer(old ipvs.Destination) error {
	s := scan{cmd: *c}
	dst, given := &s.cmd.Destination, c.Given
	if !given.HasAny(spec.ForwardingMethod) {
		dst.Forward = old.Forward
	}
	if !given.Has(spec.OptWeight) {
		dst.Weight = old.Weight
	}
	if !given.Has(spec.OptUThreshold) {
		dst.UpperThreshold = old.UpperThreshold
	}
	if !given.Has(spec.OptLThreshold) {
		dst.LowerThreshold = old.LowerThreshold
	}
	if dst.Forward == ipvs.Tunnel && old.Forward == ipvs.Tunnel {
		s.keepTunnel(old.Tunnel)
	}
	err := s.checkServer()
	s.cmd.Given, s.cmd.completed = given, true
	*c = s.cmd
	return err
}

// keepTunnel keeps the old values of a tunnel. It marks the port as given, so
// that the rule of the tunnel type, which requires one, is satisfied.
func (s *scan) keepTunnel(old ipvs.TunnelInfo) {
	t, given := &s.cmd.Destination.Tunnel, &s.cmd.Given
	if !given.Has(spec.OptTunnelType) {
		t.Type = old.Type
	}
	if t.Type != old.Type {
		return
	}
	if !given.Has(spec.OptTunnelPort) && old.Port != 0 {
		t.Port = old.Port
		*given |= spec.Of(spec.OptTunnelPort)
	}
	if !given.HasAny(spec.Of(spec.OptTunnelNoCsum, spec.OptTunnelCsum, spec.OptTunnelRemCsum)) {
		t.Flags = old.Flags
	}
}
