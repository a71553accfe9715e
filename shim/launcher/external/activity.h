/* activity.h: what can be known of a connection by an observer who sees its bytes only as numbers. Pure.
 *
 * The kernel counts the bytes of each direction, says how many the program has not read and how many the client has not
 * acknowledged, and how long ago the last ones came and went, to its own tick (4 ms where HZ is 250). From that, in this
 * order:
 *
 *  1. Unread bytes: a request has come, or half of one. In flight.
 *  2. Unacknowledged bytes: a response is under way. In flight, however long that takes.
 *  3. The last sender was the client: a request came, whole or half, and no response yet. In flight however quiet the
 *     connection is: a slow request is quiet too, longer than LASTCALL_IDLE, and nothing tells the two apart. The price: a
 *     protocol in which the client rightly sends last (an HTTP/2 client that acknowledges settings or opens its window) holds
 *     the drain until the deadline. Waiting is the error that loses nothing.
 *  4. The last sender was the server: the connection is between requests, or in the middle of a response that the program
 *     makes slowly. Such a response shows itself by going on, within LASTCALL_IDLE. A connection that is quiet for longer is
 *     idle.
 *  5. Both sent in the same tick: a short request and its response, nearly always; or a response and the next request right
 *     behind it, which is slow. As 4, but such a connection answers the end of file only by closing: until then it counts as
 *     in flight. (A bare acknowledgement that is seen to go out later decides: the kernel makes those for data that the
 *     program has not answered within 40 ms. Then it is 3.)
 *  6. Neither has sent anything: idle, from the beginning.
 *
 * TLS changes nothing: the last sender of a handshake is the server (session tickets), or the client's request follows. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_ACTIVITY_H
#define LASTCALL_LAUNCHER_EXTERNAL_ACTIVITY_H

#include "launcher/host/sock_diag.h"

enum last_sender { SENDER_NONE, SENDER_CLIENT, SENDER_SERVER, SENDER_UNSURE };

struct activity {
    struct diag_socket now; /* as last seen */
    enum last_sender last_sender;
    nsec_t last_activity;     /* when the last bytes came or went */
    nsec_t longest_pause;     /* of the server, seen between two pieces of one response */
    nsec_t read_shut_at;      /* when we made the program read an end of file; 0 never */
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
    ACTIVITY_IDLE,      /* its read side may be shut */
    ACTIVITY_READ_SHUT, /* its read side was shut: the program has to close it, at the latest *until */
    ACTIVITY_DONE,      /* nothing is owed to it */
};

/* What a connection has lost when the program no longer holds it. */
enum activity_loss {
    LOSS_NONE,
    LOSS_ANSWERED,   /* nothing, if the program closed it of its own will: a response began, and may have been whole */
    LOSS_MAYBE,      /* a response was under way, or it is not known whether there was one */
    LOSS_UNANSWERED, /* the client had asked, and not one byte went after that */
};

struct activity_limits {
    nsec_t since; /* the signal: no pause counts from before it */
    nsec_t idle;  /* how long a quiet connection may still go on */
    nsec_t
        linger; /* how long the program may take to close after its read side was shut, and a client to acknowledge a FIN */
};

/* A connection is seen for the first time, and again. */
void activity_begin(struct activity *a, const struct diag_socket *s, nsec_t now);
void activity_update(struct activity *a, const struct diag_socket *s, nsec_t now);

enum activity_state activity_state(const struct activity *a, const struct activity_limits *p, nsec_t now,
                                   nsec_t *until);

/* Has its client asked again and again, and is it in a pause just now? Then the drain need not wait until it is idle. */
bool activity_is_regular(const struct activity *a);

/* It was closed, or its process has died. `s`: the kernel's final counts of it; if there are none, as it was seen last. */
enum activity_loss activity_loss(const struct activity *a, const struct diag_socket *s);

/* Its read side was shut: the end of file is there to be read. */
void activity_read_shut(struct activity *a, nsec_t now);

#endif
