/* test_seccomp_filter.c: what a filter of the program does to a call. The filters are as libseccomp and hand-written
 * sandboxes make them. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/seccomp_filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

enum { OURS = AUDIT_ARCH_X86_64, READ = 0, CLONE = 56, HIGH = 0x40000000 };

#define LD(what)        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define IF(op, k, t, f) BPF_JUMP(BPF_JMP | (op) | BPF_K, k, t, f)
#define ANSWER(action)  BPF_STMT(BPF_RET | BPF_K, action)
#define ALLOW           ANSWER(SECCOMP_RET_ALLOW)
#define KILL            ANSWER(SECCOMP_RET_KILL_PROCESS)
#define REFUSE          ANSWER(SECCOMP_RET_ERRNO | 1)

struct row {
    const char *name;
    bool read, clone; /* is the call spared? */
    unsigned length;
    struct sock_filter f[12];
};

static const struct row rows[] = {
    {"allow all", true, true, 1, {ALLOW}},
    {"kill all", false, false, 1, {KILL}},
    {"kill the thread", false, false, 1, {ANSWER(SECCOMP_RET_KILL_THREAD)}},
    {"SIGSYS", false, false, 1, {ANSWER(SECCOMP_RET_TRAP | 3)}},
    {"a supervisor", false, false, 1, {ANSWER(SECCOMP_RET_USER_NOTIF)}},
    {"an action of later kernels", false, false, 1, {ANSWER(0x12340000)}},
    {"refuse all", true, true, 1, {REFUSE}},
    {"log", true, true, 1, {ANSWER(SECCOMP_RET_LOG)}},
    {"trace", true, true, 1, {ANSWER(SECCOMP_RET_TRACE | 7)}},
    {"a list of those allowed", true, false, 4, {LD(nr), IF(BPF_JEQ, READ, 0, 1), ALLOW, KILL}},
    {"a list of those killed", true, false, 4, {LD(nr), IF(BPF_JEQ, CLONE, 0, 1), KILL, ALLOW}},
    {"the architecture", true, true, 4, {LD(arch), IF(BPF_JEQ, OURS, 1, 0), KILL, REFUSE}},
    {"another architecture", false, false, 4, {LD(arch), IF(BPF_JEQ, AUDIT_ARCH_I386, 1, 0), KILL, ALLOW}},
    {"by halves", true, false, 4, {LD(nr), IF(BPF_JGT, CLONE - 1, 0, 1), KILL, ALLOW}},
    {"from there on", false, true, 4, {LD(nr), IF(BPF_JGE, CLONE, 1, 0), KILL, ALLOW}},
    {"by a bit", true, true, 4, {LD(nr), IF(BPF_JSET, HIGH, 0, 1), KILL, ALLOW}},
    {"by an argument",
     false,
     true,
     6,
     {LD(nr), IF(BPF_JEQ, CLONE, 3, 0), LD(args[0]), IF(BPF_JEQ, 2, 1, 0), KILL, ALLOW}},
    {"an argument that does not matter", true, true, 4, {LD(args[1]), IF(BPF_JEQ, 2, 0, 1), REFUSE, ALLOW}},
    {"a jump", true, true, 3, {BPF_STMT(BPF_JMP | BPF_JA, 1), KILL, ALLOW}},
    {"computed",
     true,
     false,
     6,
     {LD(nr), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff), BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1),
      IF(BPF_JEQ, CLONE + 1, 0, 1), KILL, ALLOW}},
    {"two ways to one place",
     false,
     false,
     6,
     {LD(args[0]), IF(BPF_JEQ, 1, 1, 0), LD(nr), IF(BPF_JEQ, 999, 0, 1), ALLOW, KILL}},
    {"by X",
     false,
     false,
     5,
     {LD(nr), BPF_STMT(BPF_LDX | BPF_IMM, CLONE), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1), KILL, ALLOW}},
    {"a number in the answer", true, false, 2, {LD(nr), BPF_STMT(BPF_RET | BPF_A, 0)}},
    {"off its end", false, false, 1, {LD(nr)}},
    {"a jump out", false, false, 2, {BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), ALLOW}},
    {"nothing", false, false, 0, {ALLOW}},
};

static bool spares(const struct row *row, uint32_t nr)
{
    static struct seccomp_state states[SECCOMP_FILTER_MAX];
    return seccomp_filter_spares((const void *)row->f, row->length, OURS, nr, states);
}

static void each_row(void **unused UNUSED)
{
    for (unsigned i = 0; i < COUNT(rows); i++) {
        bool answers_number = strcmp(rows[i].name, "a number in the answer") == 0;
        if (spares(&rows[i], answers_number ? SECCOMP_RET_ALLOW : READ) != rows[i].read)
            fail_msg("%s: the first call", rows[i].name);
        if (spares(&rows[i], CLONE) != rows[i].clone)
            fail_msg("%s: clone", rows[i].name);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(each_row)};
    return cmocka_run_group_tests_name("seccomp_filter", tests, NULL, NULL);
}
