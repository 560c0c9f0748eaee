// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

// keepalivedConfig has services of all kinds. Nothing answers the checks: where
// there is one the server is taken out, or set to weight 0, and where the quorum
// is lost for that the sorry server comes in.
const keepalivedConfig = `
virtual_server 192.0.2.1 80 {
	lvs_sched wlc
	lvs_method NAT
	persistence_timeout 600
	persistence_granularity 255.255.0.0
	protocol TCP
	real_server 192.0.2.11 8080 {
		weight 3
		uthreshold 50
		lthreshold 40
	}
	real_server 192.0.2.12 8080 {
	}
}

virtual_server 192.0.2.1 443 {
	lvs_sched sh
	sh-port
	lvs_method DR
	protocol TCP
	delay_loop 1
	quorum 3
	sorry_server 192.0.2.99 443
	real_server 192.0.2.11 443 {
		weight 2
	}
	real_server 192.0.2.12 443 {
		TCP_CHECK {
			connect_timeout 1
		}
	}
}

virtual_server 192.0.2.1 5060 {
	lvs_sched rr
	lvs_method NAT
	persistence_engine sip
	persistence_timeout 60
	protocol UDP
	real_server 192.0.2.11 5060 {
	}
}

virtual_server 192.0.2.1 53 {
	lvs_sched mh
	mh-port
	mh-fallback
	ops
	lvs_method TUN
	protocol UDP
	real_server 192.0.2.11 53 {
	}
	real_server 192.0.2.12 53 {
		lvs_method TUN type gue port 6080 remcsum
	}
	real_server 2001:db8::11 53 {
		lvs_method TUN type gre csum
	}
}

virtual_server 192.0.2.1 9999 {
	lvs_sched wrr
	lvs_method NAT
	protocol SCTP
	real_server 192.0.2.11 9999 {
	}
}

virtual_server fwmark 5 {
	lvs_sched lblcr
	lvs_method TUN type gue port 6080 nocsum
	persistence_timeout 360
	real_server 192.0.2.11 {
	}
	real_server 192.0.2.12 {
		lvs_method DR
		weight 65535
	}
}

virtual_server fwmark 6 {
	lvs_sched lc
	lvs_method DR
	persistence_timeout 360
	persistence_granularity 64
	ip_family inet6
	real_server 2001:db8::11 {
	}
}

virtual_server 2001:db8::1 80 {
	lvs_sched sed
	lvs_method NAT
	protocol TCP
	delay_loop 1
	real_server 2001:db8::11 80 {
	}
	real_server 2001:db8::12 8080 {
		inhibit_on_failure
		TCP_CHECK {
			connect_timeout 1
		}
	}
}
`

const keepalivedTable = `-A -t 192.0.2.1:80 -s wlc -p 600 -M 255.255.0.0
-a -t 192.0.2.1:80 -r 192.0.2.11:8080 -m -w 3
-a -t 192.0.2.1:80 -r 192.0.2.12:8080 -m -w 1
-A -t 192.0.2.1:443 -s sh -b sh-port
-a -t 192.0.2.1:443 -r 192.0.2.99:443 -g -w 1
-A -u 192.0.2.1:53 -s mh -o -b mh-fallback,mh-port
-a -u 192.0.2.1:53 -r 192.0.2.11:53 -i -w 1 --tun-type ipip
-a -u 192.0.2.1:53 -r 192.0.2.12:53 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum
-a -u 192.0.2.1:53 -r [2001:db8::11]:53 -i -w 1 --tun-type gre --tun-csum
-A -u 192.0.2.1:5060 -s rr -p 60 --pe sip
-a -u 192.0.2.1:5060 -r 192.0.2.11:5060 -m -w 1
-A --sctp-service 192.0.2.1:9999 -s wrr
-a --sctp-service 192.0.2.1:9999 -r 192.0.2.11:9999 -m -w 1
-A -t [2001:db8::1]:80 -s sed
-a -t [2001:db8::1]:80 -r [2001:db8::11]:80 -m -w 1
-a -t [2001:db8::1]:80 -r [2001:db8::12]:8080 -m -w 0
-A -f 5 -s lblcr -p 360
-a -f 5 -r 192.0.2.11:0 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum
-a -f 5 -r 192.0.2.12:0 -g -w 65535
-A -f 6 -6 -s lc -p 360 -M 64
-a -f 6 -6 -r [2001:db8::11]:0 -g -w 1
`

// listings are the ways to look at a table.
var listings = []string{
	"ipvsadm",
	"ipvsadm -Ln",
	"ipvsadm -Ln --nosort",
	"ipvsadm -L --stats",
	"ipvsadm -Ln --stats --exact",
	"ipvsadm -Ln --rate",
	"ipvsadm -Ln --thresholds",
	"ipvsadm -Ln --persistent-conn",
	"ipvsadm -Ln --tun-info",
	"ipvsadm -Ln -t 192.0.2.1:80",
	"ipvsadm -Ln -u 192.0.2.1:53 --tun-info",
	"ipvsadm -Ln --sctp-service 192.0.2.1:9999",
	"ipvsadm -Ln -t [2001:db8::1]:80 --thresholds",
	"ipvsadm -Ln -f 5",
	"ipvsadm -L -f 6 -6",
	"ipvsadm -Ln -t 192.0.2.1:81", // not there
	"ipvsadm -Lnc",
	"ipvsadm -L --timeout",
	"ipvsadm -L --daemon",
	"ipvsadm -S",
	"ipvsadm-save -n",
}

// savedThresholds are what our save has on purpose, and the original's lacks.
var savedThresholds = regexp.MustCompile(`( -[xy] \d+)+\b`)

// testKeepalived lists what keepalived made of the table with both programs.
func (p programs) testKeepalived(t *testing.T) {
	newWorld(t)
	config := filepath.Join(t.TempDir(), "keepalived.conf")
	program.Write(t, config, keepalivedConfig)
	keepalived := startDaemon(t, "keepalived", "--check", "--dont-fork", "--log-console", "--use-file", config)
	p.await(t, keepalivedTable)
	p.inTurn(t, func(t *testing.T, _ version) (result string) {
		for _, listing := range listings {
			words := strings.Fields(listing)
			got := answer(t, append([]string{filepath.Join(place, words[0])}, words[1:]...)...)
			if strings.HasPrefix(listing, "ipvsadm -S") || words[0] == "ipvsadm-save" {
				got = savedThresholds.ReplaceAllString(got, "")
			}
			result += got
		}
		return result
	})
	keepalived.stop(t)
	p.await(t, "")
}
