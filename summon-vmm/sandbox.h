/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_SANDBOX_H
#define SUMMON_VMM_SANDBOX_H

#include "base/error.h"

/* Closes every descriptor but standard error and those up to `last`. For the very beginning: what a
 * careless starter left open is nothing for a guest's monitor. */
int sandbox_close_inherited(int last, struct error *err);

/* Whose system calls the table in sandbox.c allows: one that is not allowed ends the process with
 * SIGSYS; one that the guest itself makes is an exception of the guest's. */
enum sandbox_of {
	SANDBOX_MACHINE = 1, /* a monitor with KVM, from before BOOT to its end */
	SANDBOX_SHELL = 2,   /* a monitor without, until it has made a guest */
	SANDBOX_GUEST = 4,   /* and when that shares its process: within SANDBOX_SHELL */
};

/* What a process can give up for ever: its user where it may, capabilities, core files, being looked
 * at, new descriptors beyond a few; then the first filter, SANDBOX_MACHINE or SANDBOX_SHELL. The
 * signals of descriptors have to be asked for again: they go by the user that did. */
int sandbox_enter(enum sandbox_of whose, struct error *err);

/* SANDBOX_GUEST. `tap` is what may be read and written then; -1: nothing. */
int sandbox_enter_guest(int tap, struct error *err);

#endif
