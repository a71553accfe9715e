/* state.c: see state.h. */
#include "drain/state.h"

HIDDEN struct drain_state drain_state;

void state_after_fork(void)
{
    memset(&drain_state, 0, sizeof drain_state);
}
