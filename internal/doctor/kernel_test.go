// SPDX-License-Identifier: Apache-2.0

package doctor_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/doctor"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/network"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/internal/test/session"
)

func TestMain(m *testing.M) { program.Main(m) }

// natHosts is a director between clients and servers.
const natHosts = `
director ens33 inside  192.168.168.50/24 fd00:168::50/64
director ens36 outside 12.0.0.1/24 fd00:12::1/64
nginx1   ens33 inside  192.168.168.10/24 fd00:168::10/64 via 192.168.168.50 fd00:168::50
client   ens33 outside 12.0.0.10/24 fd00:12::10/64
`

const nat = `
director# sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
director# ipvsadm -A -t 12.0.0.1:80 -s rr
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:8080 -m
director# ipvsadm -A -t [fd00:12::1]:80 -s rr
director# ipvsadm -a -t [fd00:12::1]:80 -r [fd00:168::10]:8080 -m
`

// lanHosts are all on one network.
const lanHosts = `
director ens33 lan 192.168.168.50/24
nginx1   ens33 lan 192.168.168.10/24
client   ens33 lan 192.168.168.200/24 192.168.168.201/24
`

// drServer makes nginx1 a server of direct routing.
const drServer = `
nginx1# sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
nginx1# ip addr add 192.168.168.100/32 dev lo
`

const dr = drServer + `
director# ip addr add 192.168.168.100/32 dev ens33
director# ipvsadm -A -t 192.168.168.100:80 -s rr
director# ipvsadm -a -t 192.168.168.100:80 -r 192.168.168.10 -g
`

// tunHosts have the server behind a router.
const tunHosts = `
router   ens33 outside 12.0.0.1/24
router   ens36 near    10.0.1.1/24
router   ens37 far     10.0.2.1/24
director ens33 near    10.0.1.50/24 via 10.0.1.1
nginx1   ens33 far     10.0.2.10/24 via 10.0.2.1
client   ens33 outside 12.0.0.10/24 via 12.0.0.1
`

// tunServer makes nginx1 a server of IP in IP.
const tunServer = `
router# sysctl -qw net.ipv4.ip_forward=1
director# ip addr add 10.0.1.100/32 dev ens33
nginx1# sysctl -qw net.ipv4.conf.all.rp_filter=0
nginx1# ip addr add 10.0.1.100/32 dev lo
nginx1# modprobe ipip
nginx1# ip link set tunl0 up
nginx1# sysctl -qw net.ipv4.conf.tunl0.rp_filter=0
`

// scenario is a cluster in which traffic passes, or has one fault.
type scenario struct {
	name  string
	hosts string // for network.Parse
	setup string // a session
	// found are the lines that do not begin with ok.
	found string
	// traffic is the service that the client asks, "" for none. With a fault
	// it does not answer before the remedy, and does after it.
	traffic string
	// settle is a session that is run with the remedy, for what machines
	// remember of before.
	settle string
}

