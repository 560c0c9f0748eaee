// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/manual"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// saveCommand is ipvsadm-save. Like 1.31's it ignores words that are no
// options and have no place here. -o, which is --ops in ipvsadm, is --output.
func (s *session) saveCommand(ctx context.Context) int {
	words := []string{"--save"}
	var ignored []string
	for rest := s.Args[1:]; len(rest) > 0; rest = rest[1:] {
		word := rest[0]
		file, isOutput := strings.CutPrefix(word, "-o")
		switch {
		case isOutput && file != "":
			words = append(words, "--output="+file)
		case isOutput && len(rest) > 1:
			words = append(words, "--output", rest[1])
			rest = rest[1:]
		case takesValue(word) && len(rest) > 1:
			words = append(words, word, rest[1])
			rest = rest[1:]
		case strings.HasPrefix(word, "-"):
			words = append(words, word)
		default:
			ignored = append(ignored, word)
		}
	}
	cmd, err := s.parse(ctx, words)
	if err != nil || s.wantsHelp() {
		return s.usage(spec.Save)
	}
	if len(ignored) > 0 {
		s.say(ignoredHint(ignored))
	}
	return s.report(s.save(ctx, cmd))
}

// takesValue reports whether a word is an option of the save whose value is
// the next word.
func takesValue(word string) bool {
	for _, id := range []spec.OptionID{spec.OptOutput, spec.OptUpdate, spec.OptNetNS} {
		if word == "--"+spec.FindOption(id).Long {
			return true
		}
	}
	return false
}

// restoreCommand is ipvsadm-restore.
func (s *session) restoreCommand(ctx context.Context) int {
	if s.wantsHelp() {
		return s.usage(spec.Apply)
	}
	for _, word := range s.Args[1:] {
		if isRedirection(word) {
			return s.report(redirectionFailure(word))
		}
	}
	cmd, err := s.parse(ctx, append([]string{"--apply"}, s.Args[1:]...))
	if err != nil {
		return s.report(err)
	}
	return s.apply(ctx, cmd)
}

func (s *session) wantsHelp() bool {
	return len(s.Args) == 2 && (s.Args[1] == "-h" || s.Args[1] == "--help")
}

// usage prints the help of a wrapper, for -h and for words that it does not
// know.
func (s *session) usage(id spec.CommandID) int {
	program := filepath.Base(s.Args[0])
	if s.wantsHelp() {
		return s.report(output(manual.Wrapper(s.Stdout, program, id)))
	}
	if err := manual.Wrapper(s.Stderr, program, id); err != nil {
		return s.report(outputFailure(err))
	}
	return statusList
}
