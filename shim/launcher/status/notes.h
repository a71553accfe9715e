/* notes.h: what an operator should know of a group before its drain: the listeners that a drain leaves alone, and
 * whether the program has a handler of its own. Pure; the input is as in model.h. */
#ifndef LASTCALL_LAUNCHER_STATUS_NOTES_H
#define LASTCALL_LAUNCHER_STATUS_NOTES_H

#include "core/group_table.h"
#include "core/signal_view.h"

enum { NOTES_LISTENERS = 8, NOTES_LISTENER = 64 };

struct notes_left_alone {
    struct {
        char listener[NOTES_LISTENER];
        const char *because;
    } at[NOTES_LISTENERS];
    unsigned count;
};

/* Why a drain leaves this listener alone; NULL: it does not. */
const char *notes_why_left_alone(const struct group_table *m, uint64_t inode, bool unix_);
/* Adds it, once, if there is room. */
void notes_add_left_alone(struct notes_left_alone *n, const char *listener, const char *because);

enum notes_handler { /* the program's own, for TERM */
                     HANDLER_UNKNOWN,
                     HANDLER_NONE,
                     HANDLER_OWN,
                     HANDLER_IGNORES, /* no handler: the program ignores the signal */
};
enum notes_handler notes_handler_of(const struct signal_view *v);

#endif