var scenarios = []scenario{
	{name: "NAT is sound", hosts: natHosts, setup: nat, traffic: "12.0.0.1:80"},
	{name: "direct routing is sound", hosts: lanHosts, setup: dr, traffic: "192.168.168.100:80"},
	{name: "a tunnel is sound", hosts: tunHosts, traffic: "10.0.1.100:80", setup: tunServer + `
director# ipvsadm -A -t 10.0.1.100:80 -s rr
director# ipvsadm -a -t 10.0.1.100:80 -r 10.0.2.10 -i
`, found: `
note: TCP 10.0.1.100:80: packets of more than 1480 bytes do not fit in the tunnel to 10.0.2.10: clients that get no ICMP from this director hang when they send much [mtu]
  fix: ip link set ens33 mtu 1520
`},
	{name: "a firewall mark is sound", hosts: natHosts, traffic: "12.0.0.1:80", setup: `
director# sysctl -qw net.ipv4.ip_forward=1
director# tc qdisc replace dev ens36 clsact
director# tc filter replace dev ens36 ingress protocol ip pref 1 handle 1 flower dst_ip 12.0.0.1 ip_proto tcp dst_port 80 action skbedit mark 3
director# ipvsadm -A -f 3 -s rr
director# ipvsadm -a -f 3 -r 192.168.168.10:8080 -m
`},
	{name: "forwarding is off", hosts: natHosts, setup: nat + "director# sysctl -qw net.ipv4.ip_forward=0\n", traffic: "12.0.0.1:80", found: `
error: TCP 12.0.0.1:80: IPv4 forwarding is off, so replies of servers with NAT (-m) stop here [ip-forward]
  fix: sysctl -w net.ipv4.ip_forward=1
`},
	{name: "forwarding is off for IPv6", hosts: natHosts, setup: nat + "director# sysctl -qw net.ipv6.conf.all.forwarding=0\n", traffic: "[fd00:12::1]:80", found: `
error: TCP [fd00:12::1]:80: IPv6 forwarding is off, so replies of servers with NAT (-m) stop here [ip-forward]
  fix: sysctl -w net.ipv6.conf.all.forwarding=1
`},
	{name: "forwarding is off on one interface", hosts: natHosts, setup: nat + "director# sysctl -qw net.ipv4.conf.ens33.forwarding=0\n", traffic: "12.0.0.1:80", found: `
error: TCP 12.0.0.1:80: forwarding is off on ens33, so replies of servers with NAT (-m) stop there [ip-forward]
  fix: sysctl -w net.ipv4.conf.ens33.forwarding=1
`},
	{name: "the virtual address is missing", hosts: strings.Replace(natHosts, "12.0.0.1/24", "12.0.0.2/24", 1), setup: nat, traffic: "12.0.0.1:80", found: `
error: TCP 12.0.0.1:80: 12.0.0.1 is on no interface, so packets to it do not reach IPVS [vip-local]
  fix: ip addr add 12.0.0.1/32 dev ens36
`},
	{name: "the way to the server is down", hosts: natHosts, setup: nat + "director# ip link set ens33 down\n", traffic: "12.0.0.1:80", found: `
error: TCP 12.0.0.1:80: no route leads to server 192.168.168.10: ens33, on whose network it is, is down [route]
  fix: ip link set ens33 up
error: TCP [fd00:12::1]:80: no route leads to server fd00:168::10 [route]
  fix: ip -6 route add fd00:168::10/128 via GATEWAY
`},
	{name: "a server of direct routing has a gateway", hosts: lanHosts, setup: dr + "director# ip route add 192.168.168.10/32 via 192.168.168.200\n", traffic: "192.168.168.100:80", found: `
error: TCP 192.168.168.100:80: server 192.168.168.10:80 is behind gateway 192.168.168.200, which returns packets of direct routing (-g): they keep the virtual address; ens33 is on the server's network [on-link]
  fix: ip route replace 192.168.168.10/32 dev ens33
`},
	{name: "a server of direct routing is far away", hosts: tunHosts, traffic: "10.0.1.100:80", setup: tunServer + `
director# ipvsadm -A -t 10.0.1.100:80 -s rr
director# ipvsadm -a -t 10.0.1.100:80 -r 10.0.2.10 -g
`, found: `
error: TCP 10.0.1.100:80: server 10.0.2.10:80 is behind gateway 10.0.1.1, which returns packets of direct routing (-g): they keep the virtual address; a tunnel (-i) goes through, if the server takes it [on-link]
  fix: ipvsadm -e -t 10.0.1.100:80 -r 10.0.2.10:80 -i -w 1 --tun-type ipip
`},
	{name: "all weights are zero", hosts: natHosts, setup: nat + "director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 0\n", traffic: "12.0.0.1:80", found: `
warning: TCP 12.0.0.1:80: all its servers have weight 0, so no new connection is accepted [all-weights-zero]
  fix: ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 1
`},
	{name: "replies come in by a second interface", traffic: "12.0.0.1:80", hosts: `
director ens33 inside  192.168.168.50/24
director ens34 inside  192.168.168.51/24
director ens36 outside 12.0.0.1/24
nginx1   ens33 inside  192.168.168.10/24 via 192.168.168.51
client   ens33 outside 12.0.0.10/24
`, setup: `
director# sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.ens34.rp_filter=1
director# ipvsadm -A -t 12.0.0.1:80 -s rr
director# ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:8080 -m
`, found: `
warning: TCP 12.0.0.1:80: ens34 is on the network of server 192.168.168.10 too, and drops replies that come in by it: its reverse path filter is strict, and the route to the server leads out by ens33 [rp-filter]
  fix: sysctl -w net.ipv4.conf.ens34.rp_filter=2
`},
	{name: "redirects lead past the director", hosts: lanHosts, traffic: "192.168.168.100:80", setup: `
director# sysctl -qw net.ipv4.ip_forward=1
director# ip addr add 192.168.168.100/32 dev ens33
director# ipvsadm -A -t 192.168.168.100:80 -s rr
director# ipvsadm -a -t 192.168.168.100:80 -r 192.168.168.10:8080 -m
nginx1# ip route add 192.168.168.200/32 via 192.168.168.50
lab# talk 192.168.168.100:80
`, found: `
warning: TCP 192.168.168.100:80: clients and servers are behind ens33, and ICMP redirects make servers answer clients past this director [send-redirects]
  fix: sysctl -w net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.ens33.send_redirects=0
`, settle: "nginx1# ip route flush cache\n"},
	{name: "a bridge as Docker's is sound", hosts: `
director eth0 outside 12.0.0.1/24
client   ens33 outside 12.0.0.10/24
nginx1   eth0 docker0 172.17.0.2/16 via 172.17.0.1
`, setup: `
director# sysctl -qw net.ipv4.ip_forward=1
director# ip link add docker0 type bridge
director# ip link add to0 type veth peer name to1
director# ip link set to0 master docker0 up
director# ip addr add 172.17.0.1/16 dev docker0
director# ip link set docker0 up
director# ip link set to1 netns switch
switch# ip link set to1 master docker0 up
director# ipvsadm -A -t 12.0.0.1:80 -s rr
director# ipvsadm -a -t 12.0.0.1:80 -r 172.17.0.2:8080 -m
`, traffic: "12.0.0.1:80"},
	{name: "a standby director with VRRP is sound", hosts: strings.Replace(natHosts, "12.0.0.1/24", "12.0.0.2/24", 1), setup: nat + "lab# vrrp\n", found: `
note: TCP 12.0.0.1:80: 12.0.0.1 is on no interface, as it should be while another director is active [vip-local]
`},
	{name: "a standby director with a sync daemon is sound", hosts: strings.Replace(natHosts, "12.0.0.1/24", "12.0.0.2/24", 1),
		setup: nat + "director# ipvsadm --start-daemon backup --mcast-interface ens33\n", found: `
note: TCP 12.0.0.1:80: 12.0.0.1 is on no interface, as it should be while another director is active [vip-local]
`},
	{name: "the interface of a sync daemon is down", hosts: natHosts, setup: `
director# ipvsadm --start-daemon master --mcast-interface ens33
director# ip link set ens33 down
`, found: `
error: ens33, which the master sync daemon uses, is down, so connections are not synchronized [sync-interface]
  fix: ip link set ens33 up
`},
	{name: "a tunnel is narrow", hosts: tunHosts, traffic: "", setup: tunServer + `
director# ipvsadm -A -t 10.0.1.100:80 -s rr
director# ipvsadm -a -t 10.0.1.100:80 -r 10.0.2.10 -i
director# ip route add 10.0.2.0/24 via 10.0.1.1 mtu lock 1400
`, found: `
warning: TCP 10.0.1.100:80: packets of more than 1380 bytes do not fit in the tunnel to 10.0.2.10: clients that get no ICMP from this director hang when they send much [mtu]
`},
	{name: "notes and warnings that need no traffic", hosts: natHosts, setup: `
director# sysctl -qw net.ipv4.ip_forward=1
director# sysctl -qw net.ipv4.vs.drop_entry=3 net.ipv4.vs.run_estimation=0 net.ipv4.vs.conntrack=1
director# ipvsadm -A -u 12.0.0.1:53 -s rr -p 300
director# ipvsadm -a -u 12.0.0.1:53 -r 192.168.168.10 -m
director# ipvsadm -a -u 12.0.0.1:53 -r 192.168.168.11 -m -w 0
director# ipvsadm -A -f 7
`, found: `
warning: FWM 7: it has no real servers, so connections are refused [no-servers]
  fix: ipvsadm -a -f 7 -r SERVER
warning: UDP 12.0.0.1:53: server 192.168.168.11:53 has weight 0, but persistent clients that know it still return to it [quiescent-template]
  fix: sysctl -w net.ipv4.vs.expire_quiescent_template=1
warning: net.ipv4.vs.drop_entry is 3: connections that are not established are dropped at random, always [drop-entry]
  fix: sysctl -w net.ipv4.vs.drop_entry=0
note: UDP 12.0.0.1:53: once a server is deleted, packets of its UDP clients are dropped for as long as they keep coming [nodest-conn]
  fix: sysctl -w net.ipv4.vs.expire_nodest_conn=1
note: net.ipv4.vs.run_estimation is 0, so all rates are 0 [estimator]
  fix: sysctl -w net.ipv4.vs.run_estimation=1
note: net.ipv4.vs.conntrack is 1, by default 0: 1 keeps connection tracking for balanced connections, which stateful firewall rules and SNAT of them need, and which costs time with every packet [vs-sysctl]
`},
	{name: "a server is at its threshold", hosts: natHosts, setup: nat + `
director# ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -x 1
lab# ask 12.0.0.1:80
`, traffic: "12.0.0.1:80", found: `
warning: TCP 12.0.0.1:80: server 192.168.168.10:8080 has 1 connection and an upper threshold of 1, so it gets no new ones [overloaded]
  fix: ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 1 -x 2
`},
}

