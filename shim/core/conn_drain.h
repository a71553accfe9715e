/* conn_drain.h: what a drain does with one connection. In: facts and policy. Out: what is outstanding, the action, and
 * until when the answer holds.
 *
 * Pure. Kernel facts cost system calls, and a connection changes while they are collected. So conn_drain asks for
 * the facts one by one: only those that it needs, in the order in which no request can pass between two questions. */
#ifndef LASTCALL_CONN_DRAIN_H
#define LASTCALL_CONN_DRAIN_H

#include "core/conn.h"
#include "core/drain.h"

/* What delivery waits for, in one connection. */
enum outstanding {
    OUTSTANDING_NOTHING,
    OUTSTANDING_IDLE,      /* its idle window, or its program's answer to the end of file */
    OUTSTANDING_ENDING,    /* output that is not acknowledged, or a peer that is still sending */
    OUTSTANDING_IN_FLIGHT, /* a request */
};

/* A question about one connection. Its answer: a field of conn_facts, and the question's bit in `known`. */
enum conn_question {
    ASK_NOTHING,
    ASK_PEER_ENDED, /* lingering: what the peer has sent is discarded. peer_ended, must_linger */
    ASK_PEER_DONE,  /* half-closed, and the peer was still sending. must_linger */
    ASK_ACKED,      /* acked, acked_at */
    ASK_ONLY_FIN,   /* once watched: only_fin, acked_at */
    ASK_MOVED,      /* opaque: gone, moved_at, since; client_last, where no hook sees the bytes */
    ASK_UNSENT,     /* opaque: unsent */
    ASK_UNREAD,     /* unread */
    ASK_UNFOLLOWED, /* unfollowed */
    ASK_BUSY,       /* busy, after the kernel was asked */
    ASK_SHARED,     /* shared, by the processes that hold it now */
    CONN_QUESTIONS
};

struct conn_facts {
    uint32_t known; /* answered questions: 1 << enum conn_question */
    /* from our own tables, all at one moment: conn_drain_look */
    uint8_t stage;      /* enum conn_stage */
    bool inherited;     /* by fork, and this process has not used it since */
    bool used;          /* bytes have passed */
    bool stale;         /* the descriptor is another connection's by now */
    bool abandoned;     /* no process will read it: conn_is_abandoned */
    bool opaque, fin;   /* as in struct conn */
    uint8_t state;      /* opaque: enum opaque_state */
    bool keeps_reading; /* not conn_may_shut_read */
    bool busy;          /* a request is in flight, or bytes are being followed in this moment */
    bool must_linger;   /* the peer is still sending */
    bool acked;         /* all output is acknowledged, our FIN too ... */
    nsec_t acked_at;    /* ... since; or since when only our FIN is not; 0: neither */
    nsec_t since;       /* accepted, last response complete, or stage entered */
    /* of the kernel: answers */
    bool peer_ended;  /* the peer's end of file has come, or the connection is reset */
    bool only_fin;    /* nothing but our FIN is unacknowledged */
    bool gone;        /* the socket is closed, or the descriptor is something else by now */
    bool client_last; /* opaque, its bytes unseen: the client has spoken later than the server */
    bool unsent;      /* output is not acknowledged */
    bool unread;      /* the program has not read all that has come */
    bool unfollowed;  /* a read of the program's has bytes that have not come to the parser yet */
    bool shared;      /* another process holds it: a shutdown would be felt there */
    nsec_t moved_at;  /* when bytes last passed in either direction; 0: not known */
};

struct conn_policy {
    nsec_t signal_at;
    nsec_t idle, linger; /* struct options */
    bool may_close_idle; /* drain_may_close_idle */
    bool first;          /* the scan at the moment of the signal */
    bool hasten;         /* the deadline is near: opaque connections end as soon as their server has spoken last */
};

enum conn_action {
    CONN_LEAVE,          /* nothing */
    CONN_WATCH,          /* be notified when the output is acknowledged; before ASK_ONLY_FIN is answered */
    CONN_SHUT_READ,      /* the idle window is over: the program shall read end of file */
    CONN_HALF_CLOSE,     /* the peer shall read end of file, and the program too */
    CONN_CLOSE_LINGERING /* the descriptor is lastcall's, and nothing is left to wait for */
};

struct conn_decision {
    uint8_t ask;         /* enum conn_question: to be answered, then decide again; ASK_NOTHING: this is the decision */
    uint8_t action;      /* enum conn_action */
    uint8_t outstanding; /* enum outstanding */
    bool holds_exit;     /* also counts as in flight: conn_drain_in_exit */
    nsec_t until;        /* look again then, though nothing changes; 0: no need */
};

/* Fill in the facts of our own tables; the questions are open. The caller holds the pin of c. */
void conn_drain_look(struct conn_facts *f, const struct conn *c);

/* A request is in flight, or bytes are being followed: the same in one word, as ASK_BUSY wants it. */
bool conn_drain_busy(const struct conn *c);

struct conn_decision conn_drain(const struct conn_facts *f, const struct conn_policy *p, nsec_t now);

/* The program is in exit(). served: a thread lives that can still answer what is in flight. acked: of the output. */
void conn_drain_in_exit(struct conn_decision *d, bool served, bool acked, const struct conn_policy *p, nsec_t now);

/* Add one connection to the census. */
void conn_drain_count(struct census *census, const struct conn_decision *d);

#endif
