/* eintr.c: see eintr.h. */
#include "process/eintr.h"

#include "sys/syscall.h"

HIDDEN struct eintr eintr;

void eintr_note_run(int tid)
{
    unsigned at = eintr_runs();
    eintr.run_tid[at % EINTR_RUNS] = tid;
    __atomic_store_n(&eintr.runs, at + 1, __ATOMIC_RELEASE);
}

bool eintr_is_ours(unsigned runs)
{
    unsigned now = __atomic_load_n(&eintr.runs, __ATOMIC_ACQUIRE);
    bool ours = false;
    if (LIKELY(now == runs))
        return false;
    int tid = (int)sys0(SYS_gettid);
    if (now - runs > EINTR_RUNS)
        runs = now - EINTR_RUNS;
    for (; runs != now; runs++) {
        if (eintr.run_tid[runs % EINTR_RUNS] == -tid)
            return false; /* one call may meet both: deferred, and delivered before the thread went on */
        ours = ours || eintr.run_tid[runs % EINTR_RUNS] == tid;
    }
    return ours;
}
