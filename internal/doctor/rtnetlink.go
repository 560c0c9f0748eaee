// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/netns"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Read gathers the facts about a network namespace, named as in
// ipvs.Config.NetNS; empty for that of the calling thread. It returns shortly
// after ctx ends at the latest. Checks look up routes until ctx ends.
func Read(ctx context.Context, namespace string, t *ipvs.Table, connections iter.Seq2[ipvs.Connection, error]) (h *Host, err error) {
	if e := netns.Do(namespace, func() { h, err = read(ctx, t, connections) }); e != nil {
		return nil, &ipvs.NetNSError{NetNS: namespace, Err: e}
	}
	return h, err
}

func read(ctx context.Context, t *ipvs.Table, connections iter.Seq2[ipvs.Connection, error]) (*Host, error) {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline.Add(grace)); err != nil {
			return nil, err
		}
	}
	// Without this option, the kernel ignores filters of dumps.
	_ = conn.SetOption(netlink.GetStrictCheck, true)
	return Gather(ctx, System{os.DirFS("/"), rtnetlink{conn}, connections}, t)
}

// ReadSetting returns one setting of a network namespace as sysctl(8) prints
// it; empty if that fails.
func ReadSetting(namespace, name string) (value string) {
	_ = netns.Do(namespace, func() { value = System{Files: os.DirFS("/")}.word(settingFile(name)) })
	return value
}

// grace is how long a query sent before the deadline may take.
const grace = 100 * time.Millisecond

// rtnetlink implements Net with netlink requests to the kernel.
type rtnetlink struct{ conn *netlink.Conn }

func (r rtnetlink) Links() (links []Link, err error) {
	err = r.dump(unix.RTM_GETLINK, make([]byte, unix.SizeofIfInfomsg), func(header []byte, a *netlink.AttributeDecoder) {
		flags := binary.NativeEndian.Uint32(header[8:])
		l := Link{
			Index:    int(binary.NativeEndian.Uint32(header[4:])),
			Up:       flags&unix.IFF_UP != 0,
			Carrier:  flags&unix.IFF_LOWER_UP != 0,
			Loopback: flags&unix.IFF_LOOPBACK != 0,
			ARP:      flags&unix.IFF_NOARP == 0,
		}
		for a.Next() {
			switch a.Type() {
			case unix.IFLA_IFNAME:
				l.Name = a.String()
			case unix.IFLA_MTU:
				l.MTU = int(a.Uint32())
			case unix.IFLA_MASTER:
				l.Master = int(a.Uint32())
			case unix.IFLA_LINKINFO:
				nested(a, func(info *netlink.AttributeDecoder) {
					if info.Type() == unix.IFLA_INFO_KIND {
						l.Kind = info.String()
					}
				})
			}
		}
		links = append(links, l)
	})
	if err != nil {
		return nil, err
	}
	return links, r.addresses(links)
}

// addresses sets the addresses of links.
func (r rtnetlink) addresses(links []Link) error {
	byIndex := map[int]*Link{}
	for i := range links {
		byIndex[links[i].Index] = &links[i]
	}
	return r.dump(unix.RTM_GETADDR, make([]byte, unix.SizeofIfAddrmsg), func(header []byte, a *netlink.AttributeDecoder) {
		link := byIndex[int(binary.NativeEndian.Uint32(header[4:]))]
		// IFA_ADDRESS is the peer's address if there is one. IPv6 addresses
		// without a peer have no IFA_LOCAL.
		var local, address netip.Addr
		for a.Next() {
			switch a.Type() {
			case unix.IFA_LOCAL:
				local = addrOf(a)
			case unix.IFA_ADDRESS:
				address = addrOf(a)
			}
		}
		if !local.IsValid() {
			local = address
		}
		if link == nil || !local.IsValid() {
			return // the interface is newer than links
		}
		link.Prefixes = append(link.Prefixes, netip.PrefixFrom(local, int(header[1])))
		if header[2]&unix.IFA_F_DADFAILED != 0 {
			link.Failed = append(link.Failed, local)
		}
	})
}

func (r rtnetlink) Neighbors() (map[Neighbor]uint16, error) {
	states := map[Neighbor]uint16{}
	err := r.dump(unix.RTM_GETNEIGH, make([]byte, unix.SizeofNdMsg), func(header []byte, a *netlink.AttributeDecoder) {
		n := Neighbor{Link: int(binary.NativeEndian.Uint32(header[4:]))}
		for a.Next() {
			if a.Type() == unix.NDA_DST {
				n.Addr = addrOf(a)
			}
		}
		states[n] = binary.NativeEndian.Uint16(header[8:])
	})
	if err != nil {
		return nil, err
	}
	return states, nil
}

// refusals maps errors of route lookups to ways.
var refusals = [...]struct {
	errno error
	way   Way
}{
	{unix.ENETUNREACH, Nowhere}, {unix.EHOSTUNREACH, Unreachable}, {unix.EACCES, Prohibited}, {unix.EINVAL, Blackhole}, {unix.EXDEV, Spoofed},
}

// ways maps route types to ways.
var ways = map[byte]Way{
	unix.RTN_UNICAST: Away, unix.RTN_LOCAL: Here, unix.RTN_ANYCAST: Here, unix.RTN_BROADCAST: Group, unix.RTN_MULTICAST: Group,
	unix.RTN_BLACKHOLE: Blackhole, unix.RTN_UNREACHABLE: Unreachable, unix.RTN_PROHIBIT: Prohibited,
}

