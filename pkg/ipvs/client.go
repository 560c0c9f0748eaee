// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/netns"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// Client administers the IPVS of one network namespace over one socket. It is
// safe for concurrent use: calls take turns. All calls need CAP_NET_ADMIN in
// the initial user namespace; without it the error matches fs.ErrPermission.
//
// [Dial] returns a Client. Calls on the zero value, and after Close, fail
// with an error that matches fs.ErrClosed.
//
// A context ends the wait for the turn and for the kernel's replies; the
// client remains usable. It does not interrupt the kernel while that
// processes what was sent: see [Client.Apply].
type Client struct {
	actions
	netNS    func() (*os.File, error) // opens the client's network namespace
	family   func() (uint16, error)   // queries the number of the family again
	patience time.Duration            // Config.Patience
	mapped   bool                     // Config.IPv4Mapped

	turn   chan struct{} // semaphore that guards the fields below
	conn   *conn
	closed bool
}

func newClient(c *conn) *Client {
	client := &Client{turn: make(chan struct{}, 1), conn: c, patience: maxPatience}
	client.kernel = client
	client.family = func() (uint16, error) { return c.family, nil }
	return client
}

// Config has the options of [Dial]. The zero value selects the network
// namespace of the calling thread.
type Config struct {
	// NetNS is the network namespace of the client: a name of "ip netns", a
	// path such as /proc/42/ns/net, or a process ID. A name has precedence
	// over a process ID. Another namespace than the caller's needs
	// CAP_SYS_ADMIN.
	NetNS string
	// Patience is the time limit of a list that is repeated because the table
	// changes while it is read, after which the error is [ErrChanging]; zero
	// means three seconds. A program that polls may set less.
	Patience time.Duration
	// IPv4Mapped accepts services and destinations at IPv4-mapped addresses,
	// such as ::ffff:12.0.0.1. To the kernel those are IPv6 addresses, which
	// no packet has. Without it such changes fail with [ErrInvalid].
	IPv4Mapped bool
}

// Dial opens a client. The kernel loads the module ip_vs by its alias if it can.
// The error matches [ErrNoIPVS] if it has no IPVS, and is a *[NetNSError] if NetNS
// cannot be entered, which matches fs.ErrNotExist if there is no such namespace.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := dial(cfg)
	if err != nil {
		return nil, fmt.Errorf("open IPVS: %w", err)
	}
	return c, nil
}

// NetNS returns the inode number of the client's network namespace, which
// identifies it. It is that of /proc/PID/ns/net of the processes in it.
func (c *Client) NetNS() (uint64, error) {
	ns, err := c.openNetNS(context.Background())
	if err != nil {
		return 0, &QueryError{Query: "get network namespace", Err: err}
	}
	defer ns.Close()
	return netns.Inode(ns)
}

// openNetNS opens the client's network namespace.
func (c *Client) openNetNS(ctx context.Context) (*os.File, error) {
	if err := c.lock(ctx); err != nil {
		return nil, err
	}
	defer c.unlock()
	return c.netNS()
}

