// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"io"

	"github.com/ipvsadm-go/ipvsadm/internal/restore"
	"github.com/ipvsadm-go/ipvsadm/internal/strictjson"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs"
)

// readDocument reads what ipvsadm prints with --json, for a restore. Services
// stay if the document does not mention any.
func (r *restoreCommand) readDocument() error {
	check := func(number int, c ipvs.Change) error { return r.check(number, nil, c) }
	var partial bool
	var faulty *strictjson.Error
	name, f, err := readInput(r.session, r.cmd.File, func(in io.Reader) (f *restore.File, err error) {
		f, partial, err = restore.ReadJSON(in, maxText, check)
		if errors.As(err, &faulty) {
			err = nil
		}
		return f, err
	})
	if faulty != nil {
		err = &failure{text: name + ": " + faulty.Error(), status: statusUsage, quoted: true}
	}
	r.name, r.file, r.merge = name, f, r.merge || partial
	return err
}
