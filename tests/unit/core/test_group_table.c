/* test_group_table.c: the table of a group: who belongs to whom, under threads, and with anything at all written in
 * it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <cmocka.h>

#include "core/group_table.h"
#include "repeats.h"

enum { COOKIE = 0x5eed, SPINS_AT_MOST = 120 /* seconds of a processor, then SIGPROF */ };
static struct group_table *m; /* on the heap by itself: the address sanitizer sees both its ends */

static void bound(int seconds)
{
    const struct itimerval at = {{0, 0}, {seconds, 0}};
    assert_int_equal(setitimer(ITIMER_PROF, &at, NULL), 0);
}

static int begin(void **unused UNUSED)
{
    m = calloc(1, sizeof *m);
    group_table_init(m, COOKIE);
    bound(SPINS_AT_MOST);
    return 0;
}

static int end(void **unused UNUSED)
{
    bound(0);
    free(m);
    return 0;
}

/* One that was forked by another (MEMBER_NONE: the first), and serves. Its pid is 100 more than its slot. */
static int forked(int parent)
{
    int at = group_table_claim(m, parent, MEMBER_SERVES, 1);
    assert_in_range(at, 0, GROUP_TABLE_MAX - 1);
    m->member[at].pid = m->member[at].own_pid = 100 + at;
    return at;
}

static int execed(int parent, uint32_t flags)
{
    int at = forked(parent);
    m->member[at].flags |= MEMBER_EXECED | flags;
    return at;
}

/* The next slot that is given is this one, if it is free. */
static void turn_to(int at)
{
    while (m->next_serial % GROUP_TABLE_MAX != (uint32_t)at)
        m->next_serial++;
}

static uint32_t serial(int at)
{
    return m->member[at].serial;
}

static void leave(int at, bool keep)
{
    assert_true(group_table_leave(m, at, serial(at), keep));
}

static void drain(int at, enum drain_phase phase)
{
    m->member[at].phase = phase;
}

/* ---- validity --------------------------------------------------------------------------------------------- */

static void knows_its_own_memory(void **unused UNUSED)
{
    assert_true(group_table_is_valid(m, COOKIE));
    assert_false(group_table_is_valid(m, COOKIE + 1));
    assert_int_equal(group_table_top(m), 0);
}

static void refuses_other_memory(void **unused UNUSED)
{
    struct group_table *other = calloc(1, sizeof *other);
    assert_false(group_table_is_valid(other, 0));
    free(other);
    m->version++; /* another lastcall's */
    assert_false(group_table_is_valid(m, COOKIE));
    m->version--;
    m->size -= 8;
    assert_false(group_table_is_valid(m, COOKIE));
    m->size += 8;
    m->magic[7] = 0;
    assert_false(group_table_is_valid(m, COOKIE));
}

/* ---- coming and going ------------------------------------------------------------------------------------- */

static void a_claim_fills_the_slot(void **unused UNUSED)
{
    int root = group_table_claim(m, MEMBER_NONE, MEMBER_SERVES, 77);
    int child = group_table_claim(m, root, MEMBER_STARTING, 78);
    const struct member *r = &m->member[root], *c = &m->member[child];
    assert_int_equal(r->state, MEMBER_SERVES);
    assert_int_equal(c->state, MEMBER_STARTING);
    assert_int_equal(r->started_at, 77);
    assert_int_equal(c->started_at, 78);
    assert_int_not_equal(r->serial, 0);
    assert_int_not_equal(c->serial, r->serial);
    assert_int_equal(r->flags, MEMBER_FORKS);
    assert_int_equal(c->flags, 0);
    assert_int_equal(r->parent, 0);
    assert_int_equal(group_table_parent(m, root), MEMBER_NONE);
    assert_int_equal(group_table_parent(m, child), root);
    assert_int_equal(group_table_top(m), 2);
}

static void a_slot_taken_again_knows_nothing_of_the_last(void **unused UNUSED)
{
    int root = forked(MEMBER_NONE), first = execed(root, MEMBER_IGNORES_SIGNALS);
    uint32_t before = serial(first);
    drain(first, DRAIN_EMPTYING);
    m->member[first].counts.aborted = 3;
    m->member[first].end = MEMBER_KILLED;
    leave(first, false);
    turn_to(first);
    int second = group_table_claim(m, MEMBER_NONE, MEMBER_STARTING, 5);
    assert_int_equal(second, first);
    assert_int_not_equal(serial(second), before);
    struct member want = {.state = MEMBER_STARTING, .serial = serial(second), .started_at = 5};
    assert_memory_equal(&m->member[second], &want, sizeof want);
}

