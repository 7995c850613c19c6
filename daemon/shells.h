/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_SHELLS_H
#define DAEMON_SHELLS_H

/* Tells each backend how many starts it may expect at once, of how large guests: the sum of what the
 * policies in use say (option shells). Soon, and not more often than is of use. */
struct daemon;
void shells_reckon(struct daemon *daemon);

#endif
