/* listeners.h: the listeners of this process. Any thread, any signal handler. */
#ifndef LASTCALL_TRACK_LISTENERS_H
#define LASTCALL_TRACK_LISTENERS_H

#include "core/conn.h"
#include "sys/net.h"

enum { LISTENERS_MAX = 128, LISTENER_EPOLLS = 4 };

enum listener_state {
    LISTENER_ACCEPTS,
    LISTENER_HIDDEN,    /* new connections find no listener; its queue lives on */
    LISTENER_FILTERED,  /* their SYNs are dropped */
    LISTENER_SHUT_UNIX, /* AF_UNIX: read shutdown; its queue lives on */
    LISTENER_TO_EMPTY,  /* the program accepts the clients in the queue; then the placeholder comes */
    LISTENER_TO_LEAVE,  /* likewise, but new clients are for the other processes that hold it: this process detaches */
    LISTENER_PLACEHOLDER
};

struct listener {
    uint8_t taken; /* the entry is a listener's, or about to be: a thread fills it in */
    bool live, unix_;
    bool named, ignored; /* by LASTCALL_LISTEN: one of its list; it has a list, and this is none of it */
    int fd;
    bool inherited;              /* bound by another process that is no parent of this one */
    bool delegated;              /* bound here, but a worker listens on it (the primary of node's cluster) */
    bool shared;                 /* another process may hold it: inherited, or held at a fork */
    bool external;               /* shared, and such a process may be external: no part of our drain */
    bool held, held_by_external; /* such processes were seen at the signal */
    bool held_by_unknown;        /* held by a process that may soon become a member */
    bool reuseport;
    bool grouped;     /* another server has sockets in its SO_REUSEPORT group */
    bool overflowed;  /* its queue was full: clients that the kernel knows nothing of may come, once it is stopped */
    bool told;        /* that it is left alone has been logged, or another process has been asked to */
    uint8_t spoken;   /* enum spoken: as far as this process knows */
    nsec_t moved_at;  /* when a connection was last accepted since it was stopped; 0: none */
    uint8_t stopped;  /* the state that it was stopped by; 0: it was not */
    uint8_t state;    /* enum listener_state */
    uint8_t swapping; /* lock of the swap for a placeholder */
    uint8_t woken;    /* accepts that were answered ECONNABORTED because of the swap */
    uint8_t epolls;   /* sets that hold it; more than LISTENER_EPOLLS: not all are noted */
    struct {
        int fd;
        uint32_t events;
        uint64_t data;
    } epoll[LISTENER_EPOLLS];
    uint16_t port;
    uint16_t aliases;
    uint64_t inode;
    uint32_t *accepts;        /* the group's count of them (internal.h); NULL: not asked for yet */
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

/* An entry for a new listener, empty, not live yet, and no other thread's; NULL: there are too many. */
struct listener *listeners_take(void);
/* The last descriptor of this listener is closed. */
void listeners_give_back(struct listener *l);

/* Has a live listener that drains with this process this TCP port? */
bool listeners_have_port(uint16_t port);

/* In a drain: has it been stopped, so that only clients still come that were promised to be served? */
static inline bool listeners_is_stopped(const struct listener *l)
{
    return l->state == LISTENER_HIDDEN || l->state == LISTENER_FILTERED;
}

/* The program's epoll_ctl(ep, op, listener, {events, data}) has succeeded: noted for the placeholder. */
void listeners_note_epoll(struct listener *l, int ep, int op, uint32_t events, uint64_t data);

/* A thread looks whether a descriptor is an inherited listener. False: another thread does. */
bool listeners_lock_inherited(void);
void listeners_unlock_inherited(void);

/* The number of listener l is no longer the listener's, and is about to be closed: not before a swap of that number for
 * a placeholder is over. Not for long: that is the drain thread's, or a thread's that this one has interrupted. */
void listeners_await_swap(const struct listener *l);

/* ---- what is spoken on them (core/spoken.h) ---- */

/* Where the processes of the group share what they find out; NULL: nowhere. Before the process serves. */
void listeners_share_spoken(struct spoken_table *table);
void listeners_tell_choice(const struct listener *l); /* what LASTCALL_LISTEN says of it: to the group */

/* Shall the connections of this listener be judged? */
static inline bool listeners_are_judged(const struct listener *l)
{
    return !l->named && LOAD(l->spoken) != SPOKEN_HTTP;
}

/* That table; NULL: there is none. */
struct spoken_table *listeners_shared(void);

/* A call on c, which has CONN_JUDGED, is over: has c said what is spoken on its listener? */
void listeners_judge(struct conn *c);

/* What this process knows, and what others have found out. */
enum spoken listeners_spoken(struct listener *l);
/* True for the first process that asks: it logs that l is left alone. */
bool listeners_tell(const struct listener *l);

/* Would a listener stay open if this process went to another program now? */
bool listeners_survive_exec(void);

/* From a fork on, every listener is shared. */
void listeners_share(void);
void listeners_after_fork(void);

#endif
