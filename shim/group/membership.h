/* membership.h: is another process part of our drain? Drain thread only, but for membership_is_member. */
#ifndef LASTCALL_GROUP_MEMBERSHIP_H
#define LASTCALL_GROUP_MEMBERSHIP_H

#include "base.h"

enum membership {
    MEMBERSHIP_EXTERNAL,
    MEMBERSHIP_UNKNOWN, /* a relative that may soon become a member, or prove to be external */
    MEMBERSHIP_MEMBER,  /* part of our drain */
};

/* Waits, for 50 ms at most, for the pid of a child that is just being forked; and reads /proc. */
enum membership membership_of(uint64_t pid);

/* MEMBERSHIP_MEMBER, by what is known without a wait. */
bool membership_is_member(uint64_t pid);

#endif
