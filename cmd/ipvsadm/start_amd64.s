// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// See start.go.
TEXT ipvsadm_start(SB), NOSPLIT|NOFRAME, $0
	MOVL $72, AX // fcntl
	MOVL $1, DI
	MOVL $1, SI // F_GETFD
	SYSCALL
	MOVQ AX, ·stdoutAtStart(SB)

	MOVL  $157, AX // prctl
	MOVL  $42, DI // PR_GET_THP_DISABLE
	XORL  SI, SI
	XORL  DX, DX
	XORL  R10, R10
	XORL  R8, R8
	SYSCALL
	TESTQ AX, AX
	JNZ   arguments
	MOVL  $157, AX
	MOVL  $41, DI // PR_SET_THP_DISABLE
	MOVL  $1, SI
	SYSCALL
	TESTQ AX, AX
	JNZ   arguments
	MOVQ  $1, ·deniedHugePages(SB)

arguments:
	// The stack has the number of arguments, their addresses, 0, those of the
	// environment, 0. All but that 0 moves down by two words, since the stack
	// has to stay aligned, and both get one address.
	MOVQ (SP), AX
	LEAQ 16(SP)(AX*8), AX

next:
	MOVQ (AX), CX
	ADDQ $8, AX
	TESTQ CX, CX
	JNZ  next
	LEAQ -8(AX), CX
	SUBQ SP, CX
	SHRQ $3, CX
	MOVQ SP, SI
	SUBQ $16, SP
	MOVQ SP, DI
	CLD
	REP; MOVSQ
	LEAQ ·oneProcessor(SB), AX
	MOVQ AX, (DI)
	MOVQ AX, 8(DI)
	JMP  _rt0_amd64_linux(SB)
