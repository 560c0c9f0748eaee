// SPDX-License-Identifier: Apache-2.0

package names

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func FuzzParseHosts(f *testing.F) {
	for _, s := range []string{hostsText, servicesText, "::1 a b\r\n", "fe80::1%lo x", "10.0.0.1#x y", "10.0.0.1 a#b", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		hosts := parseHosts(text)
		var written strings.Builder
		for _, h := range hosts {
			if !h.addr.IsValid() || len(h.names) == 0 {
				t.Fatalf("parseHosts(%q) has the incomplete entry %+v", text, h)
			}
			fmt.Fprintln(&written, h.addr, strings.Join(h.names, " "))
		}
		if got := parseHosts(written.String()); !reflect.DeepEqual(got, hosts) {
			t.Errorf("parseHosts(%q) = %+v, and after a round trip %+v", text, hosts, got)
		}
	})
}

func FuzzParseServices(f *testing.F) {
	for _, s := range []string{hostsText, servicesText, "a 1//tcp b\r\n", "a 0x50/tcp", "a 65536/tcp", "a 1/", "#", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		services := parseServices(text)
		var written strings.Builder
		for _, s := range services {
			if s.name == "" || s.proto == "" {
				t.Fatalf("parseServices(%q) has the incomplete entry %+v", text, s)
			}
			fmt.Fprintf(&written, "%s %d/%s %s\n", s.name, s.port, s.proto, strings.Join(s.aliases, " "))
		}
		if got := parseServices(written.String()); !reflect.DeepEqual(got, services) {
			t.Errorf("parseServices(%q) = %+v, and after a round trip %+v", text, services, got)
		}
	})
}
