// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package ipvs

import (
	"errors"
	"fmt"
)

// dial fails: IPVS is part of Linux.
func dial(Config) (*Client, error) {
	return nil, fmt.Errorf("%w: %w", ErrNoIPVS, errors.ErrUnsupported)
}
