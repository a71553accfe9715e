/* explore.c: every order of events of world.h, breadth first, each state once. Usage: [EXPLORE_DEEPER=N] explore
 * [NAME...] N: so many events deeper than else (two_and_one comes to its end at 42 events, in a minute).
 *
 * Of each state it asks two things. Was anything wrong in the step that led here (delivered early, late,
 * twice)? And if from here on each finishes what it has begun, and nothing new begins: is every signal delivered in the
 * end? Prints `ok NAME`, or `FAIL NAME: what` with the events that lead there. */
#include "edge.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define S       NSEC_PER_SEC
#define HORIZON (6 * S)
#define OPTIONS(timeout_, delay_, quiet_)                                                                  \
    {                                                                                                      \
        .timeout = (timeout_), .delay = (delay_), .delay_quiet = (quiet_), .idle = 1 * S, .linger = 2 * S, \
        .close_notice = true, .shutdown_time = 1 * S                                                       \
    }

static const struct game games[] = {
    {.name = "alone", .options = OPTIONS(0, 0, 0), .clients = 3, .requests = 2, .terms = 1, .depth = 15},
    {.name = "alone_to_the_end", .options = OPTIONS(0, 0, 0), .clients = 1, .requests = 2, .terms = 1, .depth = 99},
    {.name = "alone_deadline",
     .options = OPTIONS(3 * S, 1 * S, 0),
     .clients = 2,
     .requests = 1,
     .terms = 2,
     .depth = 18},
    {.name = "alone_handler",
     .options = OPTIONS(3 * S, 0, 0),
     .clients = 2,
     .requests = 2,
     .handles = true,
     .terms = 1,
     .depth = 18},
    {.name = "two", .options = OPTIONS(0, 0, 0), .clients = 3, .requests = 1, .worker = true, .terms = 1, .depth = 12},
    {.name = "two_and_one",
     .options = OPTIONS(0, 0, 0),
     .clients = 1,
     .requests = 1,
     .worker = true,
     .terms = 1,
     .depth = 17},
    {.name = "two_deadline",
     .options = OPTIONS(3 * S, 1 * S, S / 2),
     .clients = 2,
     .requests = 1,
     .worker = true,
     .terms = 2,
     .depth = 12},
    {.name = "two_killed",
     .options = OPTIONS(0, 0, 0),
     .clients = 3,
     .requests = 1,
     .worker = true,
     .kills = true,
     .exits = true,
     .terms = 2,
     .depth = 11},
    {.name = "forked",
     .options = OPTIONS(0, 0, 0),
     .clients = 3,
     .requests = 1,
     .forks = true,
     .kills = true,
     .terms = 1,
     .depth = 13},
};

/* ---- the states: each known by its hash -------------------------------------------------------------------------- */

struct set {
    uint64_t *at;
    size_t size, used;
};

struct step {
    uint32_t from;
    uint8_t event, who;
};

static struct set seen, good;
static struct step *steps;
static struct world *frontier, *next;
static size_t steps_max, worlds_max;

static uint64_t hash(const struct world *w)
{
    const uint64_t *word = (const uint64_t *)(const void *)w;
    uint64_t h = 0x243f6a8885a308d3;
    for (size_t i = 0; i < sizeof *w / 8; i++) {
        h = (h ^ word[i]) * 0x9fb21c651e98df25;
        h ^= h >> 29;
    }
    return h | 1;
}

static void *grown(void *old, size_t n)
{
    void *now = realloc(old, n);
    if (!now) {
        fprintf(stderr, "explore: no memory\n");
        exit(2);
    }
    return now;
}

static bool add(struct set *s, uint64_t h);

static void grow(struct set *s)
{
    struct set old = *s;
    s->size = old.size ? old.size * 2 : 1 << 12;
    s->used = 0;
    s->at = calloc(s->size, sizeof *s->at);
    for (size_t i = 0; i < old.size; i++)
        if (old.at[i])
            add(s, old.at[i]);
    free(old.at);
}

/* False: it was in it. */
static bool add(struct set *s, uint64_t h)
{
    if (s->used * 2 >= s->size)
        grow(s);
    size_t at = h >> 8 & (s->size - 1);
    for (; s->at[at]; at = (at + 1) & (s->size - 1))
        if (s->at[at] == h)
            return false;
    s->at[at] = h;
    s->used++;
    return true;
}

/* ---- one state --------------------------------------------------------------------------------------------------- */

static void print_event(const struct step *s)
{
    char of[32];
    snprintf(of, sizeof of,
             s->event <= ACCEPTS       ? "process %u"
             : s->event == TIME_PASSES ? "to all"
                                       : "connection %u",
             s->who);
    printf("    %s: %s\n", of, event_names[s->event]);
}

static void print_way(uint32_t to)
{
    if (to == 0)
        return;
    print_way(steps[to].from);
    print_event(&steps[to]);
}

