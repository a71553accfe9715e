/* deferred.c: see deferred.h. */
#include "process/deferred.h"

HIDDEN struct deferred deferred;

void deferred_after_fork(void)
{
    memset(&deferred, 0, sizeof deferred);
}
