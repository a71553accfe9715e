/* disposition.h: the dispositions of the drain signals that the program believes in. */
#ifndef LASTCALL_SIGNAL_DISPOSITION_H
#define LASTCALL_SIGNAL_DISPOSITION_H

#include "core/sigview.h"

struct dispositions {
    struct sigview view;
    uint8_t lock;
};
extern HIDDEN struct dispositions dispositions;

static inline bool shim_holds(int sig)
{
    return sigview_holds(&dispositions.view, sig);
}

/* A fork's child has its parent's view; the lock is of a thread that is not there. */
void disposition_after_fork(void);

#endif
