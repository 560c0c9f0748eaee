// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// See stdout.go.
TEXT ipvsadm_start(SB), NOSPLIT|NOFRAME, $0
	MOVL $72, AX // fcntl
	MOVL $1, DI
	MOVL $1, SI // F_GETFD
	SYSCALL
	MOVQ AX, ·stdoutAtStart(SB)
	JMP  _rt0_amd64_linux(SB)
