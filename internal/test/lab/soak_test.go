// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

func TestSoak(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		program.InPath(t)
		c := soak(5 * time.Second)
		m, err := c.make()
		must.OK(t, err)
		if counted, verdict := m.judge(c.scenarios[0]); verdict != "yes" {
			t.Errorf("counted %s, expected %s", counted, c.scenarios[0].expected())
		}
		for _, message := range []string{"<6>news of the kernel", "<4>a complaint of the kernel", "<4>" + stoodStill + "5 ns"} {
			must.OK(t, os.WriteFile("/dev/kmsg", []byte(message+"\n"), 0))
		}
		switch complaints, err := complaintsOfTheKernel(); {
		case err != nil:
			t.Error(err)
		case complaints != "a complaint of the kernel\n":
			t.Errorf("complaints of the kernel: %q", complaints)
		}
	}, packages...)
}

func TestMissing(t *testing.T) {
	all := strings.Join(standing, "")
	if got := missing(all); got != nil {
		t.Errorf("all rules lack %v", got)
	}
	short := strings.NewReplacer("12.0.0.1:10007 ", "", "12.0.0.1:10499 ", "").Replace(all) + "12.0.0.1:20007 1.0.0.1:100077 10007 packets"
	if got, want := missing(short), []string{"10007", "10499"}; !slices.Equal(got, want) {
		t.Errorf("missing are %v, want %v", got, want)
	}
}
