/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBVIRT_UNFINISHED_H
#define LAUNCHER_LIBVIRT_UNFINISHED_H

/*
 * A process that is killed while its embedded driver starts a domain leaves it half made: QEMU
 * runs, and the status file, which the next driver reads, says that its start is under way. That
 * driver lists the domain and waits for ever for its start to end; it cannot even be destroyed.
 * (libvirtd outlives us, and finishes or undoes what it began.)
 *
 * Before the driver under `root` is opened: ends what is left of such domains of this identity, and
 * removes what was being written, and the folders of domains that no status file tells of.
 * Blocks, for as long as a QEMU takes to be killed. What cannot be read is left as it is.
 */
void unfinished_remove(const char *root, const char *identity);

#endif
