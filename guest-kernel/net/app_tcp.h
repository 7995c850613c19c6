/* SPDX-License-Identifier: ISC */
#ifndef NET_APP_TCP_H
#define NET_APP_TCP_H

#include <stdbool.h>

/* Calls the application about every connection that has something for it. True where there is more
 * to do at once. */
bool app_tcp_run_due(void);

/* Ends every connection without a word to its other side. */
void app_tcp_drop_all(void);

#endif
