/* fuzz_group_table.c: a group's table in which a hostile process has written anything at all.
 *
 * Input: one byte that fills the table; then commands of 8 bytes: a word written somewhere into it, or a call. Nothing
 * may be read or written outside the table, no answer be out of range, and every call must come to an end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/group_table.h"

#define HOLDS(x) ((x) ? (void)0 : (fprintf(stderr, "does not hold: %s\n", #x), abort()))

enum { COMMAND = 8 };

static struct group_table *m;

static void in_range(int at)
{
    HOLDS(at == MEMBER_NONE || (at >= 0 && at < GROUP_TABLE_MAX));
}

static void ask(int at, int other, uint32_t value)
{
    HOLDS(group_table_top(m) >= 0 && group_table_top(m) <= GROUP_TABLE_MAX);
    in_range(group_table_find(m, (int)value));
    in_range(group_table_parent(m, at));
    in_range(group_table_master(m, at));
    in_range(group_table_coordinator(m, at));
    group_table_in_scope(m, at, other);
    group_table_reachable(m, at, other);
    HOLDS(group_table_holders(m, value, value) <= HOLDERS_EXTERNAL);
    group_table_is_valid(m, value);
}

static void change(unsigned what, int at, int other, uint32_t value)
{
    const struct group_aborted *cut;
    switch (what) {
    case 0: in_range(group_table_claim(m, other, value & 1 ? MEMBER_STARTING : MEMBER_SERVES, value)); break;
    case 1: group_table_leave(m, at, m->member[at].serial, value & 1); break;
    case 2: group_table_leave(m, at, value, value & 1); break;
    case 3: group_table_set_holders(m, value, m->member[at].serial, value & 1); break;
    case 4:
        cut = group_table_add_aborted(m, value);
        HOLDS(!cut || (cut >= m->aborted && cut < m->aborted + GROUP_TABLE_ABORTED));
        break;
    default: group_table_init(m, value);
    }
}

/* A word of a slot: of one of the first, or of any. */
static void write_word(const uint8_t *command, uint32_t value)
{
    size_t slot = command[1] & 1 ? command[2] : command[2] & 3, word = command[3];
    char *to = (char *)&m->member[slot % GROUP_TABLE_MAX] + word * 4 % sizeof m->member[0];
    if (command[1] & 2)
        to = (char *)m + (size_t)(command[2] << 8 | command[3]) * 4 % sizeof *m;
    memcpy(to, &value, sizeof value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    m = malloc(sizeof *m);
    memset(m, data[0], sizeof *m);
    if (data[0] == 0)
        group_table_init(m, 1);
    for (size_t at = 1; at + COMMAND <= size; at += COMMAND) {
        const uint8_t *command = data + at;
        uint32_t value;
        memcpy(&value, command + 4, sizeof value);
        if (command[0] & 1)
            write_word(command, value);
        else if (command[0] & 2)
            change(command[1] % 6, command[2], command[3], value);
        else
            ask(command[2] * 2, command[3], value);
    }
    free(m);
    return 0;
}
