// SPDX-License-Identifier: Apache-2.0

// Package restore changes the kernel's table to match a rule file. IPVS has
// no transactions. Instead, the whole file is read and checked before the
// first change, only differences are sent, all changes to a service together,
// and remaining differences are reported.
//
// A [File] holds the lines of a rule file. [File.Wanted] returns the table
// that they describe, and [Wanted.Run] changes the kernel's table to match.
// These values are immutable: a run returns its complaints and its result.
//
// The package contains no messages, exit statuses or terminal code, and the
// caller provides the parser of a line.
package restore

import (
	"cmp"
	"context"
	"io"
	"iter"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// Parse parses the words of a line. It returns an error for a line that does
// not change the table.
type Parse func(ctx context.Context, words []string) (Rule, error)

// Check returns an error if a file must not contain the change of a line. The
// lines come in their order.
type Check func(line int, words []string, c ipvs.Change) error

// Rule is a line that changes the table.
type Rule struct {
	ipvs.Change
	// Exist makes the addition of an existing entry an edit, and ignores
	// the deletion of a missing one.
	Exist bool
}

// Complaint is about a line of a file.
type Complaint struct {
	Line int
	// Change is the refused change. Its Op is zero if Parse rejected the
	// line.
	Change ipvs.Change
	Err    error // error of Parse, ErrLongLine, or a refusal that matches an error of package ipvs
}

// MaxComplaints is the maximum number of complaints in a list.
const MaxComplaints = 100

// Complaints are the first complaints about a file, in the order of its
// lines, and the number of further ones.
type Complaints struct {
	List []Complaint
	More int
}

func (c *Complaints) add(more Complaint) {
	if len(c.List) < MaxComplaints {
		c.List = append(c.List, more)
	} else {
		c.More++
	}
}

// Any reports whether there are any complaints.
func (c Complaints) Any() bool { return len(c.List) > 0 }

func merge(a, b Complaints) Complaints {
	all := slices.Concat(a.List, b.List)
	slices.SortStableFunc(all, func(a, b Complaint) int { return a.Line - b.Line })
	n := min(len(all), MaxComplaints)
	return Complaints{all[:n], a.More + b.More + len(all) - n}
}

// File is a parsed rule file. It is immutable.
type File struct {
	// Faults are the complaints about the lines that Parse rejected.
	Faults Complaints

	lines []*line   // accepted by Parse
	last  Complaint // the last line with a command, and its fault
	paths []string  // of the lines of a JSON document; nil for a rule file
}

// line is an accepted line. Its Op is zero until a pending lookup has ended.
type line struct {
	number int
	Rule
}

// Place names a line: "line 7", or the path of a value in a JSON document.
func (f *File) Place(line int) string {
	if f.paths != nil {
		return f.paths[line]
	}
	return "line " + strconv.Itoa(line)
}

// add appends a line with a command. err is the reason if it was rejected.
func (f *File) add(number int, r Rule, err error) {
	f.last = Complaint{Line: number, Err: err}
	if err != nil {
		f.Faults.add(f.last)
		return
	}
	f.lines = append(f.lines, &line{number, r})
}

const (
	// maxBlock is the number of lines that are parsed together.
	maxBlock = 1024
	// maxParsers is the number of lines parsed at the same time. A line
	// may wait for host names.
	maxParsers = 64
)

// unparsed is a line before it is parsed. err is the reason if it is too long.
type unparsed struct {
	number int
	words  []string
	err    error
}

// Read reads a file of at most limit bytes, without a kernel. newParse returns
// a parser, of which several are used at the same time; check may be nil. It
// returns an error of r, ErrLarge, or that of ctx.
func Read(ctx context.Context, r io.Reader, limit int64, newParse func() Parse, check Check) (*File, error) {
	f := &File{}
	var block []unparsed
	var parsers []Parse
	err := readLines(r, limit, func(number int, words []string, err error) {
		block = append(block, unparsed{number, slices.Clone(words), err})
		if len(parsers) < maxParsers {
			parsers = append(parsers, newParse())
		}
		if len(block) == maxBlock {
			f.parse(ctx, block, parsers, check)
			block = block[:0]
		}
	})
	f.parse(ctx, block, parsers, check)
	return f, cmp.Or(err, ctx.Err())
}

// parse parses lines and adds them to the file.
func (f *File) parse(ctx context.Context, block []unparsed, parsers []Parse, check Check) {
	rules := make([]Rule, len(block))
	var next atomic.Int32
	var running sync.WaitGroup
	for _, parse := range parsers {
		running.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(block); i = next.Add(1) - 1 {
				if l := &block[i]; l.err == nil {
					rules[i], l.err = parse(ctx, l.words)
				}
			}
		})
	}
	running.Wait()
	for i, l := range block {
		if l.err == nil && check != nil {
			l.err = check(l.number, l.words, rules[i].Change)
		}
		f.add(l.number, rules[i], l.err)
	}
}

// Empty reports whether the file contains no command.
func (f *File) Empty() bool { return f.last.Line == 0 }

// Rules iterates over the accepted lines and their numbers.
func (f *File) Rules() iter.Seq2[int, Rule] {
	return func(yield func(int, Rule) bool) {
		for _, l := range f.lines {
			if l.number <= f.last.Line && !yield(l.number, l.Rule) {
				return
			}
		}
	}
}

// UpTo returns the part of the file that ends with the first faulty line whose
// error is fatal. Faults beyond the first MaxComplaints count as fatal.
func (f *File) UpTo(fatal func(error) bool) *File {
	list := f.Faults.List
	i := slices.IndexFunc(list, func(c Complaint) bool { return fatal(c.Err) })
	switch {
	case i < 0 && f.Faults.More == 0:
		return f
	case i < 0:
		i = len(list) - 1
	}
	return &File{Faults: Complaints{List: list[:i+1]}, lines: f.lines, last: list[i], paths: f.paths}
}