static void a_serial_is_never_nothing(void **unused UNUSED)
{
    m->next_serial = UINT32_MAX - 1;
    assert_int_equal(serial(forked(MEMBER_NONE)), UINT32_MAX);
    assert_int_equal(serial(forked(MEMBER_NONE)), 1);
}

static void leaves_once(void **unused UNUSED)
{
    int at = forked(MEMBER_NONE);
    uint32_t s = serial(at);
    assert_false(group_table_leave(m, at, s + 1, false));
    assert_true(group_table_leave(m, at, s, false));
    assert_int_equal(m->member[at].state, MEMBER_FREE);
    assert_false(group_table_leave(m, at, s, false));
    turn_to(at);
    assert_int_equal(forked(MEMBER_NONE), at);
    assert_false(group_table_leave(m, at, s, false)); /* meant the one before */
    assert_int_equal(m->member[at].state, MEMBER_SERVES);
}

/* Its process may not have ended yet, and is known by the number that stands there. */
static void what_was_given_back_is_the_last_to_be_given(void **unused UNUSED)
{
    int at = forked(MEMBER_NONE);
    leave(at, false);
    for (int i = 1; i < GROUP_TABLE_MAX; i++) {
        int other = forked(MEMBER_NONE);
        assert_int_not_equal(other, at);
        leave(other, false);
    }
    assert_int_equal(forked(MEMBER_NONE), at);
}

static void what_is_kept_is_not_given_again(void **unused UNUSED)
{
    int at = forked(MEMBER_NONE);
    leave(at, true);
    assert_int_equal(m->member[at].state, MEMBER_LEFT);
    assert_false(group_table_leave(m, at, serial(at), false));
    assert_int_not_equal(forked(MEMBER_NONE), at);
}

static void is_full_at_512(void **unused UNUSED)
{
    int root = forked(MEMBER_NONE);
    for (int i = 1; i < GROUP_TABLE_MAX; i++)
        assert_int_equal(forked(root), i);
    assert_int_equal(group_table_top(m), GROUP_TABLE_MAX);
    assert_int_equal(group_table_claim(m, root, MEMBER_STARTING, 1), MEMBER_NONE);
    leave(300, false);
    assert_int_equal(forked(root), 300);
    assert_int_equal(group_table_claim(m, root, MEMBER_STARTING, 1), MEMBER_NONE);
    assert_int_equal(group_table_top(m), GROUP_TABLE_MAX);
}

static void found_by_pid(void **unused UNUSED)
{
    int root = forked(MEMBER_NONE), away = forked(root), gone = forked(root), kept = forked(root);
    m->member[away].state = MEMBER_AWAY;
    leave(gone, false);
    leave(kept, true);
    assert_int_equal(group_table_find(m, 100 + root), root);
    assert_int_equal(group_table_find(m, 100 + away), away);
    assert_int_equal(group_table_find(m, 100 + gone), MEMBER_NONE);
    assert_int_equal(group_table_find(m, 100 + kept), MEMBER_NONE);
    assert_int_equal(group_table_find(m, 99), MEMBER_NONE);
}

static void children_of_one_that_has_left_are_its_parents(void **unused UNUSED)
{
    int root = forked(MEMBER_NONE), middle = forked(root), other = forked(root);
    int one = forked(middle), two = forked(middle), nephew = forked(other);
    leave(middle, false);
    assert_int_equal(group_table_parent(m, one), root);
    assert_int_equal(group_table_parent(m, two), root);
    assert_int_equal(group_table_parent(m, nephew), other);
    turn_to(middle);
    assert_int_equal(forked(MEMBER_NONE), middle); /* its slot is an unrelated process's now */
    assert_int_equal(group_table_parent(m, one), root);
    leave(root, true);
    assert_int_equal(group_table_parent(m, one), MEMBER_NONE);
    assert_int_equal(group_table_parent(m, other), MEMBER_NONE);
    assert_int_equal(group_table_parent(m, nephew), other);
}

/* The counts of a worker are the master's to report, though what stood between them has ended since. */
static void what_is_kept_goes_to_the_parents_too(void **unused UNUSED)
{
    int root = forked(MEMBER_NONE), middle = forked(root), leaf = forked(middle);
    leave(leaf, true);
    leave(middle, true);
    assert_true(group_table_in_scope(m, leaf, root));
    assert_true(group_table_in_scope(m, middle, root));
}

