/* SPDX-License-Identifier: ISC */
#ifndef TESTS_BACKEND_LIBVIRTD_H
#define TESTS_BACKEND_LIBVIRTD_H

#include <stdbool.h>

/*
 * A libvirtd of our own: in a mount namespace in which its folders are ours
 * (<state_dir>/daemon/...), with a socket of its own, so that it meets no other.
 */
#define LIBVIRTD_PIDS "daemon/run/qemu" /* in the state folder: its guests' pid files */

bool libvirtd_is_installed(void);
/* The text of its URI, in `uri`. */
void libvirtd_uri(char *uri, unsigned long size);
/* Starts it, and waits until it can be asked; false where it cannot be had. */
bool libvirtd_start(void);
/* SIGKILL. */
void libvirtd_kill(void);

#endif
