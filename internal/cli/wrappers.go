// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/args"
	"github.com/ipvsadm-go/ipvsadm/internal/manual"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// saveLine parses a command line of ipvsadm-save. Like 1.31, it ignores
// arguments that are not options. -o, which is --ops in ipvsadm, means
// --output.
func saveLine(ctx context.Context, s *session, rest []string) (args.Command, error) {
	words := []string{"--save"}
	var ignored []string
	for ; len(rest) > 0; rest = rest[1:] {
		word := rest[0]
		file, isOutput := strings.CutPrefix(word, "-o")
		switch {
		case isOutput && file != "":
			words = append(words, "--output="+strings.TrimPrefix(file, "="))
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
	if err != nil || wantsHelp(s) {
		return cmd, usage(s, spec.Save)
	}
	if len(ignored) > 0 {
		s.say(ignoredHint(ignored))
	}
	return cmd, nil
}

// takesValue reports whether a word is a long option whose value is the next
// word.
func takesValue(word string) bool {
	name, isLong := strings.CutPrefix(word, "--")
	row, found := spec.FindLong(name)
	return isLong && found && row.Value == spec.RequiredValue
}

// restoreLine parses a command line of ipvsadm-restore.
func restoreLine(ctx context.Context, s *session, words []string) (cmd args.Command, err error) {
	if wantsHelp(s) {
		return cmd, usage(s, spec.Apply)
	}
	for _, word := range words {
		if isRedirection(word) {
			return cmd, usageFailure(redirectionText, word)
		}
	}
	return s.parse(ctx, append([]string{"--apply"}, words...))
}

func wantsHelp(s *session) bool {
	return len(s.Args) == 2 && (s.Args[1] == "-h" || s.Args[1] == "--help")
}

// usage prints the help of a wrapper, after -h to standard output and after an
// unknown word to standard error.
func usage(s *session, id spec.CommandID) error {
	to, status := s.Stderr, statusList
	if wantsHelp(s) {
		to, status = s.Stdout, statusOK
	}
	if err := manual.Wrapper(to, filepath.Base(s.Args[0]), id); err != nil {
		return output(err)
	}
	return exit(status)
}
