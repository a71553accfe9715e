/* membership.h: what is another process to our drain? Drain thread only, but for membership_is_member. */
#ifndef LASTCALL_GROUP_MEMBERSHIP_H
#define LASTCALL_GROUP_MEMBERSHIP_H

#include "base.h"

enum membership {
    MEMBERSHIP_EXTERNAL,
    MEMBERSHIP_UNKNOWN, /* a relative that may soon show that it drains with us, or that it does not */
    MEMBERSHIP_MEMBER,  /* it drains with us */
};

/* Waits, for 50 ms at most, for the pid of a child that is just being forked; and reads /proc. */
enum membership membership_of(uint64_t pid);

/* MEMBERSHIP_MEMBER, by what is known without a wait. */
bool membership_is_member(uint64_t pid);

#endif
