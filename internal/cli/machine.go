// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/doctor"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// machine contains the facts that hints use in addition to the error.
type machine struct {
	files   fs.FS // the root of the file tree
	euid    int
	program string              // name of the program as called
	words   []string            // the command line
	netns   string              // network namespace of the command
	host    func() *doctor.Host // nil if the facts cannot be read
	subject
	// before is the part of the table that the command was about to change,
	// nil if it was not read.
	before *ipvs.Table
}

// subject is the table that an error concerns.
type subject struct {
	// table reads the table; it returns nil if that fails.
	table func() *ipvs.Table
	// inFile reports whether table is that of a rule file.
	inFile bool
}

// inUserNamespace reports whether the program runs in a user namespace other
// than the first: user IDs are mapped, or only some exist.
func (m machine) inUserNamespace() bool {
	users, err := fs.ReadFile(m.files, "proc/self/uid_map")
	return err == nil && !slices.Equal(strings.Fields(string(users)), []string{"0", "0", "4294967295"})
}

// facts returns the doctor's facts about the command's namespace, none if they
// cannot be read.
func (m machine) facts() *doctor.Host {
	if m.host != nil {
		if h := m.host(); h != nil {
			return h
		}
	}
	return &doctor.Host{}
}

func (s *session) machine(ctx context.Context, about subject) machine {
	return machine{
		files: os.DirFS("/"), euid: os.Geteuid(), program: s.Args[0], words: s.Args[1:], netns: s.config.NetNS,
		host: func() *doctor.Host {
			h, _ := doctor.Read(ctx, s.config.NetNS, nil, nil)
			return h
		},
		subject: about, before: s.before,
	}
}

// kernelTable reads the kernel's table for a hint, or returns nil. The number
// of reads is limited and they end at the first error, since a script may
// contain any number of refused lines.
func (s *session) kernelTable() *ipvs.Table {
	if s.client == nil || s.tableReads == maxHints {
		return nil
	}
	s.tableReads++
	ctx, cancel := context.WithTimeout(context.Background(), hintTime)
	defer cancel()
	t, err := s.readTable(ctx, wholeTable)
	if err != nil {
		s.tableReads = maxHints
		return nil
	}
	return t
}
