/* table.h: two outcomes side by side, in 80 columns, and the progress bar. Pure. */
#ifndef LASTCALL_LAUNCHER_REHEARSE_TABLE_H
#define LASTCALL_LAUNCHER_REHEARSE_TABLE_H

#include "core/text.h"
#include "launcher/load/load.h"

struct rehearse_side {
    uint64_t served;
    uint64_t lost[LOAD_CLASSES]; /* by kind; what is no loss (ok, refused) is 0 */
    uint64_t idle_closed, idle_reset;
    nsec_t exit_delay, gone; /* last good response to process gone; signal to process gone */
    int status;              /* as a shell has it: 143 = killed by TERM */
    bool killed;             /* killed by rehearse at the end of its patience */
    unsigned left;           /* processes that outlived the process that was sent the signal */
};

struct rehearse_row {
    const char *name;
    struct rehearse_side side[2]; /* without, with */
};

/* Two lines above, and for each row one, with more below it where there is more to say. */
void rehearse_table_head(struct text *t);
void rehearse_table_row(struct text *t, const struct rehearse_row *row);

uint64_t rehearse_lost(const struct rehearse_side *side);

/* One sentence on all of them. */
void rehearse_verdict(struct text *t, const struct rehearse_row *rows, unsigned count);

/* `[=====>     ] label`, `width` columns at most; done: thousandths of the whole. */
void rehearse_bar(struct text *t, unsigned width, unsigned done, const char *label);

#endif
