// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/outfile"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

func TestEachReasonToLeaveAFileAloneHasAText(t *testing.T) {
	for r := outfile.DirOwner; r <= outfile.Changing; r++ {
		if reason(r) == "" {
			t.Errorf("%v has none", r)
		}
	}
}

func TestRefusalsAreSaidAs131SaysThem(t *testing.T) {
	const (
		noService   = "No such service"
		notDefined  = "Service not defined"
		noScheduler = "Scheduler or persistence engine not found"
		noServer    = "No such destination"
	)
	for op, texts := range map[ipvs.Op]map[syscall.Errno]string{
		ipvs.OpAddService:        {unix.EEXIST: "Service already exists", unix.ENOENT: noScheduler},
		ipvs.OpEditService:       {unix.ESRCH: noService, unix.ENOENT: noScheduler},
		ipvs.OpDeleteService:     {unix.ESRCH: noService},
		ipvs.OpZeroService:       {unix.ESRCH: noService},
		ipvs.OpAddDestination:    {unix.ESRCH: notDefined, unix.EEXIST: "Destination already exists"},
		ipvs.OpEditDestination:   {unix.ESRCH: notDefined, unix.ENOENT: noServer},
		ipvs.OpDeleteDestination: {unix.ESRCH: notDefined, unix.ENOENT: noServer},
		ipvs.OpStartDaemon:       {unix.EEXIST: "Daemon has already run", unix.ENODEV: "No such device"},
		ipvs.OpStopDaemon:        {unix.ESRCH: "No daemon is running"},
		// Errors of any command, and the C library's text for an errno
		// that has no row.
		ipvs.OpSetTimeouts: {
			unix.EINVAL:       "Invalid operation.  Possibly wrong module version, address not unicast, ...",
			unix.ENOPROTOOPT:  "Protocol not available",
			unix.ENOMEM:       "Memory allocation problem",
			unix.EOPNOTSUPP:   "Operation not supported with IPv6",
			unix.EAFNOSUPPORT: "Operation not supported with specified address family",
			unix.EMSGSIZE:     "Module is wrong version",
			unix.ERANGE:       "Numerical result out of range",
			unix.EBUSY:        "Device or resource busy",
		},
	} {
		for errno, want := range texts {
			k := newFakeKernel(t, "")
			k.Refuse = func(ipvs.Change) syscall.Errno { return errno }
			line := map[ipvs.Op]string{
				ipvs.OpAddService: "-A -f 1", ipvs.OpEditService: "-E -f 1", ipvs.OpDeleteService: "-D -f 1", ipvs.OpZeroService: "-Z -f 1",
				ipvs.OpAddDestination: "-a -f 1 -r 10.0.0.1", ipvs.OpEditDestination: "-e -f 1 -r 10.0.0.1", ipvs.OpDeleteDestination: "-d -f 1 -r 10.0.0.1",
				ipvs.OpStartDaemon: "--start-daemon master", ipvs.OpStopDaemon: "--stop-daemon master", ipvs.OpSetTimeouts: "--set 1 2 3",
			}[op]
			if got, want := k.do(t, line, "ipvsadm", "-R"), (answer{255, "", "line 1: " + want + "\n"}); got != want {
				t.Errorf("%s with %v: %+v, want %+v", line, errno, got, want)
			}
		}
	}
}
