/* SPDX-License-Identifier: ISC */
#ifndef APPS_WORK_H
#define APPS_WORK_H

#include "guest-kernel/include/app.h"

/* Computes for as long as the word work=500ms says: what an application does before it is ready, to see
 * what a template saves of it. -EINVAL, logged, where the word is something else. */
int work_before_ready(struct app *app);

#endif
