// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io/fs"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/doctor"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// machine is what hints consult besides the error.
type machine struct {
	files   fs.FS // the root of the file tree
	euid    int
	program string   // as it was called
	words   []string // the command line
	netns   string   // the namespace that the command works in
	host    func() *doctor.Host
	subject
	// before is the part of the table that the command was about to
	// change, nil if it was not read.
	before *ipvs.Table
}

// subject is what an error is about.
type subject struct {
	// table reads the table; it returns nil if that fails.
	table func() *ipvs.Table
	// inFile means that the table is the one that a rule file describes.
	inFile bool
}

// inUserNamespace reports whether root is another user outside, or sees only
// some of the users.
func (m machine) inUserNamespace() bool {
	users, err := m.read("proc/self/uid_map")
	fields := strings.Fields(users)
	return err == nil && !(len(fields) == 3 && fields[0] == "0" && fields[1] == "0" && fields[2] == "4294967295")
}

func (m machine) read(name string) (string, error) {
	b, err := fs.ReadFile(m.files, name)
	return strings.TrimSpace(string(b)), err
}

// facts returns the doctor's facts about the namespace that the command works
// in.
func (m machine) facts() *doctor.Host {
	if m.host == nil {
		return &doctor.Host{}
	}
	return m.host()
}
