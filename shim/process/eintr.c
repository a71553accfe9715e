/* eintr.c: see eintr.h. */
#include "process/eintr.h"

#include "sys/map.h"
#include "sys/syscall.h"

/* Our handler may run in all threads at once (a signal to each, and commands to each), so what it notes may depend on
 * no other thread: each run has a number of its own, and each thread a place of its own, found by its tid. The places
 * are in sets; of a full set the place that was used longest ago is taken, whose thread has long read it, or ended. */
enum { SETS = 512, WAYS = 16 };
enum { CLAIMED = -1 }; /* a tid: the place is about to change hands */

struct eintr_thread {
    int tid;        /* 0: free */
    unsigned alone; /* the number of the last run of our handler alone; 0: none */
    unsigned met;   /* the number of the last run by which no call has failed */
    unsigned shown; /* the number of the last run after which the program's handler has run too */
};

HIDDEN struct eintr eintr;

void eintr_prepare(void)
{
    if (!eintr.thread)
        eintr.thread = map_zeroed(SETS * WAYS * sizeof *eintr.thread);
}

static struct eintr_thread *set_of(int tid)
{
    return &eintr.thread[(unsigned)tid % SETS * WAYS];
}

static struct eintr_thread *find(int tid)
{
    struct eintr_thread *set = set_of(tid);
    for (unsigned i = 0; i < WAYS; i++)
        if (__atomic_load_n(&set[i].tid, __ATOMIC_ACQUIRE) == tid)
            return &set[i];
    return NULL;
}

/* Run numbers go round: is a after b? */
static bool is_after(unsigned a, unsigned b)
{
    return a != 0 && (int)(a - b) > 0;
}

static unsigned last_run(const struct eintr_thread *t)
{
    unsigned last = LOAD(t->alone);
    if (is_after(LOAD(t->met), last))
        last = LOAD(t->met);
    return is_after(LOAD(t->shown), last) ? LOAD(t->shown) : last;
}

/* NULL: all of them are about to change hands. */
static struct eintr_thread *oldest(struct eintr_thread *set)
{
    struct eintr_thread *old = NULL;
    for (unsigned i = 0; i < WAYS; i++) {
        if (LOAD(set[i].tid) == 0)
            return &set[i];
        if (LOAD(set[i].tid) != CLAIMED && (!old || is_after(last_run(old), last_run(&set[i]))))
            old = &set[i];
    }
    return old;
}

/* Never waits for another thread: that one may have no processor, or, in a fork's child, not be there. NULL: no
 * place. */
static struct eintr_thread *claim(int tid)
{
    for (unsigned tries = 0; tries < WAYS; tries++) {
        struct eintr_thread *t = oldest(set_of(tid));
        int before = t ? LOAD(t->tid) : CLAIMED;
        if (before == CLAIMED ||
            !__atomic_compare_exchange_n(&t->tid, &before, CLAIMED, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            continue;
        STORE(t->alone, 0u);
        STORE(t->met, 0u);
        STORE(t->shown, 0u);
        __atomic_store_n(&t->tid, tid, __ATOMIC_RELEASE);
        return t;
    }
    return NULL;
}

static struct eintr_thread *place(int tid)
{
    struct eintr_thread *t = find(tid);
    return t ? t : claim(tid);
}

static unsigned next_run(void)
{
    return __atomic_add_fetch(&eintr.runs, 1, __ATOMIC_ACQ_REL);
}

void eintr_note_run(int tid)
{
    if (!eintr.thread)
        return;
    struct eintr_thread *t = place(tid < 0 ? -tid : tid);
    if (!t)
        return;
    if (tid < 0)
        STORE(t->shown, next_run());
    else
        STORE(t->alone, next_run());
}

void eintr_note_met(int tid)
{
    struct eintr_thread *t = eintr.thread ? place(tid) : NULL;
    if (t)
        STORE(t->met, next_run());
}

bool eintr_is_ours(unsigned runs)
{
    if (LIKELY(__atomic_load_n(&eintr.runs, __ATOMIC_ACQUIRE) == runs))
        return false;
    const struct eintr_thread *t = find((int)sys0(SYS_gettid));
    /* One call may meet both: deferred, and delivered before the thread went on. */
    return t && !is_after(LOAD(t->shown), runs) && is_after(LOAD(t->alone), runs);
}

bool eintr_has_met(unsigned runs)
{
    if (LIKELY(__atomic_load_n(&eintr.runs, __ATOMIC_ACQUIRE) == runs))
        return false;
    const struct eintr_thread *t = find((int)sys0(SYS_gettid));
    return t && !is_after(LOAD(t->shown), runs) && is_after(last_run(t), runs);
}