/* ---- scope ------------------------------------------------------------------------------------------------ */

static void forks_of_forks_work_for_the_first(void **unused UNUSED)
{
    int chain[GROUP_TABLE_MAX];
    for (int i = 0; i < GROUP_TABLE_MAX; i++)
        chain[i] = forked(i == 0 ? MEMBER_NONE : chain[i - 1]);
    int last = chain[GROUP_TABLE_MAX - 1];
    assert_true(group_table_in_scope(m, last, chain[0]));
    assert_true(group_table_reachable(m, last, chain[0]));
    assert_true(group_table_in_scope(m, last, last));
    assert_true(group_table_in_scope(m, chain[9], chain[4]));
    assert_false(group_table_in_scope(m, chain[4], chain[9]));
    assert_false(group_table_in_scope(m, MEMBER_NONE, chain[0]));
    drain(chain[0], DRAIN_LAME_DUCK);
    assert_int_equal(group_table_coordinator(m, last), chain[0]);
}

static void siblings_do_not_work_for_each_other(void **unused UNUSED)
{
    int root = forked(MEMBER_NONE), one = forked(root), two = forked(root), unrelated = forked(MEMBER_NONE);
    assert_true(group_table_in_scope(m, one, root));
    assert_false(group_table_in_scope(m, one, two));
    assert_false(group_table_in_scope(m, root, one));
    assert_false(group_table_in_scope(m, unrelated, root));
}

/* What an exec'd process has shown, what its parent has, and whether it works for it. */
static void execed_workers_and_successors(void **unused UNUSED)
{
    enum { R = MEMBER_RECEIVED, F = MEMBER_FORKS, D = MEMBER_IGNORES_SIGNALS };
    enum { OWN = MEMBER_ACCEPTS, A = MEMBER_ACCEPTS | MEMBER_INHERITED };
    static const struct {
        uint32_t own, parents;
        bool works;
    } rows[] = {
        {0, 0, false},     /* a command, or one that has not begun */
        {D, 0, false},     /**/
        {R, 0, true},      /* node's cluster: connections come from the master, */
        {R, A, true},      /* who accepts them, */
        {R | A, A, true},  /* or shares the listener */
        {R | F, A, true},  /* and has children of its own */
        {A, 0, true},      /* serves in place of a parent who only started it */
        {A | D, 0, true},  /**/
        {A, D | R, true},  /**/
        {A, A, false},     /* serves beside it */
        {A, A | R, false}, /**/
        {A | F, 0, false}, /* nginx USR2: a master with workers of its own */
        {A | F, A, false}, /**/
        {F, 0, false},     /**/
        {OWN, 0, false},   /* another server, which its parent has only started */
        {OWN, A, false},   /**/
        {OWN | F, 0, false},
    };
    for (unsigned i = 0; i < COUNT(rows); i++) {
        int root = forked(MEMBER_NONE);
        m->member[root].flags |= rows[i].parents;
        int child = execed(root, rows[i].own);
        assert_int_equal(group_table_parent(m, child), root);
        if (group_table_master(m, child) != (rows[i].works ? root : MEMBER_NONE))
            fail_msg("row %u", i);
        assert_int_equal(group_table_in_scope(m, child, root), rows[i].works);
    }
}

/* A shell stands between the two: a member that is gone to another program. */
static void behind_shells(void **unused UNUSED)
{
    enum { A = MEMBER_ACCEPTS, I = MEMBER_ACCEPTS | MEMBER_INHERITED };
    static const struct {
        uint32_t own, servers;
        bool works;
    } rows[] = {{A, A, false}, {A, 0, false}, {I, A, false}, {I, 0, true}, {I | MEMBER_FORKS, 0, false}};
    for (unsigned i = 0; i < COUNT(rows); i++) {
        int server = forked(MEMBER_NONE), shell = forked(server), inner = forked(shell);
        m->member[server].flags |= rows[i].servers;
        m->member[shell].state = m->member[inner].state = MEMBER_AWAY;
        int child = execed(inner, rows[i].own);
        if (group_table_in_scope(m, child, server) != rows[i].works)
            fail_msg("row %u", i);
        m->member[server].state = MEMBER_AWAY; /* no server is left that it could work for */
        if (group_table_in_scope(m, child, server))
            fail_msg("row %u, and no server", i);
    }
}

