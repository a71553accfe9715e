/* printable.c: see printable.h. */
#include "launcher/status/printable.h"

#include "core/options.h"
#include "core/text.h"

#include <string.h>

void status_printable(char *out, size_t size, const char *bytes, size_t n)
{
    char quoted[4 * STATUS_NAME + 8];
    struct text t;
    while (n > 0 && (bytes[n - 1] == '\n' || bytes[n - 1] == ' '))
        n--;
    text_init(&t, quoted, sizeof quoted);
    text_quoted(&t, bytes, n < STATUS_NAME ? n : STATUS_NAME, false);
    size_t len = t.len - 2 < size - 1 ? t.len - 2 : size - 1; /* without its quotes */
    memcpy(out, quoted + 1, len);
    out[len] = '\0';
}

const char *status_signal(int signo, char buf[static 16])
{
    const char *name = signo > 0 ? options_signal_name(signo) : "none";
    struct text t;
    if (name)
        return name;
    text_init(&t, buf, 16);
    text_i64(&t, signo);
    return buf;
}
