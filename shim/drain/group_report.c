/* group_report.c: see report.h: what the coordinator tells of all processes of its drain. */
#include "drain/report.h"

#include "group/member.h"
#include "process/self.h"
#include "process/stats.h"
#include "track/conn_log.h"

static const char *how_it_ended(const struct member *who)
{
    if (who->end == MEMBER_KILLED)
        return "killed";
    uint32_t phase = member_phase(who);
    if (phase == DRAIN_DRAINED || (phase == DRAIN_GUARDING && who->open == 0))
        return "drained";
    if (phase == DRAIN_DONE || who->state == MEMBER_LEFT || who == group_self())
        return report_end_name((enum report_end)who->end);
    return phase == DRAIN_SERVING ? "serving" : "unfinished";
}

static bool is_reported(int at)
{
    uint32_t state = member_at(at)->state;
    return at != group.at && (state == MEMBER_SERVES || state == MEMBER_LEFT) &&
           group_table_in_scope(group.table, at, group.at);
}

unsigned group_report_processes(void (*f)(const struct report_process *p, void *arg), void *arg)
{
    unsigned count = 1;
    const struct member *self = group_self();
    struct report_process p = {self_pid(), self ? how_it_ended(self) : "drained", stats.counts};
    f(&p, arg);
    for (int i = 0; self && i < group_table_top(group.table); i++) {
        const struct member *who = member_at(i);
        if (!is_reported(i))
            continue;
        p = (struct report_process){member_pid(who), how_it_ended(who), who->counts};
        f(&p, arg);
        count++;
    }
    return count;
}

void group_report_aborted(void (*f)(const struct report_aborted *aborted, void *arg), void *arg)
{
    if (!group_self())
        return;
    for (int i = 0; i < GROUP_TABLE_ABORTED; i++) {
        struct group_aborted note =
            group.table->aborted[i]; /* the member that wrote the text may go on writing, and may not terminate it */
        struct report_aborted aborted = note.facts;
        bool of_ours = false;
        for (int at = 0; at < group_table_top(group.table) && !of_ours; at++)
            of_ours = note.serial != 0 && member_at(at)->serial == note.serial && is_reported(at);
        if (!of_ours)
            continue;
        note.peer[sizeof note.peer - 1] = note.method[sizeof note.method - 1] = '\0';
        aborted.peer = note.peer;
        aborted.method = note.method;
        aborted.method_len = 0;
        while (note.method[aborted.method_len])
            aborted.method_len++;
        f(&aborted, arg);
    }
}

void group_report_connections(void (*f)(const struct report_connection *c, void *arg), void *arg)
{
    conn_log_each(conn_log.serial, self_pid(), f, arg);
    conn_log_drop(conn_log.serial);
    for (int i = 0; group_self() && i < group_table_top(group.table); i++) {
        const struct member *who = member_at(i);
        if (!is_reported(i))
            continue;
        conn_log_each(who->serial, member_pid(who), f, arg);
        conn_log_drop(who->serial);
    }
}

uint64_t group_report_left_out(void)
{
    uint64_t count = conn_log.left_out;
    for (int i = 0; group_self() && i < group_table_top(group.table); i++)
        if (is_reported(i))
            count += member_at(i)->missed;
    return count;
}

nsec_t group_report_last_done_at(void)
{
    nsec_t last = __atomic_load_n(&stats.last_done_at, __ATOMIC_ACQUIRE);
    for (int i = 0; group_self() && i < group_table_top(group.table); i++)
        if (is_reported(i) && member_at(i)->last_done_at > last)
            last = member_at(i)->last_done_at;
    return last;
}