static void forked_ones_work_whatever_they_do(void **unused UNUSED)
{
    int root = forked(MEMBER_NONE), child = forked(root);
    m->member[root].flags |= MEMBER_ACCEPTS;
    m->member[child].flags |= MEMBER_ACCEPTS | MEMBER_FORKS;
    assert_int_equal(group_table_master(m, child), root);
}

static void what_works_for_a_successor_is_the_successors(void **unused UNUSED)
{
    int old = forked(MEMBER_NONE), old_worker = forked(old), successor = execed(old, MEMBER_ACCEPTS),
        worker = forked(successor);
    assert_true(group_table_in_scope(m, old_worker, old));
    assert_false(group_table_in_scope(m, successor, old));
    assert_false(group_table_in_scope(m, worker, old));
    assert_true(group_table_in_scope(m, worker, successor));
}

/* ---- coordinator ----------------------------------------------------------------------------------------------- */

static void nobody_coordinates_where_nobody_drains(void **unused UNUSED)
{
    int root = forked(MEMBER_NONE), child = forked(root);
    assert_int_equal(group_table_coordinator(m, child), MEMBER_NONE);
    drain(root, DRAIN_DONE);
    assert_int_equal(group_table_coordinator(m, child), MEMBER_NONE);
    assert_int_equal(group_table_coordinator(m, MEMBER_NONE), MEMBER_NONE);
}

static void the_outermost_that_drains_coordinates(void **unused UNUSED)
{
    int root = forked(MEMBER_NONE), middle = forked(root), leaf = forked(middle), sibling = forked(root);
    drain(leaf, DRAIN_DRAINED);
    assert_int_equal(group_table_coordinator(m, leaf), leaf);
    assert_int_equal(group_table_coordinator(m, middle), MEMBER_NONE);
    for (int phase = DRAIN_LAME_DUCK; phase <= DRAIN_DRAINED; phase++) {
        drain(root, (enum drain_phase)phase);
        assert_int_equal(group_table_coordinator(m, leaf), root);
        assert_int_equal(group_table_coordinator(m, sibling), root);
        assert_int_equal(group_table_coordinator(m, root), root);
    }
    drain(root, DRAIN_DONE);
    drain(middle, DRAIN_LAME_DUCK);
    assert_int_equal(group_table_coordinator(m, leaf), middle);
    assert_int_equal(group_table_coordinator(m, sibling), MEMBER_NONE);
    drain(middle, DRAIN_DONE);
    assert_int_equal(group_table_coordinator(m, leaf), leaf);
}

static void a_successor_is_not_coordinated_by_the_old_one(void **unused UNUSED)
{
    int old = forked(MEMBER_NONE), successor = execed(old, MEMBER_ACCEPTS | MEMBER_FORKS), worker = forked(successor);
    drain(old, DRAIN_EMPTYING);
    assert_int_equal(group_table_coordinator(m, successor), MEMBER_NONE);
    assert_int_equal(group_table_coordinator(m, worker), MEMBER_NONE);
}

/* Its slot is kept for its coordinator; when that is gone too, it must not look as if it led itself, for it would be
 * kept for ever. */
static void one_that_has_left_coordinates_nobody(void **unused UNUSED)
{
    int root = forked(MEMBER_NONE), worker = forked(root);
    drain(root, DRAIN_EMPTYING);
    drain(worker, DRAIN_EMPTYING);
    leave(worker, true);
    assert_int_equal(group_table_coordinator(m, worker), root);
    leave(root, true);
    assert_int_equal(group_table_coordinator(m, worker), MEMBER_NONE);
    assert_int_equal(group_table_coordinator(m, root), MEMBER_NONE);
}

/* ---- pid namespaces --------------------------------------------------------------------------------------- */

static void pids_mean_something_in_their_own_namespace(void **unused UNUSED)
{
    int root = forked(MEMBER_NONE), init = forked(root), inside = forked(init), deeper = forked(inside);
    int beside = forked(root);
    m->member[init].own_pid = 1;
    assert_true(group_table_reachable(m, init, root)); /* numbered where its parent lives */
    assert_false(group_table_reachable(m, inside, root));
    assert_false(group_table_reachable(m, deeper, root));
    assert_true(group_table_reachable(m, inside, init));
    assert_true(group_table_reachable(m, deeper, init));
    assert_true(group_table_reachable(m, beside, root));
    assert_true(group_table_reachable(m, root, root));
    assert_false(group_table_reachable(m, root, beside));
    assert_false(group_table_reachable(m, beside, init));
}

