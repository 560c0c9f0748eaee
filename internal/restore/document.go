// SPDX-License-Identifier: Apache-2.0

package restore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ipvsadm-go/ipvsadm/internal/strictjson"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// document is the output of ipvsadm's lists with --json, one or several in
// one object. A missing part leaves that part of the table unchanged.
type document struct {
	Version       *int               `json:"json_schema_version"`
	IPVS          any                `json:"ipvs_version"`
	ConnTableSize any                `json:"connection_table_size"`
	Services      *[]json.RawMessage `json:"services"`
	TCP           uint32             `json:"tcp"`
	TCPFin        uint32             `json:"tcp_fin"`
	UDP           uint32             `json:"udp"`
	Daemons       *[]ipvs.Daemon     `json:"daemons"`
}

// ReadJSON reads a document of at most limit bytes, and passes each change to
// check, which may refuse it. The lines of the file are numbered from 1 on, and
// File.Place returns their paths. partial means that the document does not
// mention services. The error is a *strictjson.Error for a document that cannot
// be read as a whole.
func ReadJSON(r io.Reader, limit int64, check func(line int, c ipvs.Change) error) (f *File, partial bool, err error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, false, err
	}
	if int64(len(text)) > limit {
		return nil, false, ErrLarge
	}
	var d document
	if err := strictjson.Unmarshal(text, &d); err != nil {
		return nil, false, err
	}
	switch {
	case d.Version == nil:
		return nil, false, &strictjson.Error{Path: "json_schema_version", Err: errors.New("it is missing")}
	case *d.Version != 1:
		return nil, false, &strictjson.Error{Path: "json_schema_version", Err: fmt.Errorf("%d, want 1", *d.Version)}
	}
	f = &File{paths: []string{""}}
	add := func(path string, c ipvs.Change, exist bool, err error) {
		number := len(f.paths)
		f.paths = append(f.paths, path)
		if err != nil {
			err = strictjson.At(path, err)
		} else {
			err = check(number, c)
		}
		f.add(number, Rule{c, exist}, err)
	}
	t := ipvs.Timeouts{TCP: time.Duration(d.TCP) * time.Second, TCPFin: time.Duration(d.TCPFin) * time.Second, UDP: time.Duration(d.UDP) * time.Second}
	if t != (ipvs.Timeouts{}) {
		add("timeouts", ipvs.Change{Op: ipvs.OpSetTimeouts, Timeouts: t}, false, nil)
	}
	if d.Services != nil {
		f.last.Line = max(f.last.Line, 1) // an empty list is a command
		for i, text := range *d.Services {
			addService(fmt.Sprintf("services[%d]", i), text, add)
		}
	}
	if d.Daemons != nil {
		f.last.Line = max(f.last.Line, 1)
		listed := map[ipvs.DaemonState]bool{}
		for _, daemon := range *d.Daemons {
			listed[daemon.State] = true
		}
		for _, state := range []ipvs.DaemonState{ipvs.Master, ipvs.Backup} {
			if !listed[state] {
				add("daemons", ipvs.Change{Op: ipvs.OpStopDaemon, Daemon: ipvs.Daemon{State: state}}, true, nil)
			}
		}
		for i, daemon := range *d.Daemons {
			var err error
			if daemon.State == 0 {
				err = &strictjson.Error{Path: "state", Err: errors.New("it is missing")}
			}
			add(fmt.Sprintf("daemons[%d]", i), ipvs.Change{Op: ipvs.OpStartDaemon, Daemon: daemon}, false, err)
		}
	}
	return f, d.Services == nil, nil
}

// addService adds a service and its destinations. Counters are not parsed.
func addService(path string, text json.RawMessage, add func(path string, c ipvs.Change, exist bool, err error)) {
	c := ipvs.Change{Op: ipvs.OpAddService}
	err := c.Service.UnmarshalJSON(text)
	add(path, c, false, err)
	if err != nil {
		return
	}
	var list struct {
		Destinations []json.RawMessage `json:"destinations"`
	}
	if json.Unmarshal(text, &list) != nil {
		add(path+".destinations", c, false, errors.New("want array"))
	}
	id := c.Service.ServiceID
	for i, text := range list.Destinations {
		c := ipvs.Change{Op: ipvs.OpAddDestination, Service: ipvs.Service{ServiceID: id}}
		err := c.Destination.UnmarshalJSON(text)
		switch c.Destination.Forward {
		case ipvs.LocalNode: // the kernel lists its own addresses so
			c.Destination.Forward = ipvs.Route
		case ipvs.Bypass:
			err = &strictjson.Error{Path: "forward", Err: errors.New(`"bypass" cannot be restored`)}
		}
		add(fmt.Sprintf("%s.destinations[%d]", path, i), c, false, err)
	}
}
