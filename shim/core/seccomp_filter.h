/* seccomp_filter.h: what a seccomp filter of the program (seccomp(2), classic BPF) would do to a system call. Pure: the
 * filter and the memory are the caller's. */
#ifndef LASTCALL_SECCOMP_FILTER_H
#define LASTCALL_SECCOMP_FILTER_H

#include "base.h"

/* struct sock_filter of linux/filter.h. */
struct seccomp_instruction {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};

enum { SECCOMP_FILTER_MAX = 4096 }; /* instructions: the kernel takes no more (BPF_MAXINSNS) */

/* What is known of the accumulator before an instruction. */
struct seccomp_state {
    uint32_t value;
    bool reached, known;
};

/* Does this filter let system call `nr` come back, whatever its arguments are: made, or refused with an error? False:
 * the call may end the process, raise SIGSYS or wait for another process; or the filter is not understood. states:
 * room for `length` of them. */
bool seccomp_filter_spares(const struct seccomp_instruction *filter, unsigned length, uint32_t arch, uint32_t nr,
                           struct seccomp_state *states);

#endif
