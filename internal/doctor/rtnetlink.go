// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Read gathers the facts about the network namespace of a name, as
// ipvs.Config.NetNS has it; empty for that of the calling thread. It ends a
// moment after ctx at the latest.
func Read(ctx context.Context, netns string, t *ipvs.Table) (h *Host, err error) {
	err = ipvs.InNetNS(netns, func() error {
		conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
		if err != nil {
			return err
		}
		defer conn.Close()
		if end, ok := ctx.Deadline(); ok {
			if err := conn.SetDeadline(end.Add(grace)); err != nil {
				return err
			}
		}
		h, err = Gather(ctx, System{os.DirFS("/"), rtnetlink{conn}}, t)
		return err
	})
	return h, err
}

// grace is how long a question may take that was asked in time.
const grace = 100 * time.Millisecond

// rtnetlink asks the kernel.
type rtnetlink struct{ conn *netlink.Conn }

func (r rtnetlink) Links() ([]Link, error) {
	const header = unix.SizeofIfInfomsg // family, type, index, flags, change
	messages, err := r.dump(unix.RTM_GETLINK, header)
	if err != nil {
		return nil, err
	}
	var links []Link
	for _, m := range messages {
		if len(m.Data) < header {
			return nil, errShort
		}
		flags := binary.NativeEndian.Uint32(m.Data[8:])
		l := Link{
			Index:    int(binary.NativeEndian.Uint32(m.Data[4:])),
			Up:       flags&unix.IFF_UP != 0,
			Loopback: flags&unix.IFF_LOOPBACK != 0,
			ARP:      flags&unix.IFF_NOARP == 0,
		}
		err := attributes(m.Data[header:], func(a *netlink.AttributeDecoder) {
			switch a.Type() {
			case unix.IFLA_IFNAME:
				l.Name = a.String()
			case unix.IFLA_MTU:
				l.MTU = int(a.Uint32())
			}
		})
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, r.addresses(links)
}

// addresses adds their addresses to links.
func (r rtnetlink) addresses(links []Link) error {
	const header = unix.SizeofIfAddrmsg // family, length, flags, scope, index
	messages, err := r.dump(unix.RTM_GETADDR, header)
	if err != nil {
		return err
	}
	byIndex := map[int]*Link{}
	for i := range links {
		byIndex[links[i].Index] = &links[i]
	}
	for _, m := range messages {
		if len(m.Data) < header {
			return errShort
		}
		link := byIndex[int(binary.NativeEndian.Uint32(m.Data[4:]))]
		if link == nil {
			continue // it came in between
		}
		// With a peer, its address is in IFA_ADDRESS; IPv6 has no other.
		var local, address netip.Addr
		err := attributes(m.Data[header:], func(a *netlink.AttributeDecoder) {
			switch a.Type() {
			case unix.IFA_LOCAL:
				local, _ = netip.AddrFromSlice(a.Bytes())
			case unix.IFA_ADDRESS:
				address, _ = netip.AddrFromSlice(a.Bytes())
			}
		})
		if err != nil {
			return err
		}
		if !local.IsValid() {
			local = address
		}
		if local.IsValid() {
			link.Prefixes = append(link.Prefixes, netip.PrefixFrom(local, int(m.Data[1])))
		}
	}
	return nil
}

func (r rtnetlink) Route(to netip.Addr) (Route, error) {
	const header = unix.SizeofRtMsg // family, lengths of destination and source, ...
	attrs := netlink.NewAttributeEncoder()
	attrs.Bytes(unix.RTA_DST, to.AsSlice())
	tail, err := attrs.Encode()
	if err != nil {
		return Route{}, err
	}
	question := make([]byte, header, header+len(tail))
	question[0], question[1] = byte(ipvs.FamilyOf(to)), byte(to.BitLen())
	messages, err := r.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETROUTE, Flags: netlink.Request},
		Data:   append(question, tail...),
	})
	switch {
	case isRefusal(err):
		return Route{Way: Nowhere}, nil
	case err != nil:
		return Route{}, fmt.Errorf("route to %v: %w", to, err)
	case len(messages) == 0 || len(messages[0].Data) < header:
		return Route{}, errShort
	}
	return decodeRoute(messages[0].Data[:header], messages[0].Data[header:])
}

// isRefusal reports whether the kernel has no route, or one that refuses: of
// the types unreachable, prohibit and blackhole.
func isRefusal(err error) bool {
	for _, errno := range [...]error{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

func decodeRoute(header, attrs []byte) (r Route, err error) {
	switch header[7] {
	case unix.RTN_UNICAST:
		r.Way = Away
	case unix.RTN_LOCAL:
		r.Way = Here
	}
	err = attributes(attrs, func(a *netlink.AttributeDecoder) {
		switch a.Type() {
		case unix.RTA_OIF:
			r.Link = int(a.Uint32())
		case unix.RTA_GATEWAY:
			r.Gateway, _ = netip.AddrFromSlice(a.Bytes())
		case unix.RTA_VIA: // a gateway of the other family, behind the family's number
			if via := a.Bytes(); len(via) > 2 {
				r.Gateway, _ = netip.AddrFromSlice(via[2:])
			}
		case unix.RTA_METRICS:
			a.Nested(func(m *netlink.AttributeDecoder) error {
				for m.Next() {
					if m.Type() == unix.RTAX_MTU {
						r.MTU = int(m.Uint32())
					}
				}
				return nil
			})
		}
	})
	return r, err
}

// dump asks for everything of a kind, in a message whose header is all zero.
func (r rtnetlink) dump(kind netlink.HeaderType, header int) ([]netlink.Message, error) {
	return r.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: kind, Flags: netlink.Request | netlink.Dump},
		Data:   make([]byte, header),
	})
}

func attributes(b []byte, do func(*netlink.AttributeDecoder)) error {
	a, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return err
	}
	for a.Next() {
		do(a)
	}
	return a.Err()
}

var errShort = errors.New("a message of rtnetlink is too short")