func TestOnAKernel(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		program.InPath(t)
		a := program.Ask(t, "ipvsadm", "--doctor")
		const notLoaded = "note: ip_vs is not loaded, which the first command that needs it does [module]\n  fix: modprobe ip_vs\n"
		if !strings.HasPrefix(a.Stdout, notLoaded+"ok: ") || a.Status != 0 || a.Stderr != "" {
			t.Errorf("%+v", a)
		}
		if _, err := os.Stat("/sys/module/ip_vs"); err == nil {
			t.Error("the module was loaded")
		}
		guesttest.Modprobe(t, "ip_vs", "dummy")
		for _, s := range scenarios {
			t.Run(s.name, func(t *testing.T) { s.play(t) })
		}
		t.Run("settings", testSettings)
		t.Run("without the table", testWithoutTable)
		t.Run("another namespace", testNamespace)
		t.Run("a file", testFile)
	})
}

// testSettings wants a row for each setting that the kernel has, with the
// default that it has in the first namespace, and in another one.
func testSettings(t *testing.T) {
	guesttest.Modprobe(t, "ip_vs_lblc", "ip_vs_lblcr")
	w := build(t, natHosts)
	for _, host := range []string{"", "director"} {
		defaults := func() error {
			const folder = "/proc/sys/net/ipv4/vs"
			files, err := os.ReadDir(folder)
			if err != nil || len(files) < 25 {
				return fmt.Errorf("%d settings, %v", len(files), err)
			}
			for _, f := range files {
				i := slices.IndexFunc(doctor.Settings[:], func(s doctor.Setting) bool { return s.Name == f.Name() })
				if i < 0 {
					t.Errorf("%q: no row has the setting %s", host, f.Name())
					continue
				}
				value := strings.Join(strings.Fields(program.Read(t, filepath.Join(folder, f.Name()))), " ")
				if row := doctor.Settings[i]; !row.Varies && value != row.Default && !(host != "" && slices.Contains(row.Others, value)) {
					t.Errorf("%q: %s is %q, and by the row %q", host, row.Name, value, row.Default)
				}
			}
			return nil
		}
		err := defaults()
		if host != "" {
			err = network.Host{Name: host}.Do(defaults)
		}
		if err != nil {
			t.Error(err)
		}
	}
	if found, _ := w.doctor(); found != "" {
		t.Errorf("defaults are no finding:\n%s", found)
	}
}

