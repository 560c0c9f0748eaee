// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// keepCommand implements --keep: it reads the entry, adds the settings that
// the command line omits, and makes the change.
type keepCommand struct{ changeCommand }

func (c keepCommand) Run(ctx context.Context) error {
	if err := c.open(ctx); err != nil {
		return err
	}
	id := c.cmd.Service.ServiceID
	if c.cmd.ID == spec.EditService {
		e, err := c.client.Service(ctx, id)
		if err != nil {
			return entryFailure(ipvs.Change{Op: ipvs.OpEditService, Service: c.cmd.Service}, err)
		}
		if err = c.cmd.KeepService(e.Service); err != nil {
			return parseFailure(err, c.program())
		}
	} else {
		_, d, err := c.readServer(ctx, id, c.cmd.Destination.AddrPort())
		if err == nil && c.movesPort() {
			err = ipvs.ErrNoDestination
		}
		if err != nil {
			return entryFailure(ipvs.Change{Op: ipvs.OpEditDestination, Service: ipvs.Service{ServiceID: id}, Destination: c.cmd.Destination}, err)
		}
		if err = c.cmd.KeepServer(d.Destination); err != nil {
			return parseFailure(err, c.program())
		}
	}
	change, _ := c.cmd.Change()
	err := c.apply(ctx, change)
	if isMissing(err) {
		// Adding the entry would undo another program's change.
		return &failure{text: refusalText(change.Op, err) + goneText, status: statusRefused, cause: err}
	}
	return err
}

// movesPort reports whether the edit sets a forwarding method that does not
// change ports for a server whose port differs from the service's. Without
// --keep the command would apply to the server with the service's port.
func (c keepCommand) movesPort() bool {
	service, server := &c.cmd.Service, &c.cmd.Destination
	return c.cmd.Given.HasAny(spec.ForwardingMethod) && server.Forward != ipvs.Masquerade && service.FWMark == 0 && server.Port != service.Port
}
