// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package netns

import (
	"errors"
	"os"
)

// Network namespaces are part of Linux: all functions fail.

func Do(string, func()) error { return errors.ErrUnsupported }

func Within(*os.File, func()) error { return errors.ErrUnsupported }

func Inode(*os.File) (uint64, error) { return 0, errors.ErrUnsupported }
