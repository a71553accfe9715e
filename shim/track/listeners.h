/* listeners.h: the listeners of this process. Any thread, any signal handler. */
#ifndef LASTCALL_TRACK_LISTENERS_H
#define LASTCALL_TRACK_LISTENERS_H

#include "sys/net.h"

enum { LISTENERS_MAX = 128, LISTENER_EPOLLS = 4 };

enum listener_state {
    LISTENER_ACCEPTS,
    LISTENER_HIDDEN,    /* new connections find no listener; its queue lives on */
    LISTENER_FILTERED,  /* their SYNs are dropped */
    LISTENER_SHUT_UNIX, /* AF_UNIX: read shutdown; its queue lives on */
    LISTENER_TO_EMPTY,  /* the program accepts what there is; then the placeholder comes */
    LISTENER_TO_LEAVE, /* likewise, but what comes meanwhile is for the other processes that hold it: this one detaches */
    LISTENER_PLACEHOLDER
};

struct listener {
    int fd;
    bool live, ignored, unix_;
    bool inherited;              /* bound by another process, which has not forked this one */
    bool delegated;              /* bound here, but a worker listens on it (the primary of node's cluster) */
    bool shared;                 /* another process may hold it: we did not make it, or have forked */
    bool external;               /* ... and that process may be one that does not drain with us */
    bool held, held_by_external; /* seen so at the signal */
    bool held_by_unknown;        /* ... a process that holds it may be about to show that it drains with us */
    bool reuseport;
    uint8_t state;    /* enum listener_state */
    uint8_t swapping; /* lock of the swap for a placeholder */
    uint8_t woken;    /* accepts that were told ECONNABORTED because of it */
    uint8_t epolls;   /* sets that hold it; more than LISTENER_EPOLLS: not all are noted */
    struct {
        int fd;
        uint32_t events;
        uint64_t data;
    } epoll[LISTENER_EPOLLS];
    uint16_t port;
    uint16_t aliases;
    uint64_t inode;
    struct sock_address name; /* remembered for getsockname once the placeholder is in */
};

struct listeners {
    struct listener entry[LISTENERS_MAX];
    unsigned used;          /* entries used so far */
    uint8_t inherited_lock; /* a thread looks whether a descriptor is an inherited listener */
};
extern HIDDEN struct listeners listeners;

/* The listener under this number; NULL: it is none. */
struct listener *listeners_of(int fd);

/* An entry for a new listener, empty, not live yet; NULL: there are too many. */
struct listener *listeners_take(void);

/* Does a live listener that is ours to drain have this TCP port? */
bool listeners_have_port(uint16_t port);

/* The program's epoll_ctl(ep, op, listener, {events, data}) has succeeded: noted for the placeholder. */
void listeners_note_epoll(struct listener *l, int ep, int op, uint32_t events, uint64_t data);

/* A thread looks whether a descriptor is an inherited listener. False: another thread does. */
bool listeners_lock_inherited(void);
void listeners_unlock_inherited(void);

/* From a fork on, no listener is ours alone. */
void listeners_share(void);

void listeners_after_fork(void);

#endif
