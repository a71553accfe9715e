/* activity.h: what can be known of a connection by whom sees its bytes only as numbers. Pure.
 *
 * The kernel counts bytes each way, says how many nobody has read or acknowledged, and how long ago the last ones came
 * and went, to its own tick (4 ms where HZ is 250). From that, in this order:
 *
 *  1. Unread bytes: a request has come, or half of one. In flight.
 *  2. Unacknowledged bytes: a response is under way. In flight, however long it takes.
 *  3. The last word was the client's: a request came, whole or half, and no response yet. In flight however quiet it is: a
 *     slow request is quiet too, longer than LASTCALL_IDLE, and nothing tells the two apart. The price: a protocol in which
 *     the client rightly speaks last (an HTTP/2 client that acknowledges settings or opens its window) holds the
 *     drain until the deadline. Waiting is the error that loses nothing.
 *  4. The last word was the server's: between requests, or in the middle of a response that it makes slowly. A response
 *     shows itself by going on: it has LASTCALL_IDLE for that. Quiet so long it is idle.
 *  5. Both words in the same tick: a short request and its response, nearly always; or a response and the next request
 *     right behind it, which is slow. As 4, but it has answered the end of file only by closing: until then it
 *     counts as in flight. (A bare acknowledgement that we see go out later tells: the kernel makes those for data
 *     that the program has not answered within 40 ms. Then it is 3.)
 *  6. Nobody has spoken: idle, from the beginning.
 *
 * TLS changes nothing: its last word after a handshake is the server's (session tickets), or the request. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_ACTIVITY_H
#define LASTCALL_LAUNCHER_EXTERNAL_ACTIVITY_H

#include "launcher/host/sock_diag.h"

enum guest_word { WORD_NOBODY, WORD_CLIENT, WORD_SERVER, WORD_EITHER };

struct guest {
    struct diag_socket now; /* as last seen */
    enum guest_word word;   /* the last */
    nsec_t spoke_at;        /* when */
    nsec_t rhythm;          /* the longest pause of the server seen between two pieces of one response */
    nsec_t let_go_at;       /* when we made it read an end of file; 0 never */
    nsec_t fin_alone_since; /* when all but the program's FIN was acknowledged; 0: not yet, or that too */
    uint64_t let_go_out;    /* what had been written then */
    unsigned asked;         /* times that we saw bytes come and bytes go after them: requests, at least */
    bool crossed;           /* bytes came after it was let go */
};

enum guest_is {
    GUEST_QUEUED,  /* in an accept queue */
    GUEST_BUSY,    /* in flight */
    GUEST_UNSURE,  /* in flight, maybe: point 5 above */
    GUEST_ENDING,  /* only acknowledgements are still to come; if only that of its FIN, at the latest *until */
    GUEST_RESTING, /* idle, but it may still speak, until *until */
    GUEST_IDLE,    /* may be let go */
    GUEST_LEAVING, /* it was let go: the program has to close it, at the latest *until */
    GUEST_DONE,    /* nothing is owed to it */
};

enum guest_loss {            /* what leaving the program's hands has cost it: */
                  LOSS_NONE, /* nothing */
                  LOSS_ANSWERED, /* nothing, if the program closed it of its own will: an answer began, and may have been all */
                  LOSS_MAYBE,      /* an answer was under way, or it is not known whether there was one */
                  LOSS_UNANSWERED, /* it had asked, and not one byte went after that */
};

struct guest_patience {
    nsec_t since;  /* the signal: nobody's patience began before */
    nsec_t idle;   /* how long an idle one may still speak */
    nsec_t linger; /* how long a program may take to close what was let go, and a client to acknowledge a FIN */
};

/* A connection is seen for the first time, and again. */
void guest_meet(struct guest *g, const struct diag_socket *s, nsec_t now);
void guest_see(struct guest *g, const struct diag_socket *s, nsec_t now);

enum guest_is guest_is(const struct guest *g, const struct guest_patience *p, nsec_t now, nsec_t *until);

/* Has it shown that it asks again and again, and does it pause just now? Then it need not be waited for until it is idle. */
bool guest_is_regular(const struct guest *g);

/* It was closed, or its process has died. `s`: what the kernel said of it last, if there was anything after the last look;
 * else as it was then. */
enum guest_loss guest_loss(const struct guest *g, const struct diag_socket *s);

/* Its end of file is there to be read. */
void guest_let_go(struct guest *g, nsec_t now);

#endif
