/* notes.c: see notes.h. */
#include "launcher/status/notes.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* A listener of AF_UNIX is left alone until HTTP, or its kin, is spoken there. */
const char *notes_why_left_alone(const struct group_table *m, uint64_t inode, bool unix_)
{
    enum spoken what = spoken_get(&m->spoken, inode);
    enum spoken_choice choice = spoken_chosen(&m->spoken, inode);
    if (choice != CHOICE_AUTO)
        return choice == CHOICE_IGNORED ? "LASTCALL_LISTEN names others" : NULL;
    if (what == SPOKEN_OTHER)
        return "what is spoken there is not HTTP";
    return unix_ && what == SPOKEN_UNKNOWN ? "no HTTP was spoken there yet" : NULL;
}

void notes_add_left_alone(struct notes_left_alone *n, const char *listener, const char *because)
{
    for (unsigned i = 0; i < n->count; i++)
        if (strcmp(n->at[i].listener, listener) == 0)
            return;
    if (n->count == NOTES_LISTENERS)
        return;
    snprintf(n->at[n->count].listener, NOTES_LISTENER, "%s", listener);
    n->at[n->count++].because = because;
}

enum notes_handler notes_handler_of(const struct signal_view *v)
{
    if (!signal_view_holds(v, SIGTERM))
        return HANDLER_UNKNOWN;
    switch (v->program[SIGTERM].handler) {
    case SIGNAL_VIEW_DEFAULT: return HANDLER_NONE;
    case SIGNAL_VIEW_IGNORE: return HANDLER_IGNORES;
    default: return HANDLER_OWN;
    }
}
