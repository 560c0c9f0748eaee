// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
)

// setInterpreter makes a program use another dynamic loader than the host's,
// one that matches its C library. The kernel reads the loader's path from the
// file offset in the PT_INTERP header, so the new path can be appended to the
// file.
func setInterpreter(path, loader string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	if len(b) < 64 || string(b[:4]) != elf.ELFMAG || elf.Class(b[elf.EI_CLASS]) != elf.ELFCLASS64 {
		return fmt.Errorf("%s is not a 64-bit ELF program", path)
	}
	name := append([]byte(loader), 0)
	const headerSize = 56 // of an Elf64_Phdr: offset at 8, file size at 32
	start, count := le.Uint64(b[32:]), int(le.Uint16(b[56:]))
	if start+uint64(count*headerSize) > uint64(len(b)) {
		return fmt.Errorf("%s: program headers end after the file", path)
	}
	for i := range count {
		header := b[start+uint64(i*headerSize):]
		if elf.ProgType(le.Uint32(header)) != elf.PT_INTERP {
			continue
		}
		if bytes.HasSuffix(b, name) {
			return nil
		}
		le.PutUint64(header[8:], uint64(len(b)))
		le.PutUint64(header[32:], uint64(len(name)))
		draft := path + ".draft"
		if err := os.WriteFile(draft, append(b, name...), 0o755); err != nil {
			return err
		}
		return os.Rename(draft, path)
	}
	return fmt.Errorf("%s names no dynamic loader", path)
}
