/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBVIRT_SAVED_H
#define LAUNCHER_LIBVIRT_SAVED_H

#include "launcher/libvirt/connection.h"

/*
 * Guests that rest on disk: one file of libvirt's each, <folder>/<identity>-<slot>-<generation>,
 * whose description holds our metadata. While the domain is active its file means nothing: it is
 * being written, or has been restored. All of these block.
 */

/* The path of a guest's file, for free(); NULL without memory. */
char *saved_path(const char *folder, const char *identity, struct instance_id id);
/* Writes the guest down, which ends its process. 0 or -1 with libvirt's error. */
int saved_make(virDomainPtr domain, const struct job *job);
/* A job for a guest that rests on disk: 0, or -1 with libvirt's error or job->error. */
int saved_job(virConnectPtr connection, struct stream_set *streams, struct job *job);
/* Adds the guests of the folder to the job's list of the active ones; removes files that mean
 * nothing. */
void saved_list(virConnectPtr connection, const struct job_context *context, struct job *job);

#endif
