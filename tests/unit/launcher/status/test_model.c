/* test_model.c: what `lastcall status` makes of other processes' memory, whatever is in it. */
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "launcher/status/print.h"
#include "repeats.h"

#define NOW (100 * NSEC_PER_SEC)

static struct group_table *m;
static struct conn_chunk *chunk;

static int begin(void **unused UNUSED)
{
    m = calloc(1, sizeof *m);
    chunk = calloc(1, sizeof *chunk);
    group_table_init(m, 1);
    return 0;
}

static int end(void **unused UNUSED)
{
    free(m);
    free(chunk);
    return 0;
}

static int member(int parent)
{
    int at = group_table_claim(m, parent, MEMBER_SERVES, 1);
    m->member[at].pid = m->member[at].own_pid = 100 + at;
    m->member[at].timeout = 25 * NSEC_PER_SEC;
    return at;
}

static void drain(int at, enum drain_phase phase)
{
    m->member[at].phase = phase;
    m->member[at].signal = SIGTERM;
    m->member[at].signal_at = NOW - 5 * NSEC_PER_SEC;
}

static struct status_process taken(int at)
{
    struct status_process p = {.pid = 100 + at};
    status_take_member(&p, m, at, NOW);
    return p;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static void a_table_is_told_from_others(void **unused UNUSED)
{
    size_t size = sizeof *m;
    assert_null(status_table_problem(m, size, size));
    assert_null(status_table_problem(m, size, sizeof(struct group_memory)));
    assert_string_equal(status_table_problem(m, size - 1, size - 1), "is a group's, but not all of it");
    assert_string_equal(status_table_problem(m, size, size + 1), "is a group's, but not all of it");
    assert_non_null(status_table_problem(m, 0, 0));
    assert_non_null(status_table_problem(m, 16, 16));
    m->version++;
    assert_string_equal(status_table_problem(m, size, size), "is a group's of another build of lastcall");
    m->version--;
    m->size--;
    assert_string_equal(status_table_problem(m, size, size), "is a group's of another build of lastcall");
    m->magic[0] = 'L';
    assert_string_equal(status_table_problem(m, size, size), "is called lastcall, but is no group's");
}

static void a_member_that_serves(void **unused UNUSED)
{
    struct status_process p = taken(member(MEMBER_NONE));
    assert_string_equal(status_state(&p), "serving");
    assert_false(p.timed);
    assert_int_equal(p.deferred, 0);
    assert_true(p.limited);
}

static void a_member_that_drains(void **unused UNUSED)
{
    int at = member(MEMBER_NONE);
    drain(at, DRAIN_EMPTYING);
    m->member[at].deferred = SIGTERM;
    m->member[at].open = 3;
    struct status_process p = taken(at);
    assert_string_equal(status_state(&p), "draining");
    assert_int_equal(p.deferred, SIGTERM);
    assert_true(p.timed && p.since == 5 * NSEC_PER_SEC && p.left == 20 * NSEC_PER_SEC);
    assert_int_equal(p.conn[KIND_IN_FLIGHT], 3);
    m->member[at].phase = DRAIN_DONE;
    p = taken(at);
    assert_string_equal(status_state(&p), "delivered");
    assert_int_equal(p.deferred, 0);
    m->member[at].signal_at = NOW - 60 * NSEC_PER_SEC;
    p = taken(at);
    assert_true(p.left == 0);
    m->member[at].timeout = 0;
    p = taken(at);
    assert_false(p.limited);
}

static void numbers_out_of_range_are_not_shown(void **unused UNUSED)
{
    int at = member(MEMBER_NONE);
    drain(at, DRAIN_EMPTYING);
    m->member[at].signal = -1;
    m->member[at].deferred = 4711;
    m->member[at].open = UINT32_MAX;
    m->member[at].signal_at = NOW + 1;
    m->member[at].timeout = UINT64_MAX;
    struct status_process p = taken(at);
    assert_true(p.signal == 0 && p.deferred == 0 && !p.timed && !p.limited && p.conn[KIND_IN_FLIGHT] == 0);
    m->member[at].phase = UINT32_MAX;
    p = taken(at);
    assert_string_equal(status_state(&p), "serving");
}

static void who_is_shown(void **unused UNUSED)
{
    int at = member(MEMBER_NONE);
    assert_true(status_is_shown(&m->member[at]));
    m->member[at].state = MEMBER_AWAY;
    assert_false(status_is_shown(&m->member[at]));
    m->member[at].state = 12345;
    assert_false(status_is_shown(&m->member[at]));
    m->member[at].state = MEMBER_LEFT;
    assert_true(status_is_shown(&m->member[at]));
    m->member[at].serial = 0;
    assert_false(status_is_shown(&m->member[at]));
}

/* ---- connections ------------------------------------------------------------------------------------------------- */

static struct conn *fresh(void)
{
    static struct conn c;
    memset(&c, 0, sizeof c);
    conn_init(&c, 7, 0, false);
    conn_lives(&c);
    return &c;
}

static struct conn *asked(const char *request)
{
    struct conn *c = fresh();
    conn_received(c, request, strlen(request));
    return c;
}

static void each_kind(void **unused UNUSED)
{
    struct conn *c = fresh();
    assert_int_equal(status_kind_of(c), KIND_IDLE);
    c->stage = CONN_READ_SHUT;
    assert_int_equal(status_kind_of(c), KIND_CLOSING);
    c->stage = CONN_HALF_CLOSED;
    assert_int_equal(status_kind_of(c), KIND_HALF_CLOSED);
    c->stage = CONN_LINGERING;
    assert_int_equal(status_kind_of(c), KIND_LINGERING);
    c->live = false;
    assert_int_equal(status_kind_of(c), KIND_NONE);
    c = asked("GET / HT");
    assert_int_equal(status_kind_of(c), KIND_IN_FLIGHT);
    conn_inherit(c);
    assert_int_equal(status_kind_of(c), KIND_INHERITED);
    c = asked("\x16\x03\x01 no HTTP");
    assert_int_equal(status_kind_of(c), KIND_OPAQUE);
    c = fresh();
    c->fin = true;
    assert_int_equal(status_kind_of(c), KIND_HALF_CLOSED);
    c->stale = true;
    assert_int_equal(status_kind_of(c), KIND_NONE);
}

static void a_request_in_flight(void **unused UNUSED)
{
    static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct status_process p = {.pid = 9};
    struct status_request r;
    struct conn *c = asked("DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(status_take_conn(&p, &r, c));
    assert_string_equal(r.method, "DELETE");
    assert_int_equal(r.pid, 9);
    assert_int_equal(r.fd, 7);
    assert_true(r.request_bytes == 31 && r.response_bytes == 0);
    conn_sent(c, response, sizeof response - 1, sizeof response - 1);
    assert_false(status_take_conn(&p, &r, c));
    assert_int_equal(p.conn[KIND_IN_FLIGHT], 1);
    assert_int_equal(p.conn[KIND_IDLE], 1);
}

static void half_a_method_is_none(void **unused UNUSED)
{
    struct status_process p = {.pid = 9};
    struct status_request r;
    struct conn *c = asked("GET / HTTP/1.1\r\n\r\n");
    memcpy(c->in.facts.method, "\033[2J", 4);
    c->in.facts.method_len = 4;
    c->ring.pending = 1;
    assert_true(status_take_conn(&p, &r, c));
    assert_string_equal(r.method, "");
    memset(c->in.facts.method, 'A', sizeof c->in.facts.method);
    c->in.facts.method_len = 200;
    assert_true(status_take_conn(&p, &r, c));
    assert_string_equal(r.method, "");
}

/* ---- the group --------------------------------------------------------------------------------------------------- */

static struct status_group group_of(int count)
{
    struct status_group g = {.ino = 1, .process = calloc(GROUP_TABLE_MAX, sizeof *g.process)};
    for (int at = 0; at < count; at++)
        if (status_is_shown(&m->member[at]))
            g.process[g.processes++] = taken(at);
    status_finish(&g, m);
    return g;
}

static void the_master_comes_first(void **unused UNUSED)
{
    int old = member(MEMBER_NONE), master = member(MEMBER_NONE);
    member(master);
    m->member[old].state = MEMBER_FREE;
    m->next_serial = GROUP_TABLE_MAX + (uint32_t)old;
    int worker = member(master); /* in the old one's slot */
    assert_int_equal(worker, old);
    struct status_group g = group_of(3);
    assert_int_equal(g.processes, 3);
    assert_int_equal(g.process[0].at, master);
    assert_true(g.process[0].master && !g.process[1].master && !g.process[2].master);
    assert_null(g.drains);
    assert_true(status_lives(&g));
    status_drop(&g);
}

static void whose_drain_it_is(void **unused UNUSED)
{
    int master = member(MEMBER_NONE), worker = member(master);
    drain(worker, DRAIN_STOPPING_ACCEPT);
    struct status_group g = group_of(2);
    assert_true(g.drains == &g.process[1]);
    assert_string_equal(status_group_state(&g), "serving");
    status_drop(&g);
    drain(master, DRAIN_LAME_DUCK);
    g = group_of(2);
    assert_true(g.drains == &g.process[0]);
    assert_string_equal(status_group_state(&g), "lame_duck");
    status_drop(&g);
}

static void knotted_parents_end(void **unused UNUSED)
{
    int a = member(MEMBER_NONE), b = member(a);
    m->member[a].parent = m->member[b].serial;
    m->member[a].parent_at = (uint32_t)b;
    struct status_group g = group_of(2);
    assert_int_equal(g.processes, 2);
    status_drop(&g);
}

static void the_oldest_request_first(void **unused UNUSED)
{
    struct status_request r[] = {{.fd = 1}, {.fd = 2, .aged = true, .age = 5}, {.fd = 3, .aged = true, .age = 9}};
    struct status_group g = {.request = r, .requests = 3};
    status_sort_requests(&g);
    assert_true(r[0].fd == 3 && r[1].fd == 2 && r[2].fd == 1);
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static void names_are_made_printable(void **unused UNUSED)
{
    static const char hostile[] = "a\033[31m\"\\\xff\n";
    char out[STATUS_NAME];
    status_printable(out, sizeof out, hostile, sizeof hostile - 1);
    assert_string_equal(out, "a\\x1b[31m\\\"\\\\\\xff");
    status_printable(out, sizeof out, "nginx\n", 6);
    assert_string_equal(out, "nginx");
    status_printable(out, 4, "nginx\n", 6);
    assert_string_equal(out, "ngi");
    status_printable(out, sizeof out, "", 0);
    assert_string_equal(out, "");
}

static unsigned filled(nsec_t left, nsec_t whole)
{
    char *text;
    size_t size;
    unsigned n = 0;
    FILE *to = open_memstream(&text, &size);
    status_bar(to, left, whole, 40);
    fclose(to);
    assert_int_equal(size, 42);
    for (const char *c = text; *c; c++)
        n += *c == '#';
    free(text);
    return n;
}

static void the_bar_goes_down(void **unused UNUSED)
{
    assert_int_equal(filled(25, 25), 40);
    assert_int_equal(filled(0, 25), 0);
    assert_int_equal(filled(1, NSEC_PER_SEC), 1); /* not yet over */
    assert_int_equal(filled(UINT64_MAX, 25), 40);
    assert_int_equal(filled(5, 0), 0);
    for (nsec_t left = 1; left <= 1000; left++)
        assert_true(filled(left, 1000) >= filled(left - 1, 1000));
}

/* ---- anything at all --------------------------------------------------------------------------------------------- */

enum { SLOTS = 6 };

static uint64_t state;

static uint64_t random_word(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void mutate(void *memory, size_t size)
{
    static const uint64_t edges[] = {0, 1, UINT64_MAX, INT64_MAX, INT32_MAX, UINT32_MAX, (uint64_t)1 << 63, 0x80, 4096};
    for (unsigned n = 1 + random_word() % 32; n > 0; n--) {
        uint64_t word = random_word() % 2 ? random_word() : edges[random_word() % COUNT(edges)];
        size_t width = (size_t)1 << random_word() % 4, at = random_word() % (size - width + 1);
        memcpy((char *)memory + at, &word, width);
    }
}

static char *printed(const struct status *s, void (*print)(FILE *to, const struct status *s))
{
    char *text;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    print(to, s);
    fclose(to);
    for (size_t i = 0; i < size; i++)
        assert_true(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
    return text;
}

static void page(FILE *to, const struct status *s)
{
    status_page(to, s, 5);
}

static void line(FILE *to, const struct status *s)
{
    status_line(to, &s->group[0], true);
}

static void json(FILE *to, const struct status *s)
{
    assert_true(status_json(to, s, true, true));
}

static void show_all(const struct status *s)
{
    free(printed(s, page));
    free(printed(s, line));
    char *text = printed(s, json);
    json_t *parsed = json_loads(text, 0, NULL);
    assert_non_null(parsed);
    json_decref(parsed);
    free(text);
    text = printed(s, status_metrics);
    assert_true(strlen(text) > 6 && strcmp(text + strlen(text) - 6, "# EOF\n") == 0);
    free(text);
}

static void take_everything(void)
{
    struct status_request request[POOL_CHUNK];
    struct status_group g = {.ino = 1, .request = request, .process = calloc(GROUP_TABLE_MAX, sizeof *g.process)};
    struct status s = {.group = &g, .groups = 1};
    for (int at = 0; at < group_table_top(m); at++) {
        char name[16];
        struct status_process *p = &g.process[g.processes];
        if (!status_is_shown(&m->member[at]))
            continue;
        memset(p, 0, sizeof *p);
        status_take_member(p, m, at, NOW);
        p->sight = random_word() % (SIGHT_ENDED + 1);
        for (unsigned i = 0; i < sizeof name; i++)
            name[i] = (char)random_word();
        status_printable(p->name, sizeof p->name, name, sizeof name);
        g.processes++;
    }
    for (unsigned i = 0; g.processes > 0 && i < POOL_CHUNK; i++)
        g.requests += status_take_conn(&g.process[0], &request[g.requests], &chunk->conn[i]);
    status_finish(&g, m);
    status_sort_requests(&g);
    if (g.processes > 0)
        show_all(&s);
    free(g.process);
}

static void fill(void)
{
    memset(m, 0, sizeof *m);
    group_table_init(m, 1);
    int master = member(MEMBER_NONE);
    for (int i = 1; i < SLOTS; i++)
        member(master);
    drain(master, DRAIN_EMPTYING);
    for (unsigned i = 0; i < POOL_CHUNK; i++) {
        memset(&chunk->conn[i], 0, sizeof chunk->conn[i]);
        conn_init(&chunk->conn[i], (int)i, 0, false);
        conn_lives(&chunk->conn[i]);
        conn_received(&chunk->conn[i], "GET / HTTP/1.1\r\n\r\n", i % 19);
    }
}

static void hostile_memory_is_only_shown(void **unused UNUSED)
{
    unsigned refused = 0, mutations = repeats(4000);
    state = 0x9e3779b97f4a7c15u;
    for (unsigned i = 0; i < mutations; i++) {
        fill();
        mutate(m->member, SLOTS * sizeof m->member[0]);
        mutate(m, i % 4 ? sizeof *m : offsetof(struct group_table, member));
        mutate(chunk, sizeof *chunk);
        refused += status_table_problem(m, sizeof *m, random_word() % 9 ? sizeof *m : random_word()) != NULL;
        take_everything();
    }
    assert_in_range(refused, 1, mutations - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_table_is_told_from_others, begin, end),
        cmocka_unit_test_setup_teardown(a_member_that_serves, begin, end),
        cmocka_unit_test_setup_teardown(a_member_that_drains, begin, end),
        cmocka_unit_test_setup_teardown(numbers_out_of_range_are_not_shown, begin, end),
        cmocka_unit_test_setup_teardown(who_is_shown, begin, end),
        cmocka_unit_test(each_kind),
        cmocka_unit_test(a_request_in_flight),
        cmocka_unit_test(half_a_method_is_none),
        cmocka_unit_test_setup_teardown(the_master_comes_first, begin, end),
        cmocka_unit_test_setup_teardown(whose_drain_it_is, begin, end),
        cmocka_unit_test_setup_teardown(knotted_parents_end, begin, end),
        cmocka_unit_test(the_oldest_request_first),
        cmocka_unit_test(names_are_made_printable),
        cmocka_unit_test(the_bar_goes_down),
        cmocka_unit_test_setup_teardown(hostile_memory_is_only_shown, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
