// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// See start.go, and start_amd64.s for the stack.
TEXT ipvsadm_start(SB), NOSPLIT|NOFRAME, $0
	MOVD $25, R8 // fcntl
	MOVD $1, R0
	MOVD $1, R1 // F_GETFD
	SVC
	MOVD R0, ·stdoutAtStart(SB)

	MOVD $167, R8 // prctl
	MOVD $42, R0 // PR_GET_THP_DISABLE
	MOVD $0, R1
	MOVD $0, R2
	MOVD $0, R3
	MOVD $0, R4
	SVC
	CBNZ R0, arguments
	MOVD $41, R0 // PR_SET_THP_DISABLE
	MOVD $1, R1
	SVC
	CBNZ R0, arguments
	MOVD $1, R0
	MOVD R0, ·deniedHugePages(SB)

arguments:
	MOVD 0(RSP), R0
	ADD  $2, R0
	MOVD RSP, R1
	ADD  R0<<3, R1 // the environment
	MOVD RSP, R2
	SUB  $16, RSP
	MOVD RSP, R3

copy:
	MOVD.P 8(R2), R4
	MOVD.P R4, 8(R3)
	CMP    R1, R2
	BNE    copy

environment:
	MOVD.P 8(R2), R4
	CBZ    R4, end
	MOVD.P R4, 8(R3)
	B      environment

end:
	MOVD $·oneProcessor(SB), R4
	MOVD.P R4, 8(R3)
	MOVD R4, (R3)
	JMP  _rt0_arm64_linux(SB)
