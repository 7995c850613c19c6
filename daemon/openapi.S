/* SPDX-License-Identifier: ISC */
	.section .rodata
	.globl openapi_text
	.globl openapi_length
openapi_text:
	.incbin OPENAPI_PATH
1:
	.balign 8
openapi_length:
	.quad 1b - openapi_text
	.section .note.GNU-stack,"",@progbits
