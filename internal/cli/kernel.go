// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"net/netip"
	"os"
	"os/exec"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// kernel is the part of *ipvs.Client that the program uses.
type kernel interface {
	Apply(context.Context, ...ipvs.Change) error
	Info(context.Context) (ipvs.Info, error)
	Table(context.Context) (*ipvs.Table, error)
	Totals(context.Context) (ipvs.Stats, error)
	Timeouts(context.Context) (ipvs.Timeouts, error)
	Daemons(context.Context) ([]ipvs.Daemon, error)
	Service(context.Context, ipvs.ServiceID) (ipvs.ServiceEntry, error)
	Destinations(context.Context, ipvs.ServiceID) ([]ipvs.DestinationEntry, error)
	ServicesWithDestinations(context.Context) ([]ipvs.ServiceEntry, error)
	Connections(context.Context, ipvs.ConnectionFilter) iter.Seq2[ipvs.Connection, error]
	NetNS() (uint64, error)
	Close() error
}

// connection is a session's connection to the kernel. Commands open it when
// they first need the kernel, so that those that do not work without IPVS.
type connection struct {
	config ipvs.Config
	dial   func(context.Context, ipvs.Config) (kernel, error) // loads the module if necessary
	redial func(context.Context, ipvs.Config) (kernel, error) // never loads the module
	client kernel                                             // nil while the connection is closed
}

// open connects to the kernel; its error is a *failure.
func (c *connection) open(ctx context.Context) error {
	if c.client != nil {
		return nil
	}
	k, err := c.dial(ctx, c.config)
	if err != nil {
		return initFailure(err)
	}
	c.client = k
	return nil
}

// openToRead connects to the kernel for a read-only command that 1.31 does not
// have. It does not load the module; without it the table is empty. The error
// is a *failure.
func (c *connection) openToRead(ctx context.Context) error {
	k, err := c.redial(ctx, c.config)
	switch {
	case errors.Is(err, ipvs.ErrNoIPVS):
		k = noIPVS{}
	case err != nil:
		return initFailure(err)
	}
	c.client = k
	return nil
}

// noIPVS replies like a kernel with an empty table. It does not implement
// changes.
type noIPVS struct{ kernel }

func (noIPVS) Info(context.Context) (ipvs.Info, error)                               { return ipvs.Info{}, nil }
func (noIPVS) Table(context.Context) (*ipvs.Table, error)                            { return &ipvs.Table{}, nil }
func (noIPVS) Totals(context.Context) (ipvs.Stats, error)                            { return ipvs.Stats{}, nil }
func (noIPVS) Timeouts(context.Context) (ipvs.Timeouts, error)                       { return ipvs.Timeouts{}, nil }
func (noIPVS) Daemons(context.Context) ([]ipvs.Daemon, error)                        { return nil, nil }
func (noIPVS) ServicesWithDestinations(context.Context) ([]ipvs.ServiceEntry, error) { return nil, nil }
func (noIPVS) Connections(context.Context, ipvs.ConnectionFilter) iter.Seq2[ipvs.Connection, error] {
	return func(func(ipvs.Connection, error) bool) {}
}
func (noIPVS) Service(context.Context, ipvs.ServiceID) (ipvs.ServiceEntry, error) {
	return ipvs.ServiceEntry{}, ipvs.ErrNoService
}
func (noIPVS) Close() error { return nil }

// probe connects to the kernel's IPVS and queries its version, which checks
// the user's privilege. 1.31 does so before any command. The error is a
// *failure.
func (c *connection) probe(ctx context.Context) error {
	if err := c.open(ctx); err != nil {
		return err
	}
	if _, err := c.client.Info(ctx); err != nil {
		return initFailure(err)
	}
	return nil
}

func (c *connection) close() {
	if c.client != nil {
		c.client.Close()
		c.client = nil
	}
}

// part is the part of the table to read.
type part uint8

const (
	services   part = iota // with their servers
	wholeTable             // timeouts and sync daemons, too
)

// readTable reads the kernel's table. If other programs keep changing it,
// entries may be missing: the error then matches ipvs.ErrChanging, and the
// table is valid.
func (c *connection) readTable(ctx context.Context, how part) (*ipvs.Table, error) {
	if how == wholeTable {
		return c.client.Table(ctx)
	}
	list, err := c.client.ServicesWithDestinations(ctx)
	return &ipvs.Table{Services: list}, err
}

// readService reads a service with its servers. The error matches
// ipvs.ErrChanging if servers may be missing.
func (c *connection) readService(ctx context.Context, id ipvs.ServiceID) (ipvs.ServiceEntry, error) {
	e, err := c.client.Service(ctx, id)
	if err == nil {
		e.Destinations, err = c.client.Destinations(ctx, id)
	}
	return e, err
}