static void a_pid_not_known_yet_hides_nobody(void **unused UNUSED)
{
    int root = forked(MEMBER_NONE), middle = forked(root), leaf = forked(middle);
    m->member[middle].pid = 0;
    m->member[middle].own_pid = 1;
    assert_true(group_table_reachable(m, leaf, root));
    m->member[middle].pid = 7;
    m->member[middle].own_pid = 0;
    assert_true(group_table_reachable(m, leaf, root));
}

/* ---- listeners and aborted requests ------------------------------------------------------------------------------ */

static void the_holders_are_of_one_coordinator(void **unused UNUSED)
{
    uint32_t one = serial(forked(MEMBER_NONE)), two = serial(forked(MEMBER_NONE));
    assert_int_equal(group_table_holders(m, 7, one), HOLDERS_UNKNOWN);
    group_table_set_holders(m, 7, one, true);
    group_table_set_holders(m, 7, two, false);
    group_table_set_holders(m, 8, one, false);
    assert_int_equal(group_table_holders(m, 7, one), HOLDERS_MEMBERS);
    assert_int_equal(group_table_holders(m, 7, two), HOLDERS_EXTERNAL);
    assert_int_equal(group_table_holders(m, 8, one), HOLDERS_EXTERNAL);
    assert_int_equal(group_table_holders(m, 8, two), HOLDERS_UNKNOWN);
}

static void the_first_answer_about_holders_stands(void **unused UNUSED)
{
    uint32_t coordinator = serial(forked(MEMBER_NONE));
    group_table_set_holders(m, 7, coordinator, false);
    group_table_set_holders(m, 7, coordinator, true);
    assert_int_equal(group_table_holders(m, 7, coordinator), HOLDERS_EXTERNAL);
    group_table_clear_external(m, 8, coordinator);
    assert_int_equal(group_table_holders(m, 7, coordinator), HOLDERS_EXTERNAL);
    assert_int_equal(group_table_holders(m, 8, coordinator), HOLDERS_UNKNOWN);
    group_table_clear_external(m, 7, coordinator);
    assert_int_equal(group_table_holders(m, 7, coordinator), HOLDERS_MEMBERS);
}

static void full_of_listeners_knows_no_holders(void **unused UNUSED)
{
    uint32_t coordinator = serial(forked(MEMBER_NONE));
    for (uint64_t i = 1; i <= GROUP_TABLE_LISTENERS + 10; i++)
        group_table_set_holders(m, i, coordinator, true);
    for (uint64_t i = 1; i <= GROUP_TABLE_LISTENERS + 10; i++)
        assert_int_equal(group_table_holders(m, i, coordinator),
                         i <= GROUP_TABLE_LISTENERS ? HOLDERS_MEMBERS : HOLDERS_UNKNOWN);
}

/* A master whose workers are replaced one by one, each a coordinator of its own end, has listeners left for its own. */
static void listeners_of_those_that_have_left_are_free(void **unused UNUSED)
{
    int root = forked(MEMBER_NONE);
    for (int i = 0; i < 10 * GROUP_TABLE_LISTENERS; i++) {
        int worker = forked(root);
        group_table_set_holders(m, 7, serial(worker), false);
        assert_int_equal(group_table_holders(m, 7, serial(worker)), HOLDERS_EXTERNAL);
        leave(worker, i & 1);
        if (i & 1)
            m->member[worker].state = MEMBER_FREE; /* reaped */
    }
    group_table_set_holders(m, 7, serial(root), true);
    assert_int_equal(group_table_holders(m, 7, serial(root)), HOLDERS_MEMBERS);
}

static void aborted_requests_without_room_are_counted(void **unused UNUSED)
{
    for (uint32_t i = 0; i < GROUP_TABLE_ABORTED; i++) {
        uint32_t of = serial(forked(MEMBER_NONE));
        struct group_aborted *aborted = group_table_add_aborted(m, of);
        assert_ptr_equal(aborted, &m->aborted[i]);
        assert_int_equal(aborted->serial, of);
    }
    for (uint32_t i = 0; i < 3; i++)
        assert_null(group_table_add_aborted(m, m->aborted[i].serial));
    assert_int_equal(m->aborted_count, GROUP_TABLE_ABORTED + 3);
}

