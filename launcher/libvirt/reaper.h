/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBVIRT_REAPER_H
#define LAUNCHER_LIBVIRT_REAPER_H

/*
 * The embedded driver's QEMUs are daemons: they become children of the nearest subreaper, and
 * libvirt waits for their end by looking whether the pid is still there, a zombie included. So we
 * are that subreaper, and reap them at once.
 */

/* Makes this process a subreaper. */
void reaper_prepare(void);
/* Any thread; on SIGCHLD: reaps dead QEMUs that became ours. Children that somebody in this
 * process started and waits for himself are left alone: they are of our session, these are not. */
void reaper_run(void);

#endif
