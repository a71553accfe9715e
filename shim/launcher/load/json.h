/* json.h: what a load has found, for machines. */
#ifndef LASTCALL_LAUNCHER_LOAD_JSON_H
#define LASTCALL_LAUNCHER_LOAD_JSON_H

#include "launcher/load/load.h"

#include <jansson.h>

/* A new object: each class with its count, lost, the connections, the times, and every loss that was kept. */
json_t *load_json(const struct load_result *result);

#endif