/* A group lives long, and its workers come and go, each with requests that it has aborted. */
static void aborted_requests_of_those_that_have_left_make_room(void **unused UNUSED)
{
    int root = forked(MEMBER_NONE), kept;
    for (int i = 0; i < 3 * GROUP_TABLE_ABORTED; i++) {
        int worker = forked(root);
        struct group_aborted *aborted = group_table_add_aborted(m, serial(worker));
        assert_non_null(aborted);
        assert_int_equal(aborted->serial, serial(worker));
        assert_int_equal(aborted->peer[0], '\0');
        aborted->peer[0] = 'p';
        leave(worker, false);
    }
    /* But not before the coordinator has reported them. */
    m->member[root].phase = DRAIN_EMPTYING;
    for (int i = 0; i < GROUP_TABLE_ABORTED; i++) {
        kept = forked(root);
        assert_non_null(group_table_add_aborted(m, serial(kept)));
        leave(kept, true);
    }
    assert_null(group_table_add_aborted(m, serial(forked(root))));
    m->member[root].phase = DRAIN_DONE;
    assert_non_null(group_table_add_aborted(m, serial(forked(root))));
}

/* ---- threads ---------------------------------------------------------------------------------------------- */

enum { THREADS = 4, HELD = 150 /* of all threads: more than there are */, TURNS = 20000 };
static int owner[GROUP_TABLE_MAX];
static int clashes, refused, full;
static bool stop;

static void count(int *what)
{
    __atomic_add_fetch(what, 1, __ATOMIC_RELAXED);
}

static int in_threads(void *(*f)(void *), void (*meanwhile)(void))
{
    pthread_t thread[THREADS];
    clashes = refused = full = 0;
    stop = false;
    memset(owner, 0, sizeof owner);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, f, (void *)(i + 1)), 0);
    if (meanwhile)
        meanwhile();
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    return clashes;
}

static void *hammer(void *seed)
{
    int held[HELD];
    uint32_t serials[HELD];
    unsigned random = (unsigned)(uintptr_t)seed;
    memset(held, -1, sizeof held);
    for (int i = 0; i < TURNS + HELD; i++) {
        int h = i < TURNS ? (int)((random = random * 1103515245 + 12345) / 65536 % HELD) : i - TURNS;
        if (held[h] >= 0) {
            __atomic_store_n(&owner[held[h]], 0, __ATOMIC_RELAXED);
            if (!group_table_leave(m, held[h], serials[h], false))
                count(&refused);
            held[h] = MEMBER_NONE;
        } else if (i < TURNS) {
            held[h] = group_table_claim(m, MEMBER_NONE, MEMBER_SERVES, 1);
            if (held[h] == MEMBER_NONE)
                count(&full);
            else if (__atomic_exchange_n(&owner[held[h]], 1, __ATOMIC_RELAXED))
                count(&clashes);
            else
                serials[h] = serial(held[h]);
        }
    }
    return NULL;
}

static void one_owner_each_under_threads(void **unused UNUSED)
{
    assert_int_equal(in_threads(hammer, NULL), 0);
    assert_int_equal(refused, 0);
    for (int i = 0; i < GROUP_TABLE_MAX; i++)
        assert_int_equal(m->member[i].state, MEMBER_FREE);
}

static void *grab(void *unused UNUSED)
{
    int at;
    while ((at = group_table_claim(m, MEMBER_NONE, MEMBER_STARTING, 1)) != MEMBER_NONE)
        if (__atomic_exchange_n(&owner[at], 1, __ATOMIC_RELAXED))
            count(&clashes);
    return NULL;
}

static void every_slot_once_under_threads(void **unused UNUSED)
{
    bool seen[GROUP_TABLE_MAX + 1] = {false};
    assert_int_equal(in_threads(grab, NULL), 0);
    assert_int_equal(group_table_top(m), GROUP_TABLE_MAX);
    for (int i = 0; i < GROUP_TABLE_MAX; i++) {
        assert_int_equal(owner[i], 1);
        assert_in_range(serial(i), 1, GROUP_TABLE_MAX);
        assert_false(seen[serial(i)]);
        seen[serial(i)] = true;
    }
}

/* All four say of the same one that it has ended: one is believed. */
static int victim;
static uint32_t victims_serial;

static void *reap(void *unused UNUSED)
{
    if (group_table_leave(m, victim, victims_serial, true))
        count(&clashes);
    return NULL;
}

