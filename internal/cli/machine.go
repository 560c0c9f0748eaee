// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io/fs"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/doctor"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// machine is the context that hints use in addition to the error.
type machine struct {
	files   fs.FS // the root of the file tree
	euid    int
	program string   // the name it was called by
	words   []string // the command line
	netns   string   // the namespace that the command uses
	host    func() *doctor.Host
	subject
	// before is the part of the table that the command was about to change,
	// nil if it was not read.
	before *ipvs.Table
}

// subject is what an error is about.
type subject struct {
	// table reads the table; it returns nil if that fails.
	table func() *ipvs.Table
	// inFile reports whether table is that of a rule file.
	inFile bool
}

// inUserNamespace reports whether the program runs in a user namespace other
// than the first: user IDs are mapped, or only some exist.
func (m machine) inUserNamespace() bool {
	users, err := m.read("proc/self/uid_map")
	fields := strings.Fields(users)
	return err == nil && !(len(fields) == 3 && fields[0] == "0" && fields[1] == "0" && fields[2] == "4294967295")
}

func (m machine) read(name string) (string, error) {
	b, err := fs.ReadFile(m.files, name)
	return strings.TrimSpace(string(b)), err
}

// facts returns the doctor's facts about the command's namespace.
func (m machine) facts() *doctor.Host {
	if m.host == nil {
		return &doctor.Host{}
	}
	return m.host()
}
