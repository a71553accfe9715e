/* lead_report.c: see lead.h: what the leader tells of all processes of its drain. */
#include "lead.h"

#include "group.h"
#include "track/conn_log.h"
#include "watch.h"

static const char *how_it_ended(const struct member *who)
{
    if (who->end == MEMBER_KILLED)
        return "killed";
    uint32_t phase = phase_of(who);
    if (phase == DRAIN_DRAINED)
        return "drained";
    if (phase == DRAIN_RELEASED || who->state == MEMBER_LEFT || who == group_self())
        return report_end_name((enum report_end)who->end);
    return phase == DRAIN_SERVING ? "serving" : "unfinished";
}

static bool is_reported(int at)
{
    uint32_t state = member(at)->state;
    return at != group.at && (state == MEMBER_SERVES || state == MEMBER_LEFT) &&
           members_in_scope(group.table, at, group.at);
}

unsigned lead_processes(void (*f)(const struct report_process *p, void *arg), void *arg)
{
    unsigned count = 1;
    const struct member *self = group_self();
    struct report_process p = {self_pid(), self ? how_it_ended(self) : "drained", stats.counts};
    f(&p, arg);
    for (int i = 0; self && i < members_top(group.table); i++) {
        const struct member *who = member(i);
        if (!is_reported(i))
            continue;
        p = (struct report_process){pid_of(who), how_it_ended(who), who->counts};
        f(&p, arg);
        count++;
    }
    return count;
}

void lead_cuts(void (*f)(const struct report_cut *cut, void *arg), void *arg)
{
    if (!group_self())
        return;
    for (int i = 0; i < MEMBERS_CUTS; i++) {
        struct member_cut note = group.table->cut[i]; /* who has written it may go on writing, and may not end it */
        struct report_cut cut = note.facts;
        bool of_ours = false;
        for (int at = 0; at < members_top(group.table) && !of_ours; at++)
            of_ours = note.serial != 0 && member(at)->serial == note.serial && is_reported(at);
        if (!of_ours)
            continue;
        note.peer[sizeof note.peer - 1] = note.method[sizeof note.method - 1] = '\0';
        cut.peer = note.peer;
        cut.method = note.method;
        cut.method_len = 0;
        while (note.method[cut.method_len])
            cut.method_len++;
        f(&cut, arg);
    }
}

void lead_connections(void (*f)(const struct report_connection *c, void *arg), void *arg)
{
    conn_log_each(conn_log.serial, self_pid(), f, arg);
    conn_log_drop(conn_log.serial);
    for (int i = 0; group_self() && i < members_top(group.table); i++) {
        const struct member *who = member(i);
        if (!is_reported(i))
            continue;
        conn_log_each(who->serial, pid_of(who), f, arg);
        conn_log_drop(who->serial);
    }
}

uint64_t lead_left_out(void)
{
    uint64_t count = conn_log.left_out;
    for (int i = 0; group_self() && i < members_top(group.table); i++)
        if (is_reported(i))
            count += member(i)->missed;
    return count;
}

nsec_t lead_owed_at(void)
{
    nsec_t last = __atomic_load_n(&stats.last_done_at, __ATOMIC_ACQUIRE);
    for (int i = 0; group_self() && i < members_top(group.table); i++)
        if (is_reported(i) && member(i)->owed_at > last)
            last = member(i)->owed_at;
    return last;
}
