/* membership.h: is another process part of our drain? Drain thread only. */
#ifndef LASTCALL_GROUP_MEMBERSHIP_H
#define LASTCALL_GROUP_MEMBERSHIP_H

#include "sys/proc.h"

enum membership {
    MEMBERSHIP_EXTERNAL,
    MEMBERSHIP_UNKNOWN, /* a relative that may soon become a member, or prove to be external */
    MEMBERSHIP_MEMBER,  /* part of our drain */
};

/* Waits, for 50 ms at most, for the pid of a child that is just being forked; and reads /proc. */
enum membership membership_of(uint64_t pid);

/* Of a process that cannot be looked into (another user's), by what is known without a wait: is it part of our drain,
 * or has it gone to a program that holds none of our listeners (what a server that gives up root keeps as root: h2o's
 * helper, haproxy's master)? */
enum proc_membership membership_of_unseen(uint64_t pid);

#endif
