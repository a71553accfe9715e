/* arch.h: what differs from one architecture to the next, as facts. Each has a file of these, and beside it its
 * assembly: thread_*.S here, syscall_*.S and go/entry_*.S in hook. */
#ifndef LASTCALL_ARCH_H
#define LASTCALL_ARCH_H

#if defined(__x86_64__)
#include "sys/arch_x86_64.h"
#elif defined(__aarch64__)
#include "sys/arch_aarch64.h"
#else
#error "no arch_*.h for this architecture yet"
#endif

#endif