static bool fails(uint32_t to, const struct step *last, const char *wrong)
{
    printf("FAIL explore %s: %s, after:\n", game->name, wrong);
    print_way(to);
    if (last)
        print_event(last);
    return false;
}

/* The first of the steps that a fair world takes from here. */
static void print_fair(struct world w)
{
    enum { ENOUGH = 24 };
    struct step step = {0, 0, 0};
    enum event e;
    unsigned who;
    const char *wrong;
    printf("    and then, each finishing what it has begun:\n");
    for (int i = 0; i < ENOUGH && world_fair(&w, &e, &who); i++) {
        world_event(&w, e, who, &wrong);
        step.event = (uint8_t)e;
        step.who = (uint8_t)who;
        print_event(&step);
    }
}

/* From here on a fair world: does it end? */
static bool ends_well(const struct world *from, uint32_t to)
{
    enum { PATIENCE = 200 };
    struct world w = *from;
    enum event e;
    unsigned who;
    const char *wrong = NULL;
    for (int i = 0; i < PATIENCE; i++) {
        if (!add(&good, hash(&w)))
            return true;
        if (!world_fair(&w, &e, &who))
            return true;
        world_event(&w, e, who, &wrong);
        if (wrong)
            break;
    }
    fails(to, NULL, wrong ? wrong : "never delivered, though each finishes what it has begun");
    print_fair(*from);
    return false;
}

static size_t count, worlds, transitions;

static bool visit(const struct world *w, uint32_t from, enum event e, unsigned who, const char *wrong)
{
    struct step step = {from, (uint8_t)e, (uint8_t)who};
    transitions++;
    if (wrong)
        return fails(from, &step, wrong);
    if (!add(&seen, hash(w)))
        return true;
    if (count >= steps_max)
        steps = grown(steps, (steps_max = steps_max * 2 + 1024) * sizeof *steps);
    steps[count] = step;
    if (worlds >= worlds_max) {
        worlds_max = worlds_max * 2 + 1024;
        frontier = grown(frontier, worlds_max * sizeof *frontier);
        next = grown(next, worlds_max * sizeof *next);
    }
    next[worlds++] = *w;
    return ends_well(w, (uint32_t)count++);
}

static bool expand(struct world w, uint32_t at)
{
    for (unsigned e = 0; e < EVENTS; e++)
        /* Without a deadline a client may be waited for for ever: that is as it is after some seconds. */
        for (unsigned who = 0; who < CLIENTS; who++) {
            struct world copy = w;
            const char *wrong;
            if ((e != TIME_PASSES || w.now < WORLD_BEGINS + HORIZON) &&
                world_event(&copy, (enum event)e, who, &wrong) && !visit(&copy, at, (enum event)e, who, wrong))
                return false;
        }
    return true;
}

/* ---- one game ---------------------------------------------------------------------------------------------------- */

static void forget(void)
{
    free(seen.at);
    free(good.at);
    memset(&seen, 0, sizeof seen);
    memset(&good, 0, sizeof good);
    count = worlds = transitions = 0;
}

static bool play(void)
{
    struct world start;
    struct timespec begun, ended;
    const char *deeper = getenv("EXPLORE_DEEPER");
    unsigned depth = 0, deepest = game->depth + (deeper ? (unsigned)atoi(deeper) : 0);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    forget();
    world_begin(&start);
    if (!visit(&start, 0, THREAD_STEPS, 0, NULL))
        return false;
    for (; worlds > 0 && depth < deepest; depth++) {
        struct world *swap = frontier;
        size_t n = worlds;
        uint32_t first = (uint32_t)(count - n);
        frontier = next;
        next = swap;
        worlds = 0;
        for (size_t i = 0; i < n; i++)
            if (!expand(frontier[i], first + (uint32_t)i))
                return false;
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    long ms = (ended.tv_sec - begun.tv_sec) * 1000 + (ended.tv_nsec - begun.tv_nsec) / 1000000;
    printf("ok explore %s: %zu states, %zu events tried, %u deep%s, %ld ms\n", game->name, count, transitions, depth,
           worlds ? "" : " (all there are)", ms);
    return true;
}

static bool look_torn(void)
{
    static const struct game two = {.options = OPTIONS(0, 0, 0), .worker = true};
    struct world w;
    game = &two;
    world_begin(&w);
    bool survives = edge_survives_torn_look(&w);
    puts(survives ? "ok explore torn_look" : "FAIL explore torn_look: a coordinator that delivers is taken for dead");
    return survives;
}

static bool is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc < 2;
}

int main(int argc, char **argv)
{
    bool all = true;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; i < COUNT(games); i++) {
        game = &games[i];
        if (is_wanted(game->name, argc, argv))
            all = play() && all;
    }
    if (is_wanted("torn_look", argc, argv))
        all = look_torn() && all;
    return all ? 0 : 1;
}
