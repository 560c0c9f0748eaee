// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// See stdout.go.
TEXT ipvsadm_start(SB), NOSPLIT|NOFRAME, $0
	MOVD $25, R8 // fcntl
	MOVD $1, R0
	MOVD $1, R1 // F_GETFD
	SVC
	MOVD R0, ·stdoutAtStart(SB)
	JMP  _rt0_arm64_linux(SB)