static void one_is_believed_that_it_has_left(void **unused UNUSED)
{
    int root = forked(MEMBER_NONE);
    for (int i = 0; i < 200; i++) {
        victim = forked(root);
        victims_serial = serial(victim);
        assert_int_equal(in_threads(reap, NULL), 1);
        m->member[victim].state = MEMBER_FREE;
    }
}

static int top, bottom;

static void *look(void *unused UNUSED)
{
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
        if (!group_table_in_scope(m, bottom, top))
            count(&clashes);
    return NULL;
}

/* What stands between them goes: from above in one half, from below in the other. */
static void thin_out(void)
{
    for (int i = 1; i < bottom; i++) {
        int at = i & 1 ? (i + 1) / 2 : bottom - i / 2;
        leave(at, i & 2);
    }
}

/* A coordinator who does not see a member for a moment may be released in it. */
static void never_out_of_scope_while_others_leave(void **unused UNUSED)
{
    for (int i = 0; i < 100; i++) {
        memset(m->member, 0, sizeof m->member);
        turn_to(0);
        top = bottom = forked(MEMBER_NONE);
        while (bottom < 100)
            bottom = forked(bottom);
        assert_int_equal(in_threads(look, thin_out), 0);
        assert_int_equal(group_table_parent(m, bottom), top);
    }
}

