/* SPDX-License-Identifier: ISC */
#ifndef KERNEL_INTERRUPTS_H
#define KERNEL_INTERRUPTS_H

/* The vectors in use. Interrupts carry no meaning here: they end a HLT, and the main loop then
 * asks every device what it has. */
enum { VECTOR_WAKE = 0x20, VECTOR_SPURIOUS = 0xff };

/* Loads a descriptor table in which all exceptions panic on a stack of their own, and the vectors
 * above. Interrupts stay disabled but for the HLT of the idle loop. */
void interrupts_init(void);

#endif
