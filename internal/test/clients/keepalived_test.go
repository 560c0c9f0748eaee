// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

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

// listings are all ways to list a table.
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
	"ipvsadm -Ln -t 192.0.2.1:81", // does not exist
	"ipvsadm -Lnc",
	"ipvsadm -L --timeout",
	"ipvsadm -L --daemon",
	"ipvsadm -S",
	"ipvsadm-save -n",
}

// savedThresholds matches the thresholds, which only our save contains.
var savedThresholds = regexp.MustCompile(`( -[xy] \d+)+\b`)

// testKeepalived lists the table that keepalived wrote, with both programs.
func (p programs) testKeepalived(t *testing.T) {
	newWorld(t)
	keepalived := startDaemon(t, "keepalived", "--check", "--dont-fork", "--log-console", "--use-file", "testdata/keepalived.conf")
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
