// SPDX-License-Identifier: Apache-2.0

package names

import (
	"net/netip"
	"testing"
)

func TestNumericTextNeedsNoResolver(t *testing.T) {
	var r *Resolver
	if got := string(r.AppendAddrPort(t.Context(), nil, netip.MustParseAddrPort("[::1]:80"), "tcp", true)); got != "[::1]:80" {
		t.Errorf("AppendAddrPort without a resolver = %q", got)
	}
}
