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
	for r := outfile.FolderOwner; r <= outfile.Changing; r++ {
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
		ipvs.AddService:        {unix.EEXIST: "Service already exists", unix.ENOENT: noScheduler},
		ipvs.EditService:       {unix.ESRCH: noService, unix.ENOENT: noScheduler},
		ipvs.DeleteService:     {unix.ESRCH: noService},
		ipvs.ZeroService:       {unix.ESRCH: noService},
		ipvs.AddDestination:    {unix.ESRCH: notDefined, unix.EEXIST: "Destination already exists"},
		ipvs.EditDestination:   {unix.ESRCH: notDefined, unix.ENOENT: noServer},
		ipvs.DeleteDestination: {unix.ESRCH: notDefined, unix.ENOENT: noServer},
		ipvs.StartDaemon:       {unix.EEXIST: "Daemon has already run", unix.ENODEV: "No such device"},
		ipvs.StopDaemon:        {unix.ESRCH: "No daemon is running"},
		// Any command has these, and for what has no row the C library's text.
		ipvs.SetTimeouts: {
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
			k.refuse = func(ipvs.Change) syscall.Errno { return errno }
			line := map[ipvs.Op]string{
				ipvs.AddService: "-A -f 1", ipvs.EditService: "-E -f 1", ipvs.DeleteService: "-D -f 1", ipvs.ZeroService: "-Z -f 1",
				ipvs.AddDestination: "-a -f 1 -r 10.0.0.1", ipvs.EditDestination: "-e -f 1 -r 10.0.0.1", ipvs.DeleteDestination: "-d -f 1 -r 10.0.0.1",
				ipvs.StartDaemon: "--start-daemon master", ipvs.StopDaemon: "--stop-daemon master", ipvs.SetTimeouts: "--set 1 2 3",
			}[op]
			if got, want := k.do(t, line, "ipvsadm", "-R"), (answer{255, "", "line 1: " + want + "\n"}); got != want {
				t.Errorf("%s with %v: %+v, want %+v", line, errno, got, want)
			}
		}
	}
}
