// SPDX-License-Identifier: Apache-2.0

package cli

// This file has the changes that depend on what is there: --keep and --exist.

import (
	"context"
	"errors"
	"net/netip"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// keep runs an edit that leaves what it does not name as it is: it reads the
// entry, completes cmd and makes the change. Its error is a *failure.
func (s *session) keep(ctx context.Context, cmd *args.Command) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	id := cmd.Service.ServiceID
	e, err := s.client.Service(ctx, id)
	if cmd.ID == spec.EditService {
		if err != nil {
			return changeFailure(ipvs.OpEditService, &ipvs.ChangeError{Change: ipvs.Change{Op: ipvs.OpEditService, Service: cmd.Service}, Err: err})
		}
		err = cmd.KeepService(e.Service)
	} else {
		var d *ipvs.DestinationEntry
		c := ipvs.Change{Op: ipvs.OpEditDestination, Service: ipvs.Service{ServiceID: id}, Destination: cmd.Destination}
		if err == nil {
			e.Destinations, err = s.client.Destinations(ctx, id)
		}
		if err == nil || errors.Is(err, ipvs.ErrChanging) {
			d, err = found(&e, cmd.Destination.AddrPort(), err)
		}
		if err != nil {
			return changeFailure(c.Op, &ipvs.ChangeError{Change: c, Err: err})
		}
		err = cmd.KeepServer(d.Destination)
	}
	if err != nil {
		return parseFailure(err, s.program())
	}
	c, _ := cmd.Change()
	err = s.change(ctx, c)
	if errors.Is(err, ipvs.ErrNoService) || errors.Is(err, ipvs.ErrNoDestination) {
		return &failure{text: goneText(c, err), status: statusRefused, cause: err}
	}
	return err
}

// found returns a server of a service whose servers were read with an error:
// a list that kept changing may lack one that exists.
func found(e *ipvs.ServiceEntry, server netip.AddrPort, err error) (*ipvs.DestinationEntry, error) {
	d := e.Lookup(server)
	switch {
	case d != nil:
		return d, nil
	case err != nil:
		return nil, err
	}
	return nil, ipvs.ErrNoDestination
}

// changeExisting makes a change that may meet an existing entry: an addition
// edits it, and a deletion does not need one. Its error is a *failure.
func (s *session) changeExisting(ctx context.Context, c ipvs.Change) error {
	err := s.change(ctx, c)
	switch {
	case errors.Is(err, ipvs.ErrServiceExists):
		return s.change(ctx, ipvs.Change{Op: ipvs.OpEditService, Service: c.Service})
	case errors.Is(err, ipvs.ErrDestinationExists):
		return s.change(ctx, ipvs.Change{Op: ipvs.OpEditDestination, Service: ipvs.Service{ServiceID: c.Service.ServiceID}, Destination: c.Destination})
	case deletes(c) && (errors.Is(err, ipvs.ErrNoService) || errors.Is(err, ipvs.ErrNoDestination)):
		return nil
	}
	return err
}

func deletes(c ipvs.Change) bool {
	return c.Op == ipvs.OpDeleteService || c.Op == ipvs.OpDeleteDestination
}
