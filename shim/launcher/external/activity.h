/* activity.h: what the kernel's byte counts tell of one connection, for an observer that cannot read the bytes.
 * Pure.
 *
 * Source: sock_diag(7) with TCP_INFO. The kernel counts the bytes of each direction, the bytes that the program has
 * not read and those that the client has not acknowledged, and the time since the last byte of each direction, in
 * ticks of the kernel (4 ms where HZ is 250). The rules, in this order:
 *
 *  1. Unread bytes: a request, or a part of one, has arrived. In flight.
 *  2. Unacknowledged bytes: a response is being sent. In flight, however long the sending takes.
 *  3. The last sender was the client: a request, or a part of one, has arrived and no response yet. In flight,
 *     however quiet the connection is: a slow request can also be quiet for longer than LASTCALL_IDLE, and no count
 *     distinguishes the two. The price: a protocol in which the client legitimately sends last (an HTTP/2 client
 *     that acknowledges settings or opens its window) holds the drain until the deadline. Waiting is the error that
 *     loses no request.
 *  4. The last sender was the server: the connection is between requests, or in the middle of a response that the
 *     program makes slowly. Such a response continues within LASTCALL_IDLE. A connection that is quiet for longer is
 *     idle.
 *  5. Both sent in the same tick: nearly always a short request and its response; or a response followed at once by
 *     the next request, which is slow. As rule 4, but only a close by the program proves such a connection idle
 *     after its read shutdown: until then the connection counts as in flight. (A bare acknowledgement that is sent
 *     later decides for rule 3: the kernel sends one for data that the program has not answered within 40 ms.)
 *  6. Neither side has sent a byte: idle from the beginning.
 *
 * TLS changes none of these rules: the last sender of a handshake is the server (session tickets), or the client's
 * request follows. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_ACTIVITY_H
#define LASTCALL_LAUNCHER_EXTERNAL_ACTIVITY_H

#include "launcher/host/sock_diag.h"

enum last_sender { SENDER_NONE, SENDER_CLIENT, SENDER_SERVER, SENDER_UNSURE };

struct activity {
    struct diag_socket now; /* as last seen */
    enum last_sender last_sender;
    nsec_t last_activity;     /* when the last bytes came or went */
    nsec_t longest_pause;     /* of the server, seen between two pieces of one response */
    nsec_t read_shut_at;      /* when the read shutdown was made; 0: never */
    nsec_t only_fin_since;    /* when all but the program's FIN was acknowledged; 0: not yet, or the FIN too */
    uint64_t written_at_shut; /* what the program had written at read_shut_at */
    unsigned requests;        /* times that bytes were seen to come and bytes to go after them: requests, at least */
    bool late_data;           /* bytes came after read_shut_at */
};

enum activity_state {
    ACTIVITY_QUEUED,    /* in an accept queue */
    ACTIVITY_IN_FLIGHT, /* a request or its response is under way */
    ACTIVITY_UNSURE,    /* in flight, maybe: point 5 above */
    ACTIVITY_ENDING,    /* only acknowledgements are still to come; if only that of the FIN, at the latest *until */
    ACTIVITY_QUIET,     /* idle, but a response may still go on, until *until */
    ACTIVITY_IDLE,      /* the read shutdown may be made */
    ACTIVITY_READ_SHUT, /* after the read shutdown: the program has to close the connection, at the latest *until */
    ACTIVITY_DONE,      /* no request or response of the connection is outstanding */
};

/* What the client of a connection has lost once the program no longer holds the connection. */
enum activity_loss {
    LOSS_NONE,
    LOSS_ANSWERED,   /* none, if the program closed the connection itself: a response began, and may be whole */
    LOSS_MAYBE,      /* a response was under way, or it is not known whether there was one */
    LOSS_UNANSWERED, /* the client had sent a request, and no byte of a response followed */
};

struct activity_limits {
    nsec_t since;  /* the signal: no pause counts from before it */
    nsec_t idle;   /* how long a quiet connection may still go on */
    nsec_t linger; /* from the read shutdown to the program's close, and from the FIN to its acknowledgement */
};

/* A connection is seen for the first time, and again. */
void activity_begin(struct activity *a, const struct diag_socket *s, nsec_t now);
void activity_update(struct activity *a, const struct diag_socket *s, nsec_t now);

enum activity_state activity_state(const struct activity *a, const struct activity_limits *p, nsec_t now,
                                   nsec_t *until);

/* Has the client sent one request after another, and does the connection pause now? Then the drain need not wait
 * until the connection is idle. */
bool activity_is_regular(const struct activity *a);

/* The connection was closed, or the process that held the connection has died. `s`: the kernel's final counts of the
 * connection, or else the counts of the last scan. */
enum activity_loss activity_loss(const struct activity *a, const struct diag_socket *s);

/* The read shutdown was made: the program's next read returns end of file. */
void activity_read_shut(struct activity *a, nsec_t now);

#endif
