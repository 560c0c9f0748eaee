// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package ipvs

import (
	"errors"
	"fmt"
	"os"
)

// dial fails: IPVS is part of Linux.
func dial(Config) (*Client, error) {
	return nil, fmt.Errorf("%w: %w", ErrNoIPVS, errors.ErrUnsupported)
}

// No client exists that could ask for these.

func openProc(*os.File, string) (*os.File, error) { return nil, errors.ErrUnsupported }

func inode(*os.File) (uint64, error) { return 0, errors.ErrUnsupported }

// InNetNS fails: network namespaces are part of Linux.
func InNetNS(string, func() error) error { return errors.ErrUnsupported }
