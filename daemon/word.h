/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_WORD_H
#define DAEMON_WORD_H

#include <stdbool.h>

struct daemon;
struct service;

/*
 * A guest's word that it is busy, for a later life of the daemon: the guest does not know that there is
 * one, and says it once. It is a symbolic link, <run_dir>/busy/<service>-<generation>, which is there or
 * not. What cannot be written is lost with this life, no more.
 */
void word_keep(const struct service *service, bool busy);
bool word_is_busy(const struct service *service);
/* After all guests of an earlier life are known: forgets those of others. */
void word_sweep(const struct daemon *daemon);

#endif