// testWithoutTable examines a host whose table cannot be seen.
func testWithoutTable(t *testing.T) {
	w := build(t, natHosts)
	w.run(nat + "director# sysctl -qw net.ipv4.ip_forward=0 net.ipv4.vs.run_estimation=0\n")
	// Another user cannot look into the folder that this binary is in.
	out, _ := exec.Command("sh", "-c", "cp "+os.Args[0]+" /usr/local/bin/ipvsadm && exec ip netns exec director setpriv --reuid 1000 --clear-groups /usr/local/bin/ipvsadm --doctor").CombinedOutput()
	got := string(out)
	if !strings.HasPrefix(got, "without root only the host is examined, not the virtual services\nnote: net.ipv4.vs.run_estimation is 0, so all rates are 0 [estimator]\n") ||
		strings.Contains(got, "error") || !strings.Contains(got, "\nok: the kernel has IPVS [module]\n") {
		t.Error(got)
	}
}

// testNamespace examines another namespace than the program's own: its fixes
// are for there.
func testNamespace(t *testing.T) {
	w := build(t, natHosts)
	w.run(nat + "director# sysctl -qw net.ipv4.ip_forward=0\ndirector# ipvsadm -e -t [fd00:12::1]:80 -r [fd00:168::10]:8080 -m -w 0\n")
	a := program.Ask(t, "ipvsadm", "--netns", "director", "--doctor")
	const want = `error: TCP 12.0.0.1:80: IPv4 forwarding is off, so replies of servers with NAT (-m) stop here [ip-forward]
  fix: ip netns exec director sysctl -w net.ipv4.ip_forward=1
warning: TCP [fd00:12::1]:80: all its servers have weight 0, so no new connection is accepted [all-weights-zero]
  fix: ipvsadm --netns director -e -t [fd00:12::1]:80 -r [fd00:168::10]:8080 -m -w 1
`
	if a.Status != 2 || !strings.HasPrefix(a.Stdout, want+"ok: ") {
		t.Fatalf("%d %s%s", a.Status, a.Stdout, a.Stderr)
	}
	for line := range strings.Lines(want) {
		if fix, ok := strings.CutPrefix(line, "  fix: "); ok {
			program.Run(t, "sh", "-c", fix)
		}
	}
	if found, status := w.doctor(); status != 0 {
		t.Error(found)
	}
	w.passes("12.0.0.1:80")
	w.passes("[fd00:12::1]:80")
	if a := program.Ask(t, "ipvsadm", "--netns", "nowhere", "--doctor"); a.Status != 2 || a.Stdout != "" || !strings.HasPrefix(a.Stderr, "can't use network namespace nowhere: ") {
		t.Errorf("%+v", a)
	}
}

