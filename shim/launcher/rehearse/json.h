/* json.h: the outcomes for machines. */
#ifndef LASTCALL_LAUNCHER_REHEARSE_JSON_H
#define LASTCALL_LAUNCHER_REHEARSE_JSON_H

#include "launcher/rehearse/rehearse.h"

/* verdict: "kept", "lost" or "never_ended" (with lastcall) */
json_t *rehearse_json_begin(const struct rehearsal *r);
void rehearse_json_add(json_t *all, const struct scenario *s, unsigned clients, const struct outcome outcomes[SIDES],
                       const struct rehearse_row *row);
void rehearse_json_end(json_t *all, uint64_t without, uint64_t with, const char *verdict);

#endif
