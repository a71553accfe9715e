/* config.h: the LASTCALL_ variables, read once by the constructor; constant from then on, but for config_settle. */
#ifndef LASTCALL_PROCESS_CONFIG_H
#define LASTCALL_PROCESS_CONFIG_H

#include "core/options.h"
#include "core/text.h"

extern HIDDEN struct options config; /* written by config.c alone */

/* Read them from the environment of the program. */
void config_read(const char *const *environment);

/* The process begins to serve: what `auto` means for this program is looked up, which no other program is to pay
 * for. */
void config_settle(void);

/* Errors of the configuration: whole lines of text, written when the process serves. Until then more may be added to
 * the text that config_errors_begin gives. */
const char *config_errors(void);
void config_errors_begin(struct text *more);

#endif
