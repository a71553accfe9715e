/* init.c: the constructor. */
#include "handoff.h"
#include "hook/go.h"
#include "hook/hook.h"
#include "shim.h"
#include "sys/libc.h"

extern char **environ __attribute__((weak, visibility("default")));

extern void syscall_bind(void);

/* A name is the environment's, too. */
static void note_name(struct text *t, const struct options_error *e)
{
    for (size_t i = 0; i < e->name_len; i++)
        if (e->name[i] <= ' ' || e->name[i] > '~') {
            text_quoted(t, e->name, e->name_len, false);
            return;
        }
    text_bytes(t, e->name, e->name_len);
}

static void note_error(struct text *t, const struct options_error *e)
{
    text_str(t, "lastcall: ");
    note_name(t, e);
    if (e->unknown) {
        text_str(t, " is not a variable of lastcall; it is not used\n");
        return;
    }
    size_t n = 0;
    while (e->value[n])
        n++;
    text_char(t, '=');
    text_quoted(t, e->value, n, false);
    text_str(t, " cannot be read; ");
    text_str(t, e->used);
    text_str(t, " is used\n");
}

static const char *keep(const char *value, char *copy, struct text *complaints)
{
    size_t n = 0;
    if (!value)
        return NULL;
    while (n < OPTIONS_PATH_MAX - 1 && value[n])
        n++;
    if (value[n]) {
        text_str(complaints, "lastcall: a path is longer than 1023 bytes; it is not used\n");
        return NULL;
    }
    memcpy(copy, value, n + 1);
    return copy;
}

static void configure(const char *const *envp)
{
    struct options_error complaints[OPTIONS_ERRORS_MAX];
    struct options *o = &shim.options;
    struct text t;
    unsigned n = options_read(o, envp, complaints, OPTIONS_ERRORS_MAX);
    text_init(&t, shim.complaints, sizeof shim.complaints);
    for (unsigned i = 0; i < n && i < OPTIONS_ERRORS_MAX; i++)
        note_error(&t, &complaints[i]);
    /* The program may overwrite its environment (setproctitle does): keep what is needed later. */
    o->log_file = keep(o->log_file, shim.strings[0], &t);
    o->report = keep(o->report, shim.strings[1], &t);
    if (o->report_connections && !o->report)
        text_str(
            &t,
            "lastcall: LASTCALL_REPORT_CONNECTIONS=1 adds to the report, but LASTCALL_REPORT names no file for it\n");
}

/* What the kernel has put behind the environment on the first stack; NULL if this environment is not there any more. */
static const unsigned long *auxv_behind(const char *const *env)
{
    const uintptr_t stack_max = 64 << 20;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if ((uintptr_t)env - here > stack_max)
        return NULL;
    while (*env)
        env++;
    return (const unsigned long *)(env + 1);
}

extern HIDDEN void start(int argc, char **argv, char **envp);

/* glibc's loader passes argc, argv, envp, and so does the entry for static programs (go_*.S); musl's passes nothing: there
 * environ is always to be had. */
__attribute__((constructor)) void start(int argc, char **argv, char **envp)
{
    (void)argc;
    (void)argv;
    const char *const *env = (const char *const *)(&environ ? environ : envp);
    real_bind();
    /* The environment of a set-user-ID program is its caller's: paths to write to, a group's memory. The loader does not
     * preload us there, unless somebody has made us set-user-ID too (ld.so(8), secure-execution mode). */
    if (options_disabled(env) || libc_is_privileged())
        return;
    libc_bind_facts();
    syscall_bind();
    configure(env);
    handoff_bind(env);
    go_attach(auxv_behind(env));
    __atomic_store_n(&shim.off, false, __ATOMIC_RELEASE);
}