// testFile examines a table that is not there yet.
func testFile(t *testing.T) {
	w := build(t, natHosts)
	rules := filepath.Join(t.TempDir(), "rules")
	program.Write(t, rules, `-A -t 12.0.0.1:80 -s rr
-a -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 0
-A -t 12.0.0.1:81 -s foo
-a -t 12.0.0.1:81 -r 192.168.168.10:8080 -m
`)
	found, status := w.doctor(rules)
	release := strings.TrimSpace(program.Read(t, "/proc/sys/kernel/osrelease"))
	want := `error: TCP 12.0.0.1:80, TCP 12.0.0.1:81: IPv4 forwarding is off, so replies of servers with NAT (-m) stop here [ip-forward]
  fix: sysctl -w net.ipv4.ip_forward=1
error: TCP 12.0.0.1:81: Linux ` + release + ` has no module ip_vs_foo, so the service cannot be added [scheduler-module]
warning: TCP 12.0.0.1:80: all its servers have weight 0, so no new connection is accepted [all-weights-zero]
  fix: edit ` + rules + `: -a -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 1
`
	if found != want || status != 2 {
		t.Errorf("%d\n%s\nwant\n%s", status, found, want)
	}
	program.Write(t, rules, "-A -t 12.0.0.1:80 -s rr\n-a -t 12.0.0.1:81 -r 192.168.168.10 -m\n")
	a := program.Ask(t, "ipvsadm", "--doctor", rules)
	if want := rules + ": line 2: Service not defined\n"; a.Status != 2 || a.Stdout != "" || a.Stderr != want {
		t.Errorf("%+v, want %q", a, want)
	}
}

// play builds the scenario's network, examines its director, and follows the
// advice.
func (s *scenario) play(t *testing.T) {
	w := build(t, s.hosts)
	w.run(s.setup)
	found, status := w.doctor()
	if found != strings.TrimPrefix(s.found, "\n") {
		t.Fatalf("%s\nwant%s", found, s.found)
	}
	want := 0
	switch {
	case strings.HasPrefix(found, "error"):
		want = 2
	case strings.HasPrefix(found, "warning"):
		want = 1
	}
	if status != want {
		t.Errorf("status %d, want %d", status, want)
	}
	switch {
	case s.traffic != "" && want == 0:
		w.passes(s.traffic)
	case s.traffic != "":
		w.fails(s.traffic)
	}
	w.run(s.settle)
	for line := range strings.Lines(found) {
		// A word in capital letters is the operator's.
		if fix, ok := strings.CutPrefix(line, "  fix: "); ok && !blank.MatchString(fix) {
			w.run("director# " + fix)
		}
	}
	if left, status := w.doctor(); status != 0 && strings.Contains(found, "  fix: ") && !blank.MatchString(found) {
		t.Errorf("after the remedy:\n%s", left)
	}
	if s.traffic != "" && want > 0 {
		w.passes(s.traffic)
	}
}