// readNamed reads the service that a command line names, or the whole table if
// it names none. If the service does not exist the result is empty.
func (c *connection) readNamed(ctx context.Context, cmd *args.Command, how part) (*ipvs.Table, error) {
	if !cmd.Given.HasAny(spec.ServiceAddress) {
		return c.readTable(ctx, how)
	}
	e, err := c.readService(ctx, cmd.Service.ServiceID)
	if errors.Is(err, ipvs.ErrNoService) {
		return &ipvs.Table{}, nil
	}
	return &ipvs.Table{Services: []ipvs.ServiceEntry{e}}, err
}

// noServiceError is the error if a command line names a service and reading it
// found none, or nil.
func noServiceError(cmd *args.Command, found []ipvs.ServiceEntry) error {
	if len(found) > 0 || !cmd.Given.HasAny(spec.ServiceAddress) {
		return nil
	}
	return &ipvs.ChangeError{Change: ipvs.Change{Service: cmd.Service}, Err: ipvs.ErrNoService}
}

// readAgain reads what readNamed reads, after have, on a new connection if
// the previous one failed: a reloaded module has a new generic netlink family
// ID. If other programs keep changing the table, entries of have are kept
// until the kernel reports that they do not exist, and the error matches
// ipvs.ErrChanging.
func (c *connection) readAgain(ctx context.Context, cmd *args.Command, how part, have *ipvs.Table) (now *ipvs.Table, err error) {
	if _, absent := c.client.(noIPVS); absent {
		c.client = nil
	}
	if c.client == nil {
		client, err := c.redial(ctx, c.config)
		if err != nil {
			return nil, err
		}
		c.client = client
	}
	now, err = c.readNamed(ctx, cmd, how)
	if errors.Is(err, ipvs.ErrChanging) {
		err = cmp.Or(c.complete(ctx, have, now), err)
	}
	if err != nil && !errors.Is(err, ipvs.ErrChanging) {
		c.close()
	}
	return now, err
}

// complete copies entries of have to now unless the kernel reports that they
// do not exist.
func (c *connection) complete(ctx context.Context, have, now *ipvs.Table) error {
	listed, missing := restore.ByID(now), []ipvs.ServiceEntry(nil)
	for i := range have.Services {
		was := &have.Services[i]
		if is := listed[was.ServiceID]; is != nil {
			for _, d := range was.Destinations {
				if is.Lookup(d.AddrPort()) == nil {
					is.Destinations = append(is.Destinations, d)
				}
			}
			continue
		}
		_, err := c.client.Service(ctx, was.ServiceID)
		switch {
		case err == nil:
			missing = append(missing, *was)
		case !errors.Is(err, ipvs.ErrNoService):
			return err
		}
	}
	now.Services = append(now.Services, missing...)
	return nil
}

// readServer reads a service and finds one of its servers. If the list keeps
// changing, an existing server may be missing: the error then matches
// ipvs.ErrChanging.
func (c *connection) readServer(ctx context.Context, id ipvs.ServiceID, server netip.AddrPort) (ipvs.ServiceEntry, *ipvs.DestinationEntry, error) {
	e, err := c.readService(ctx, id)
	if err != nil && !errors.Is(err, ipvs.ErrChanging) {
		return e, nil, err
	}
	if d := e.Lookup(server); d != nil {
		return e, d, nil
	}
	return e, nil, cmp.Or(err, error(ipvs.ErrNoDestination))
}

// load connects to the kernel's IPVS and loads the module if it is missing.
func load(ctx context.Context, cfg ipvs.Config) (kernel, error) {
	k, err := connect(ctx, cfg)
	if errors.Is(err, ipvs.ErrNoIPVS) {
		modprobe := exec.CommandContext(ctx, "/sbin/modprobe", "--", "ip_vs")
		modprobe.Stderr = os.Stderr
		if modprobe.Run() == nil {
			return connect(ctx, cfg)
		}
	}
	return k, err
}

// redial connects to the kernel's IPVS if it is loaded. A query of its family
// would make the kernel load the module.
func redial(ctx context.Context, cfg ipvs.Config) (kernel, error) {
	if yes, known := loaded(); known && !yes {
		return nil, ipvs.ErrNoIPVS
	}
	return connect(ctx, cfg)
}

// loaded reports whether IPVS is loaded, and whether that is known: a /proc
// mounted with subset=pid has no /proc/net.
func loaded() (yes, known bool) {
	const net = "/proc/thread-self/net"
	if _, err := os.Stat(net + "/ip_vs"); err == nil {
		return true, true
	}
	_, err := os.Stat(net)
	return false, err == nil
}

func connect(ctx context.Context, cfg ipvs.Config) (kernel, error) {
	c, err := ipvs.Dial(ctx, cfg)
	if err != nil {
		return nil, err // not an interface that contains a nil *Client
	}
	return c, nil
}
