/* shim.c: the process begins to serve. */
#include "shim.h"

#include "core/status_abi.h"
#include "group/join.h"
#include "group/member.h"
#include "process/trace.h"
#include "sys/libc.h"
#include "sys/map.h"
#include "track/listeners.h"

static void exit_handler(void *unused)
{
    (void)unused;
    shim_exit();
}

/* The program has put another descriptor there: that one is its own. */
static void own_replaced(int fd)
{
    ownfd_remove(fd);
    log_replaced(fd);
    drain_report_replaced(fd);
    if (fd == group.fd)
        group.fd = -1;
}

/* The program does not know this descriptor, so it shall not close it among others. */
static void keep_descriptor(int fd)
{
    ownfd_add(fd);
    slots_on_close(SPECIAL_OWN, own_replaced);
    if (fd >= 0)
        slots_mark(fd, SPECIAL_OWN);
}

/* Not in a worker: its master writes, and what the worker itself could write there would be root's words. */
void shim_leaves_root(void)
{
    if (!self_armed() || !self_is_our_process() || sys0(SYS_geteuid) != 0 || member_is_worker())
        return;
    keep_descriptor(log_hold_file());
    keep_descriptor(drain_report_hold());
}

static void enter_group(void)
{
    struct text errors = {0};
    config_errors_begin(&errors);
    join_group(&errors, config.report && config.report_connections);
    keep_descriptor(group.fd);
    listeners_share_spoken(group.table ? &group.table->spoken : NULL);
}

static void show_view(void)
{
    static struct status_abi view;
    status_abi_init(&view, &connections, &dispositions.view);
    member_show(&view, config.timeout);
}

void shim_arm(void)
{
    static uint8_t once;
    if (LIKELY(self_armed()) || self_off() || __atomic_exchange_n(&once, 1, __ATOMIC_ACQ_REL))
        return;
    clock_start();
    self_serve(shim_unseen_fork, shim_child_settled);
    if (config.log == LOG_TRACE)
        trace_open(map_zeroed(trace_size()));
    log_start();
    config_settle();
    enter_group();
    show_view();
    if (config_errors()[0])
        log_config_errors();
    drain_prepare();
    eintr_prepare();
    shim_hold_signals();
    self_arm();
    libc_at_exit(exit_handler);
    shim_follow(); /* a worker that is started while its group drains already */
}