// lock waits for the client's turn; unlock ends it.
func (c *Client) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.turn == nil {
		return fs.ErrClosed // the zero Client
	}
	select {
	case c.turn <- struct{}{}:
	default:
		select {
		case c.turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if c.closed {
		c.unlock()
		return fs.ErrClosed
	}
	return nil
}

func (c *Client) unlock() { <-c.turn }

// Close closes the socket, after the query or batch that is running. It may
// be called more than once.
func (c *Client) Close() error {
	if c.turn == nil {
		return nil
	}
	c.turn <- struct{}{}
	defer c.unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	return c.conn.t.Close()
}

// Apply makes the changes in the order given, many to a system call. If the
// kernel refuses one, those after it are tried.
//
// The error is nil if the kernel accepted all, and [ChangeErrors] if it
// refused some. A change that cannot be encoded is among these, with an error
// that matches [ErrInvalid]; the others are made. Otherwise it is an
// *[ApplyError], with the progress before the context ended or the kernel
// could not be reached.
//
// Adjacent changes to one service are sent in one piece, unless there are
// thousands: the kernel makes them even if the caller is killed. Apply checks
// the context between such pieces. A piece takes milliseconds, or much longer
// right after a large table was flushed.
func (c *Client) Apply(ctx context.Context, changes ...Change) error {
	if err := c.lock(ctx); err != nil {
		return &ApplyError{Err: err}
	}
	defer c.unlock()
	valid := Change.Validate
	if c.mapped {
		valid = Change.validate
	}
	var refused ChangeErrors
	for done := 0; done < len(changes); {
		previous := len(refused)
		n, sent, err := c.conn.batch(ctx, changes, done, valid, &refused)
		if err == nil && allUnknown(refused[previous:], n) { // the module may have been loaded again
			number, lookup := c.family()
			if lookup == nil && number != c.conn.family {
				c.conn.family, refused = number, refused[:previous]
				continue
			}
			err, sent = lookup, false
		}
		if err != nil {
			e := &ApplyError{Tried: done, Sent: done, Refused: refused, Err: err}
			if sent {
				e.Sent += n
			}
			return e
		}
		done += n
	}
	if len(refused) > 0 {
		return refused
	}
	return nil
}

// allUnknown reports whether each of n changes was refused with ENOENT, the
// reply to messages of an unknown family.
func allUnknown(refused ChangeErrors, n int) bool {
	for _, e := range refused {
		if e.Err != syscall.ENOENT {
			return false
		}
	}
	return len(refused) == n
}

// withFamily calls f, and once more if the family has got another number,
// since the module was loaded again.
func (c *Client) withFamily(f func() error) error {
	err := f()
	if err != syscall.ENOENT {
		return err
	}
	number, err := c.family()
	if err != nil {
		return err
	}
	c.conn.family = number
	return f()
}

// queryOne runs a query that must have one reply.
func (c *Client) queryOne(ctx context.Context, what string, cmd uint8, id *ServiceID, decode func([]byte) error) error {
	if err := c.lock(ctx); err != nil {
		return &QueryError{Query: what, Err: err}
	}
	defer c.unlock()
	answers := 0
	err := c.withFamily(func() error {
		_, err := c.conn.query(ctx, cmd, id, false, func(b []byte) error {
			answers++
			return decode(b)
		})
		return err
	})
	if err == nil && answers == 0 {
		err = malformed("no answer")
	}
	if err != nil {
		return &QueryError{Query: what, Err: err}
	}
	return nil
}

// Info returns the version of IPVS and the size of its connection table.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var i Info
	err := c.queryOne(ctx, "get information", nl.CmdGetInfo, nil, func(b []byte) error { return decodeInfo(b, &i) })
	return i, err
}

// Timeouts returns the timeouts of connections.
func (c *Client) Timeouts(ctx context.Context) (Timeouts, error) {
	var t Timeouts
	err := c.queryOne(ctx, "get timeouts", nl.CmdGetConfig, nil, func(b []byte) error { return decodeTimeouts(b, &t) })
	return t, err
}

// Daemons returns the running sync daemons, master before backup; an empty
// list if there are none.
func (c *Client) Daemons(ctx context.Context) ([]Daemon, error) {
	daemons := []Daemon{}
	err := c.lock(ctx)
	if err == nil {
		err = c.withFamily(func() error {
			_, err := c.conn.query(ctx, nl.CmdGetDaemon, nil, true, func(b []byte) error {
				var d Daemon
				err := decodeDaemon(b, &d)
				daemons = append(daemons, d)
				return err
			})
			return err
		})
		c.unlock()
	}
	if err != nil {
		return nil, &QueryError{Query: "list daemons", Err: err}
	}
	slices.SortStableFunc(daemons, func(a, b Daemon) int { return int(a.State) - int(b.State) })
	return daemons, nil
}

// Service returns one service; its Destinations are nil. The error matches
// [ErrNoService] if there is no such service.
func (c *Client) Service(ctx context.Context, id ServiceID) (ServiceEntry, error) {
	var s ServiceEntry
	if err := id.validate(); err != nil {
		return s, &QueryError{Query: "get service", Err: err}
	}
	err := c.queryOne(ctx, "get service "+id.String(), nl.CmdGetService, &id, func(b []byte) error { return c.conn.dec.service(b, &s) })
	return s, err
}
