/* SPDX-License-Identifier: ISC */
#ifndef NET_ARCH_CC_H
#define NET_ARCH_CC_H

/* lwIP's view of compiler and kernel. */
#include <stdint.h>

#include "guest-kernel/kernel/console.h"
#include "guest-kernel/kernel/panic.h"
#include "guest-kernel/kernel/random.h"

#define LWIP_ERRNO_STDINCLUDE     1
#define LWIP_PLATFORM_DIAG(text)  console_line text
#define LWIP_PLATFORM_ASSERT(why) panic("lwip: %s (%s:%d)", why, __FILE__, __LINE__)
#define LWIP_RAND()               random_u32()

#endif
