/* deferred.h: the drain signal that is not delivered to the program yet. Written by the signal handler and by the
 * drain's thread. */
#ifndef LASTCALL_PROCESS_DEFERRED_H
#define LASTCALL_PROCESS_DEFERRED_H

#include "core/drain.h"
#include "core/signal_repeat.h"

struct deferred {
    uint8_t phase;      /* enum drain_phase, as the hooks may see it */
    uint8_t delivering; /* the next drain signal is the delivery */
    uint8_t begun;      /* a drain has: by a signal, or because the group drains */
    uint8_t pending;    /* the program was sent a signal, and shall have it at delivery */
    int first_signal;   /* the signal that began the drain */
    int pending_signal;
    bool has_info;
    uint8_t info[128]; /* siginfo of the pending signal */
    struct signal_repeat repeat;
    unsigned signals; /* drain signals so far, each of which after the first ends the drain: its thread reads how many
                         are new */
    nsec_t last_at;   /* when the last of them came: set before it is counted */
    nsec_t signal_at;
    uint64_t signal_wall_ms;
};
extern HIDDEN struct deferred deferred;

static inline uint8_t deferred_phase(void)
{
    return __atomic_load_n(&deferred.phase, __ATOMIC_ACQUIRE);
}

static inline bool deferred_draining(void)
{
    return UNLIKELY(deferred_phase() != DRAIN_SERVING);
}

/* A fork's child has no signal pending: the drain is its parent's. */
void deferred_after_fork(void);

#endif
