/* SPDX-License-Identifier: ISC */
#ifndef DRIVERS_APIC_H
#define DRIVERS_APIC_H

#include <stdbool.h>
#include <stdint.h>

/* What a device writes where to raise VECTOR_WAKE by message (MSI; Intel SDM volume 3, "Message
 * Signalled Interrupts"). */
#define APIC_MESSAGE_ADDRESS 0xfee00000u
#define APIC_MESSAGE_DATA    0x20u /* VECTOR_WAKE, edge-triggered */

/* Masks the legacy interrupt controllers, enables the local APIC, starts its timer as a free
 * running counter. */
void apic_init(void);

/* Nanoseconds on the timer since apic_init(); only good until the first apic_wait() and for the
 * first four seconds. */
uint64_t apic_reference_ns(void);

/* Has the I/O APIC raise VECTOR_WAKE on a rising edge of the global interrupt `gsi`. */
void apic_enable_interrupt(unsigned gsi);

/* True where there is an I/O APIC for the interrupts from 24 on. */
bool apic_has_second(void);

/* Halts until an interrupt comes or `ns` have passed. */
void apic_wait(uint64_t ns);

#endif
