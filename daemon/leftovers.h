/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_LEFTOVERS_H
#define DAEMON_LEFTOVERS_H

struct daemon;
struct store;

/* Removes what a daemon that was killed left in state_dir: uploads that were cut off, and sites
 * that no service in the store has. Blocks; for the beginning, when the store is this daemon's and
 * nothing is uploaded yet. What cannot be removed is logged. */
void leftovers_remove(struct daemon *daemon, struct store *store);

#endif
