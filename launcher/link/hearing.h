/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_HEARING_H
#define LAUNCHER_LINK_HEARING_H

/* An open tap of an isolated guest, until link_tap_narrow(), hears nothing of where other guests are: it
 * would send to them, and the bridge lets that fall. 0 or a negative errno. */
int hearing_begin(int fd);

#endif