func (r rtnetlink) Route(q Query) (found Route, err error) {
	attrs := netlink.NewAttributeEncoder()
	attrs.Bytes(unix.RTA_DST, q.To.AsSlice())
	request := make([]byte, unix.SizeofRtMsg) // family, lengths of destination and source, ...
	request[0], request[1] = byte(ipvs.FamilyOf(q.To)), byte(q.To.BitLen())
	if q.In != 0 {
		attrs.Bytes(unix.RTA_SRC, q.From.AsSlice())
		attrs.Uint32(unix.RTA_IIF, uint32(q.In))
		request[2] = byte(q.From.BitLen())
	}
	if q.Entry {
		binary.NativeEndian.PutUint32(request[8:], unix.RTM_F_FIB_MATCH)
	}
	tail, err := attrs.Encode()
	if err != nil {
		return Route{}, err
	}
	err = r.execute(unix.RTM_GETROUTE, 0, request, tail, func(header []byte, a *netlink.AttributeDecoder) {
		found.Way, found.Bits = ways[header[7]], int(header[1])
		for a.Next() {
			switch a.Type() {
			case unix.RTA_OIF:
				found.Link = int(a.Uint32())
			case unix.RTA_GATEWAY:
				found.Gateway = addrOf(a)
			case unix.RTA_VIA: // a gateway of the other family, after its family number
				if via := a.Bytes(); len(via) > 2 {
					found.Gateway, _ = netip.AddrFromSlice(via[2:])
				}
			case unix.RTA_METRICS:
				nested(a, func(m *netlink.AttributeDecoder) {
					if m.Type() == unix.RTAX_MTU {
						found.MTU = int(m.Uint32())
					}
				})
			}
		}
	})
	for _, refusal := range refusals {
		if errors.Is(err, refusal.errno) {
			return Route{Way: refusal.way}, nil
		}
	}
	return found, err
}

func (r rtnetlink) Local() (local []netip.Prefix, err error) {
	for _, unspecified := range [...]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		request := make([]byte, unix.SizeofRtMsg)
		request[0], request[7] = byte(ipvs.FamilyOf(unspecified)), unix.RTN_LOCAL
		err := r.dump(unix.RTM_GETROUTE, request, func(header []byte, a *netlink.AttributeDecoder) {
			to := unspecified
			for a.Next() {
				if a.Type() == unix.RTA_DST {
					to = addrOf(a)
				}
			}
			if header[7] == unix.RTN_LOCAL {
				local = append(local, netip.PrefixFrom(to, int(header[1])))
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return local, nil
}

func (r rtnetlink) Chains() ([]string, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(grace)); err != nil {
		return nil, err
	}
	const drop, accept = 0, 1
	families := map[byte]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6"}
	drops := []string{}
	request := make([]byte, 4) // family, version, resource
	err = rtnetlink{conn}.dump(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETCHAIN, request, func(header []byte, a *netlink.AttributeDecoder) {
		var table, name string
		policy, hook := uint32(accept), ^uint32(0)
		for a.ByteOrder = binary.BigEndian; a.Next(); {
			switch a.Type() {
			case unix.NFTA_CHAIN_TABLE:
				table = a.String()
			case unix.NFTA_CHAIN_NAME:
				name = a.String()
			case unix.NFTA_CHAIN_POLICY:
				policy = a.Uint32()
			case unix.NFTA_CHAIN_HOOK:
				nested(a, func(h *netlink.AttributeDecoder) {
					if h.Type() == unix.NFTA_HOOK_HOOKNUM {
						hook = h.Uint32()
					}
				})
			}
		}
		if family := families[header[0]]; family != "" && policy == drop && (hook == unix.NF_INET_LOCAL_IN || hook == unix.NF_INET_FORWARD) {
			drops = append(drops, family+" "+table+" "+name)
		}
	})
	return drops, err
}

// dump requests all objects of a kind that match a header, and calls do with
// the header and the attributes of each reply.
func (r rtnetlink) dump(kind netlink.HeaderType, header []byte, do func([]byte, *netlink.AttributeDecoder)) error {
	return r.execute(kind, netlink.Dump, header, nil, do)
}

func (r rtnetlink) execute(kind netlink.HeaderType, flags netlink.HeaderFlags, header, tail []byte, do func([]byte, *netlink.AttributeDecoder)) error {
	messages, err := r.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: kind, Flags: netlink.Request | flags},
		Data:   slices.Concat(header, tail),
	})
	if err != nil {
		return err
	}
	n := len(header)
	for _, m := range messages {
		if len(m.Data) < n {
			return errors.New("a message of rtnetlink is too short")
		}
		a, err := netlink.NewAttributeDecoder(m.Data[n:])
		if err != nil {
			return err
		}
		do(m.Data[:n], a)
		if err := a.Err(); err != nil {
			return err
		}
	}
	return nil
}

// nested calls do for each attribute within the current one.
func nested(a *netlink.AttributeDecoder, do func(*netlink.AttributeDecoder)) {
	a.Nested(func(inner *netlink.AttributeDecoder) error {
		for inner.ByteOrder = a.ByteOrder; inner.Next(); {
			do(inner)
		}
		return nil
	})
}

// addrOf returns the address that an attribute contains.
func addrOf(a *netlink.AttributeDecoder) netip.Addr {
	addr, _ := netip.AddrFromSlice(a.Bytes())
	return addr
}
