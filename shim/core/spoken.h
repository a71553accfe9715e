/* spoken.h: what is spoken on a listener: HTTP or a related protocol, which a drain can wait for, or plainly something
 * else, which is left alone (DESIGN section 9.9).
 *
 * Pure. A connection is judged by the first bytes of both sides; its listener by its connections: one that is plainly
 * HTTP makes the listener HTTP for good, whatever others have said before. What the processes of a group find out is
 * kept in a table that they share: the process that accepts may not be the one that reads (one process per
 * connection). */
#ifndef LASTCALL_SPOKEN_H
#define LASTCALL_SPOKEN_H

#include "base.h"

/* Only ever moves down this list. */
enum spoken {
    SPOKEN_UNKNOWN,
    SPOKEN_OTHER, /* plainly not HTTP */
    SPOKEN_HTTP,  /* HTTP, TLS, FastCGI, SCGI, uwsgi */
};

/* What one side of a connection has said first. */
enum spoken_first {
    FIRST_NOTHING, /* no byte yet, or too few */
    FIRST_EITHER,  /* it cannot be told: unseen, or HTTP that nobody reads alike */
    FIRST_OTHER,   /* plainly not HTTP */
    FIRST_RELATED, /* TLS, HTTP/2, FastCGI; of a client also SCGI, uwsgi */
    FIRST_HTTP,    /* HTTP/1 */
};

/* A server's first n > 0 bytes. */
enum spoken_first spoken_first_of_server(const uint8_t *s, size_t n);

/* The n first bytes of a client's line that is no HTTP/1 request: is it plainly none? No server may answer what has the
 * method and the target, or the version, of HTTP by anything else: such a line says nothing. */
enum spoken_first spoken_first_of_client(const uint8_t *s, size_t n);

/* What these two say of their listener. unix_: AF_UNIX. There the client's first bytes suffice, since such a listener
 * is drained only where it is HTTP. On TCP anybody may send anything: the server's answer has to agree. */
enum spoken spoken_judge(enum spoken_first client, enum spoken_first server, bool unix_);

/* ---- the listeners of a group, by inode: lock-free, any process ---- */

enum { SPOKEN_LISTENERS = 64 };

/* LASTCALL_LISTEN: unset, or a list that names this listener, or names others only. */
enum spoken_choice { CHOICE_AUTO, CHOICE_NAMED, CHOICE_IGNORED };

struct spoken_table {
    /* Calls of connect under way in the group, where to is not counted yet, by the time in which they began: the number
     * of that time in the upper half, their count below. Of each second one. */
    uint64_t connecting[2];
    struct {
        uint64_t inode;             /* 0: free */
        uint32_t spoken;            /* enum spoken */
        uint32_t told;              /* that it is left alone has been logged */
        uint32_t choice;            /* enum spoken_choice */
        uint32_t accepts, connects; /* connections accepted from it; and of them, made by processes of the group */
    } listener[SPOKEN_LISTENERS];
};

/* What is known of a listener becomes `what`, if that is more. Without room nothing is kept. */
void spoken_put(struct spoken_table *t, uint64_t inode, enum spoken what);
enum spoken spoken_get(const struct spoken_table *t, uint64_t inode);
/* What LASTCALL_LISTEN says of this listener, whatever is spoken there. For `lastcall status`. */
void spoken_choose(struct spoken_table *t, uint64_t inode, enum spoken_choice choice);
enum spoken_choice spoken_chosen(const struct spoken_table *t, uint64_t inode);
/* A process of the group is about to connect somewhere; and then has: to the listener with this inode, or, 0, to none.
 * begun: what spoken_connecting has returned. A call that never ends (its process is killed, its thread cancelled) is
 * forgotten after SPOKEN_CONNECT to twice that; a call that lasts longer is one that no listener here accepts. */
#define SPOKEN_CONNECT (128 * NSEC_PER_SEC) /* the kernel gives up after 127 s (tcp(7), tcp_syn_retries) */
uint32_t spoken_connecting(struct spoken_table *t, nsec_t now);
void spoken_connected(struct spoken_table *t, uint64_t inode, uint32_t begun);
/* Where the connections accepted from this listener are counted; NULL: no room. */
uint32_t *spoken_accepts(struct spoken_table *t, uint64_t inode);
/* Has the group connected to this listener, and at least as often as connections were accepted from it? */
bool spoken_is_internal(const struct spoken_table *t, uint64_t inode, nsec_t now);
/* True for the first who asks about this listener. */
bool spoken_tell(struct spoken_table *t, uint64_t inode);

#endif