static void *dither(void *unused UNUSED)
{
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        uint32_t *state = &m->member[1].state, starting = MEMBER_STARTING, serves = MEMBER_SERVES;
        __atomic_compare_exchange_n(state, &starting, MEMBER_SERVES, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
        __atomic_compare_exchange_n(state, &serves, MEMBER_STARTING, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void leave_and_come(void)
{
    for (int i = 0; i < TURNS; i++) {
        turn_to(1);
        int at = group_table_claim(m, 0, MEMBER_STARTING, 1);
        if (at != 1 || !group_table_leave(m, at, serial(at), false))
            count(&clashes);
    }
}

/* One thread begins to serve while another ends the process. */
static void leaves_whatever_it_just_does(void **unused UNUSED)
{
    forked(MEMBER_NONE);
    assert_int_equal(in_threads(dither, leave_and_come), 0);
}

/* ---- hostile contents ------------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t rnd(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)(rnd() >> 32) % n;
}

static void scramble(struct group_table *to)
{
    uint64_t word;
    size_t n = sizeof *to;
    for (size_t at = 0; at < n; at += sizeof word) {
        word = rnd();
        memcpy((char *)to + at, &word, n - at < sizeof word ? n - at : sizeof word);
    }
}

/* Random, but near enough to what is expected that all branches are taken: rings of parents, wrong slots, any phase. */
static void make_plausible(struct group_table *to)
{
    uint32_t serials = 1 + below(2 * GROUP_TABLE_MAX), step = below(4);
    to->top = below(2) ? GROUP_TABLE_MAX : below(2000);
    for (uint32_t i = 0; i < GROUP_TABLE_MAX; i++) {
        struct member *who = &to->member[i];
        who->state = below(8) ? MEMBER_SERVES : below(7);
        who->serial = below(8) ? i + 1 : below(serials);
        who->parent_at = below(16) ? (i + step) % GROUP_TABLE_MAX : below(600);
        who->parent = below(16) ? who->parent_at + 1 : below(serials);
        who->phase = below(8);
        who->flags = below(2) ? 0 : below(64);
        who->pid = (int32_t)below(8);
        who->own_pid = below(4) ? who->pid : (int32_t)below(8);
    }
    for (int i = 0; i < GROUP_TABLE_LISTENERS; i++)
        to->listener[i].coordinator = below(8);
    to->aborted_count = below(2 * GROUP_TABLE_ABORTED);
}

static void in_the_table(int at)
{
    assert_in_range(at + 1, 0, GROUP_TABLE_MAX);
}

/* Call everything that only reads. */
static void ask(void)
{
    int at = (int)below(GROUP_TABLE_MAX), root = (int)below(GROUP_TABLE_MAX);
    in_the_table(group_table_top(m) - 1);
    in_the_table(group_table_find(m, (int)below(8)));
    in_the_table(group_table_parent(m, at));
    in_the_table(group_table_master(m, at));
    in_the_table(group_table_coordinator(m, at));
    group_table_in_scope(m, at, root);
    group_table_reachable(m, at, root);
    assert_true(group_table_in_scope(m, root, root));
    assert_in_range(group_table_holders(m, rnd(), below(8)), HOLDERS_UNKNOWN, HOLDERS_EXTERNAL);
    group_table_is_valid(m, rnd());
}

/* And everything that writes. */
static void change(void)
{
    int at = (int)below(GROUP_TABLE_MAX);
    in_the_table(group_table_claim(m, (int)below(GROUP_TABLE_MAX + 1) - 1, MEMBER_STARTING, 1));
    in_the_table(group_table_claim(m, GROUP_TABLE_MAX + (int)below(9), MEMBER_STARTING, 1));
    group_table_leave(m, at, serial(at), below(2));
    group_table_set_holders(m, rnd(), below(8), below(2));
    struct group_aborted *aborted = group_table_add_aborted(m, 1);
    if (aborted)
        assert_in_range(aborted - m->aborted, 0, GROUP_TABLE_ABORTED - 1);
}

static void anything_in_the_table(void **unused UNUSED)
{
    random_state = 0x9e3779b97f4a7c15;
    for (unsigned i = 0; i < repeats(10000); i++) {
        scramble(m);
        if (i & 1)
            make_plausible(m);
        for (int k = 0; k < 10; k++) {
            ask();
            change();
        }
    }
}

static void a_ring_of_parents(void **unused UNUSED)
{
    int one = forked(MEMBER_NONE), two = forked(one), three = forked(two), other = forked(MEMBER_NONE);
    m->member[one].parent = serial(three);
    m->member[one].parent_at = (uint32_t)three;
    assert_true(group_table_in_scope(m, one, two));
    assert_false(group_table_in_scope(m, one, other));
    assert_false(group_table_reachable(m, one, other));
    assert_int_equal(group_table_coordinator(m, one), MEMBER_NONE);
    m->member[other].parent = serial(other);
    m->member[other].parent_at = (uint32_t)other;
    assert_false(group_table_in_scope(m, other, one));
    leave(other, false);
    leave(two, false);
    assert_false(group_table_in_scope(m, three, other));
}

static void *scribble(void *seed)
{
    uint32_t random = (uint32_t)(uintptr_t)seed, *word = (uint32_t *)m;
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        random = random * 1664525 + 1013904223;
        uint32_t at = (random >> 8) % (uint32_t)(sizeof *m / sizeof *word);
        __atomic_store_n(&word[at], random >> (random & 31), __ATOMIC_RELAXED);
    }
    return NULL;
}

static void ask_and_change(void)
{
    random_state = 0x2545f4914f6cdd1d;
    for (int i = 0; i < TURNS; i++) {
        if (i % 200 == 0)
            make_plausible(m);
        ask();
        change();
    }
}

static void anything_while_it_is_read(void **unused UNUSED)
{
    in_threads(scribble, ask_and_change);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(knows_its_own_memory),
        T(refuses_other_memory),
        T(a_claim_fills_the_slot),
        T(a_slot_taken_again_knows_nothing_of_the_last),
        T(a_serial_is_never_nothing),
        T(leaves_once),
        T(what_was_given_back_is_the_last_to_be_given),
        T(what_is_kept_is_not_given_again),
        T(is_full_at_512),
        T(found_by_pid),
        T(children_of_one_that_has_left_are_its_parents),
        T(what_is_kept_goes_to_the_parents_too),
        T(forks_of_forks_work_for_the_first),
        T(siblings_do_not_work_for_each_other),
        T(execed_workers_and_successors),
        T(behind_shells),
        T(forked_ones_work_whatever_they_do),
        T(what_works_for_a_successor_is_the_successors),
        T(nobody_coordinates_where_nobody_drains),
        T(the_outermost_that_drains_coordinates),
        T(a_successor_is_not_coordinated_by_the_old_one),
        T(one_that_has_left_coordinates_nobody),
        T(pids_mean_something_in_their_own_namespace),
        T(a_pid_not_known_yet_hides_nobody),
        T(the_holders_are_of_one_coordinator),
        T(the_first_answer_about_holders_stands),
        T(full_of_listeners_knows_no_holders),
        T(listeners_of_those_that_have_left_are_free),
        T(aborted_requests_without_room_are_counted),
        T(aborted_requests_of_those_that_have_left_make_room),
        T(one_owner_each_under_threads),
        T(every_slot_once_under_threads),
        T(one_is_believed_that_it_has_left),
        T(never_out_of_scope_while_others_leave),
        T(leaves_whatever_it_just_does),
        T(anything_in_the_table),
        T(a_ring_of_parents),
        T(anything_while_it_is_read),
    };
    return cmocka_run_group_tests_name("group_table", tests, NULL, NULL);
}
