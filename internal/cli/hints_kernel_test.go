// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/terminal"
)

// TestHintsOnAKernel makes common mistakes on a terminal and with a pipe.
func TestHintsOnAKernel(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		exe, err := os.Executable()
		must.OK(t, err)
		sh := func(t *testing.T, script string, stderr *os.File) (string, error) {
			t.Helper()
			cmd := exec.Command("sh", "-c", script)
			if stderr == nil {
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			cmd.Stderr = stderr
			return "", cmd.Run()
		}
		t.Setenv("PATH", "/usr/local/bin:"+os.Getenv("PATH")) // this program before the original
		// Copy the program: other users have no access to the directory
		// of the test binary.
		prepare := "cp " + exe + " /usr/local/bin/ipvsadm && ln -s ipvsadm /usr/local/bin/ipvsadm-save && echo 'hosts: files' >/etc/nsswitch.conf && echo /bin/false >/proc/sys/kernel/modprobe && mv /sbin/modprobe /sbin/modprobe.away"
		if out, err := sh(t, prepare, nil); err != nil {
			t.Fatalf("%s: %v %s", prepare, err, out)
		}
		const (
			servers = " && ip link add dummy0 type dummy && ip addr add 192.168.168.1/24 dev dummy0 && ip link set dummy0 up"
			web     = "ipvsadm -A -t 12.0.0.1:80"
			noIPVS  = "Can't initialize ipvs: Protocol not available\nAre you sure that IP Virtual Server is built in the kernel or as module?\n"
			noRoot  = "Can't initialize ipvs: Permission denied (you must be root)\nAre you sure that IP Virtual Server is built in the kernel or as module?\n"
		)
		for _, c := range []struct {
			name    string
			once    string // setup that lasts for later cases
			first   string // setup in the namespace
			line    string
			message string
			hint    string // start of the hint
		}{
			{"ip_vs is not loaded", "", "", "ipvsadm -Ln", noIPVS,
				"the module is installed; to see why it is not loaded, run modprobe ip_vs as root"},
			{"there is no ip_vs", "mount -t tmpfs none /lib/modules && rm -f /.dockerenv /run/.containerenv /run/systemd/container", "", "ipvsadm -Ln", noIPVS,
				"there is no ip_vs for this kernel, "},
			{"there is no ip_vs in a container", "touch /.dockerenv", "", "ipvsadm -Ln", noIPVS,
				"this is a container: load the module on its host"},
			{"a user who is not root", "umount /lib/modules && mv /sbin/modprobe.away /sbin/modprobe && echo /sbin/modprobe >/proc/sys/kernel/modprobe && modprobe ip_vs", "",
				"setpriv --reuid 1000 --clear-groups ipvsadm -Ln", noRoot,
				"this needs root, whether or not the module is loaded: sudo ipvsadm "},
			{"root of a container", "", "", "setpriv --inh-caps=-net_admin --bounding-set=-net_admin ipvsadm -Ln", noRoot,
				"CAP_NET_ADMIN is missing: start the container with --cap-add NET_ADMIN"},
			{"NAT without forwarding", "", web + servers + " && sysctl -qw net.ipv4.ip_forward=0", "ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m", "",
				"IPv4 forwarding is off, so replies from NAT servers (-m) do not reach clients: sysctl -w net.ipv4.ip_forward=1"},
			{"NAT with forwarding where it counts", "", web + servers + " && sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.dummy0.forwarding=1", "ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m", "", ""},
			{"NAT without forwarding in a namespace", "", "ip netns add blue && ip netns exec blue sh -c '" + "sysctl -qw net.ipv4.ip_forward=0 && ip link set lo up && " + web + servers + "'", "ipvsadm --netns blue -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m; ip netns del blue", "",
				"IPv4 forwarding is off, so replies from NAT servers (-m) do not reach clients: ip netns exec blue sysctl -w net.ipv4.ip_forward=1"},
			{"an edit of a server", "", web + " && ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 3 -x 9", "ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m", "",
				"settings that are not named are reset; with --keep this would be -e -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 3 -x 9"},
			{"an edit that makes it another", "", "ipvsadm -A -f 1 && ipvsadm -a -f 1 -r 192.168.168.10 -m", "ipvsadm -e -f 1 -r 192.168.168.10 -w 1", "",
				"settings that are not named are reset; with --keep this would be -e -f 1 -r "},
			{"an edit of a service", "", "ipvsadm -A -t 12.0.0.1:80 -s sh -b sh-port -p 300 -M 255.255.255.0", "ipvsadm -E -t 12.0.0.1:80 -s sh -p 300", "",
				"settings that are not named are reset; with --keep this would be -E -t 12.0.0.1:80 -s sh -p 300 -M 255.255.255.0 -b sh-port"},
			{"an edit that keeps the rest", "", "ipvsadm -A -t 12.0.0.1:80 -s rr -p 300", "ipvsadm -E -t 12.0.0.1:80 --keep -p 60", "", ""},
			{"an edit of its persistence", "", "ipvsadm -A -t 12.0.0.1:80 -s rr -p 300", "ipvsadm -E -t 12.0.0.1:80", "",
				"settings that are not named are reset; with --keep this would be -E -t 12.0.0.1:80 -s rr -p 300"},
			{"a server that was drained", "", web + " && ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 3 -x 9", "ipvsadm -d -t 12.0.0.1:80 -r 192.168.168.10:80 --drain 9", "",
				"to bring it back: ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 3 -x 9"},
			{"a server that was drained and stays", "", web + " && ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 3", "ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:80 --keep -w 0 --drain 9", "",
				"to bring it back: ipvsadm -e -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 3"},
			{"a service that was drained", "", web + " && ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m", "ipvsadm -D -t 12.0.0.1:80 --drain 9", "",
				"to bring it back: ipvsadm -A -t 12.0.0.1:80 -s wlc; ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:80 -m -w 1"},
			{"connections of a service that is not there", "", web, "ipvsadm -Lc -t 12.0.0.1:81 >/dev/null", "",
				"there is no virtual service TCP 12.0.0.1:81: "},
			{"connections of a mark that is not persistent", "", "ipvsadm -A -f 1", "ipvsadm -Lc -f 1 >/dev/null", "",
				"connections do not record the mark: "},
			{"a state that is misspelt", "", "true", "ipvsadm -Lc --state ESTABLISHE", "illegal connection state specified, not one of: NONE ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN SYNACK UDP INIT1 INIT COOKIE_SENT COOKIE_REPLIED COOKIE_WAIT COOKIE COOKIE_ECHOED SHUTDOWN_SENT SHUTDOWN_RECEIVED SHUTDOWN_ACK_SENT REJECTED CLOSED ASSURED\n",
				"did you mean ESTABLISHED?"},
			{"a save with words", "", "", "ipvsadm-save to file", "", "ipvsadm-save ignores to and file; use --output"},
			{"a sound director", "", "ip link set lo up && ip addr add 12.0.0.1 dev lo && ipvsadm -A -f 7 && ipvsadm -a -f 7 -r 12.0.0.1 -m && " + web + " && ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10 -m && sysctl -qw net.ipv4.ip_forward=1" + servers, "ipvsadm --doctor >/dev/null", "",
				"the servers were not examined: "},
			{"a director with a fault", "", web, "ipvsadm --doctor >/dev/null", "", ""},
			{"a namespace of users", "", "", "unshare -Ur ipvsadm -Ln", noRoot, "this is root of a user namespace"},
		} {
			if out, err := sh(t, c.once, nil); err != nil {
				t.Fatalf("%s: %v %s", c.once, err, out)
			}
			inNamespace := func(where string, body func(t *testing.T)) {
				t.Run(c.name+" "+where, func(t *testing.T) {
					guesttest.Namespace(t)
					if out, err := sh(t, c.first, nil); err != nil {
						t.Fatalf("%s: %v %s", c.first, err, out)
					}
					body(t)
				})
			}
			inNamespace("on a pipe", func(t *testing.T) {
				if got, _ := sh(t, c.line, nil); got != c.message {
					t.Errorf("%q, want %q", got, c.message)
				}
			})
			inNamespace("on a terminal", func(t *testing.T) {
				on := terminal.New(t, 80, 24)
				_, _ = sh(t, c.line, on.Slave)
				got := strings.ReplaceAll(on.Output(t), "\r", "")
				if c.hint == "" {
					if got != c.message {
						t.Errorf("%q, want no hint", got)
					}
					return
				}
				if rest, ok := strings.CutPrefix(got, c.message+"hint: "+c.hint); !ok || strings.Count(rest, "\n") != 1 { // the rest of its last line
					t.Errorf("%q, want %q", got, c.message+"hint: "+c.hint)
				}
			})
		}
	})
}