// blank is what only an operator can fill in.
var blank = regexp.MustCompile(`\b(GATEWAY|SERVER|INTERFACE)\b`)

// world is a network with web servers.
type world struct {
	*testing.T
	hosts []network.Host
}

func build(t *testing.T, text string) world {
	w := world{t, network.Parse(text)}
	if err := network.Build(w.hosts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.Remove(w.hosts); err != nil {
			t.Error(err)
		}
	})
	for _, h := range w.hosts {
		if strings.HasPrefix(h.Name, "nginx") {
			w.serve(h, ":80")
			w.serve(h, ":8080")
		}
	}
	return w
}

// serve answers with what it is told, until the test ends.
func (w world) serve(h network.Host, address string) {
	err := h.Do(func() error {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		w.Cleanup(func() { listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					io.Copy(conn, conn)
				}()
			}
		}()
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
}

// ask makes a connection from the client to a service, on which it sends
// messages of a size and gets them back.
func (w world) ask(service string, messages, size int) error {
	const patience, pause = 500 * time.Millisecond, 100 * time.Millisecond
	return network.Host{Name: "client"}.Do(func() error {
		conn, err := net.DialTimeout("tcp", service, patience)
		if err != nil {
			return err
		}
		defer conn.Close()
		message := make([]byte, size)
		for i := range messages {
			if i > 0 {
				time.Sleep(pause)
			}
			conn.SetDeadline(time.Now().Add(patience))
			go conn.Write(message)
			if _, err := io.CopyN(io.Discard, conn, int64(size)); err != nil {
				return err
			}
		}
		return nil
	})
}

// passes wants a service to answer, though the network may need a moment.
func (w world) passes(service string) {
	w.Helper()
	var err error
	if !program.Await(5*time.Second, func() bool { err = w.ask(service, 1, 16); return err == nil }) {
		w.Fatalf("%s: %v", service, err)
	}
}

func (w world) fails(service string) {
	w.Helper()
	if w.ask(service, 1, 16) == nil {
		w.Fatalf("%s answers in spite of the fault", service)
	}
}

// run plays a session whose commands have to succeed. On the host lab, "ask"
// is a connection of the client that has to pass, and "talk" a long one that need
// not; "vrrp" is a program that speaks VRRP on the director.
func (w world) run(typed string) {
	w.Helper()
	steps, err := session.Parse(session.Host, typed)
	if err != nil {
		w.Fatal(err)
	}
	for _, step := range steps {
		if service, ok := strings.CutPrefix(step.Command, "ask "); ok && step.Host == "lab" {
			w.passes(service)
			continue
		}
		if step.Host == "lab" && step.Command == "vrrp" {
			w.vrrp()
			continue
		}
		if service, ok := strings.CutPrefix(step.Command, "talk "); ok && step.Host == "lab" {
			_ = w.ask(service, 15, 256<<10)
			continue
		}
		var out []byte
		err := network.Host{Name: step.Host}.Do(func() (err error) {
			out, err = exec.Command("sh", "-c", step.Command).CombinedOutput()
			return err
		})
		if err != nil {
			w.Fatalf("%s %s: %v\n%s", step.Prompt(), step.Command, err, out)
		}
	}
}

// vrrp listens as keepalived does.
func (w world) vrrp() {
	err := network.Host{Name: "director"}.Do(func() error {
		conn, err := net.ListenPacket("ip4:112", "0.0.0.0")
		if err == nil {
			w.Cleanup(func() { conn.Close() })
		}
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
}

// doctor examines the director and returns what is not ok.
func (w world) doctor(words ...string) (found string, status int) {
	w.Helper()
	var a program.Answer
	err := network.Host{Name: "director"}.Do(func() error {
		a = program.Here("", append([]string{"ipvsadm", "--doctor"}, words...)...)
		return nil
	})
	if err != nil || a.Stderr != "" {
		w.Fatal(err, a.Stderr)
	}
	for line := range strings.Lines(a.Stdout) {
		if !strings.HasPrefix(line, "ok: ") {
			found += line
		}
	}
	return found, a.Status
}
