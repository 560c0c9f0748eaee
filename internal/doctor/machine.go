// SPDX-License-Identifier: Apache-2.0

package doctor

// The checks of the host.

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func module(c *Case) []Finding {
	switch c.Host.Modules["ip_vs"] {
	case Missing:
		return []Finding{{Text: fmt.Sprintf("Linux %s has no module ip_vs: install its modules, or a kernel with CONFIG_IP_VS; in a container, load the module on the host", c.Host.Kernel)}}
	case Available:
		return []Finding{{Level: Note, Text: "ip_vs is not loaded; the first command that needs it loads it", Fix: "modprobe ip_vs"}}
	}
	return nil
}

// noServices proposes to restore the rule file that is loaded at boot, which
// is for the initial network namespace.
func noServices(c *Case) []Finding {
	if c.Table == nil || len(c.Table.Services) > 0 {
		return nil
	}
	f := Finding{Text: "there are no virtual services, so nothing is balanced"}
	if c.File == "" && c.NetNS == "" && c.Host.RuleFile != "" {
		f.Fix = shell([]string{"ipvsadm-restore", c.Host.RuleFile})
	}
	return []Finding{f}
}

// connections returns the number of connections in the table.
func (c *Case) connections() (n uint64) {
	if c.Table == nil {
		return 0
	}
	for i := range c.Table.Services {
		for j := range c.Table.Services[i].Destinations {
			d := &c.Table.Services[i].Destinations[j].Conns
			n += uint64(d.Active) + uint64(d.Inactive)
		}
	}
	return n
}

// connTable checks the load of fixed-size tables (up to Linux 7.0), and the
// connection limit of kernels whose table grows.
func connTable(c *Case) (all []Finding) {
	const perBucket, maxBits = 8, 20
	n := c.connections()
	limit, limited := c.Host.number(vsSetting("conn_max"))
	_, grows := c.Host.number(vsSetting("conn_lfactor"))
	if buckets := uint64(c.ConnTableSize); !grows && buckets > 0 && n >= perBucket*buckets {
		f := Finding{Text: fmt.Sprintf("%d connections share %d buckets of the connection table, which slows down every packet; a new size takes effect when ip_vs is loaded again", n, buckets)}
		if size := min(bits.Len64(n), maxBits); uint64(1)<<size > buckets {
			f.Fix = fmt.Sprintf("echo options ip_vs conn_tab_bits=%d >>/etc/modprobe.d/ip_vs.conf", size)
		}
		all = append(all, f)
	}
	if limited && nearlyFull(n, uint64(limit)) {
		all = append(all, Finding{
			Text: fmt.Sprintf("there are %d of at most %d connections; beyond that, new ones are refused", n, limit),
			Fix:  c.sysctl(fmt.Sprintf("%s=%d", vsSetting("conn_max"), 2*limit)),
		})
	}
	return all
}

// nearlyFull reports whether n has reached nine tenths of a limit.
func nearlyFull(n, limit uint64) bool { return n > 0 && n >= limit-limit/10 }

func syncInterface(c *Case) (all []Finding) {
	if c.Table == nil || c.Host.Links == nil {
		return nil
	}
	for _, d := range c.Table.Daemons {
		i := slices.IndexFunc(c.Host.Links, func(l Link) bool { return l.Name == d.Interface })
		f := Finding{Text: fmt.Sprintf("the interface of the %v sync daemon, %s, ", d.State, d.Interface)}
		switch {
		case i < 0:
			f.Level = Warning
			f.Text += "does not exist, so connections are not synchronized unless it was renamed"
			f.Fix = c.restart(d, "INTERFACE")
		case works(&c.Host.Links[i]):
			continue
		case c.Host.Links[i].Up:
			f.Level = Warning
			f.Text += "has no carrier, so connections are not synchronized"
		default:
			f.Text += "is down, so connections are not synchronized"
			f.Fix = c.linkUp(d.Interface)
		}
		all = append(all, f)
	}
	return all
}

// backupOnly skips addresses that neighbors cannot see, such as those of a
// backup director that is also a real server.
func backupOnly(c *Case) []Finding {
	name := vsSetting("backup_only")
	if n, _ := c.Host.number(name); n == 0 || c.Table == nil || !c.backup() {
		return nil
	}
	for i := range c.Table.Services {
		if l := c.Host.owner(c.Table.Services[i].Addr); l != nil && l.ARP && !l.Loopback && works(l) {
			return []Finding{{Text: fmt.Sprintf("%s is 1 and a backup sync daemon runs, so this director does not balance, although it has %v", name, c.Table.Services[i].Addr)}}
		}
	}
	return nil
}

// backup reports whether a backup sync daemon runs.
func (c *Case) backup() bool {
	return slices.ContainsFunc(c.Table.Daemons, func(d ipvs.Daemon) bool { return d.State == ipvs.Backup })
}

// firewall checks policies only: rules may accept the balanced packets.
func firewall(c *Case) (all []Finding) {
	for _, chain := range c.Host.Firewall {
		all = append(all, Finding{Text: fmt.Sprintf("the chain %s drops packets by default; whether its rules accept those of virtual services was not examined", chain)})
	}
	if c.Host.LegacyFirewall {
		all = append(all, Finding{Text: "the rules of iptables-legacy were not examined"})
	}
	return all
}

func conntrack(c *Case) []Finding {
	const most = "net.netfilter.nf_conntrack_max"
	n, hasCount := c.Host.number("net.netfilter.nf_conntrack_count")
	limit, hasLimit := c.Host.number(most)
	if !hasCount || !hasLimit || limit == 0 || !nearlyFull(uint64(n), uint64(limit)) {
		return nil
	}
	// The limit applies to all namespaces.
	return []Finding{{
		Text: fmt.Sprintf("connection tracking has %d of at most %d entries; beyond that, packets are dropped before IPVS sees them", n, limit),
		Fix:  fmt.Sprintf("sysctl -w %s=%d", most, 2*limit),
	}}
}

// isDefense reports whether a setting is an active defense. One set to 1
// becomes active when memory is short, and then reads 2.
func (c *Case) isDefense(name string) bool {
	n, _ := c.Host.number(vsSetting(name))
	return n > 1 && (name == "drop_entry" || name == "drop_packet")
}

func dropEntry(c *Case) (all []Finding) {
	for _, row := range spec.Sysctls {
		if name := vsSetting(row.Name); c.isDefense(row.Name) {
			all = append(all, Finding{Text: fmt.Sprintf("%s is %s: %s", name, c.Host.setting(name), row.Meaning), Fix: c.sysctl(name + "=0")})
		}
	}
	return all
}

func estimator(c *Case) []Finding {
	name := vsSetting("run_estimation")
	if !c.Host.isZero(name) {
		return nil
	}
	return []Finding{{Text: name + " is 0, so all rates are 0", Fix: c.sysctl(name + "=1")}}
}

// vsSysctl skips settings that other checks report.
func vsSysctl(c *Case) (all []Finding) {
	for i := range spec.Sysctls {
		row := &spec.Sysctls[i]
		name := vsSetting(row.Name)
		value, ok := c.Host.Settings[name]
		if !ok || row.IsDefault(value) || row.Name == "run_estimation" && c.Host.isZero(name) || c.isDefense(row.Name) {
			continue
		}
		all = append(all, Finding{Text: fmt.Sprintf("%s is %s (default %s): %s", name, value, row.Default, row.Meaning)})
	}
	return all
}
