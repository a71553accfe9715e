/* scenarios.c: what is done to the server; the names and the numbers are those of tests/e2e/scenarios.py. */
#include "launcher/rehearse/rehearse.h"

const struct scenario scenarios[] = {
    {.name = "hammer",
     .clients = 16,
     .ready_each = 25,
     .ready_most = 5 * NSEC_PER_SEC,
     .load = {.until_refused = true}},
    {.name = "think",
     .clients = 64,
     .ready_each = 4,
     .ready_most = 5 * NSEC_PER_SEC,
     .load = {.until_refused = true, .think_min = 5 * NSEC_PER_MSEC, .think_max = 50 * NSEC_PER_MSEC}},
    {.name = "churn",
     .clients = 16,
     .ready_each = 19,
     .ready_most = 5 * NSEC_PER_SEC,
     .load = {.until_refused = true, .fresh = true}},
    {.name = "reuse",
     .clients = 1,
     .one = true,
     .ready_each = 15,
     .ready_most = 5 * NSEC_PER_SEC,
     .load = {.until_refused = true, .think_min = 20 * NSEC_PER_MSEC, .think_max = 20 * NSEC_PER_MSEC}},
    {.name = "idle",
     .clients = 50,
     .ready_each = 1,
     .ready_most = 5 * NSEC_PER_SEC,
     .load = {.limit = 1, .hold = true}},
    {.name = "backlog", .clients = 20, .stopped = true, .ready_most = NSEC_PER_SEC, .load = {.limit = 1}},
    {.name = "inflight",
     .clients = 8,
     .slow = true,
     .ready_most = 5 * NSEC_PER_SEC,
     .load = {.limit = 1, .wait_fin = true}},
};

const unsigned scenarios_count = COUNT(scenarios);
