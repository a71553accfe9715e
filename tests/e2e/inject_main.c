/* inject_main.c: what `lastcall run --exec` does with a static Go program, and nothing else: inject PROGRAM ARGUMENT...
 * The object is the one in LD_PRELOAD; without that, it is a plain exec. */
#include "../../shim/launcher/run/inject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *object = getenv("LD_PRELOAD");
    if (argc < 2)
        return 2;
    if (object)
        fprintf(stderr, "inject: %s\n", strerror(inject_exec(object, argv[1], argv + 1, environ, STDERR_FILENO)));
    else
        execv(argv[1], argv + 1);
    return 127;
}
