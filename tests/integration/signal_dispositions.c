/* signal_dispositions.c: what the program sets of a drain signal and what it is told of it are the same as without us:
 * the same transcript of every function of the family, before the process serves and after. */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static void one(int sig)
{
    (void)sig;
}

static void two(int sig)
{
    (void)sig;
}

static const char *name_of(void (*h)(int))
{
    if (h == SIG_DFL)
        return "default";
    if (h == SIG_IGN)
        return "ignore";
    if (h == SIG_ERR)
        return "error";
    if (h == (void (*)(int))2)
        return "hold";
    return h == one ? "one" : h == two ? "two" : "SOMEONE ELSE'S";
}

static const char *mask_of(const sigset_t *set)
{
    static char text[256];
    text[0] = '\0';
    for (int s = 1; s < 32; s++)
        if (sigismember(set, s) == 1)
            sprintf(text + strlen(text), " %d", s);
    return text;
}

static void show(int sig)
{
    struct sigaction now;
    sigset_t blocked;
    memset(&now, 0, sizeof now);
    int ret = sigaction(sig, NULL, &now);
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    say("    %d: %s flags %x mask%s blocked%s", ret, name_of(now.sa_handler), (unsigned)now.sa_flags & ~0x04000000u,
        mask_of(&now.sa_mask), sigismember(&blocked, sig) == 1 ? " yes" : " no");
}

static void (*const handlers[])(int) = {one, SIG_IGN, two, SIG_DFL, two, one};
enum { HANDLERS = sizeof handlers / sizeof *handlers };

static void by_sigaction(int sig)
{
    static const int flags[HANDLERS] = {
        0, SA_RESTART, SA_SIGINFO | SA_NODEFER | SA_RESETHAND, SA_NOCLDSTOP, SA_ONSTACK, SA_RESTART | SA_SIGINFO};
    for (int i = 0; i < HANDLERS; i++) {
        struct sigaction act = {.sa_handler = handlers[i], .sa_flags = flags[i]}, old;
        memset(&old, 0, sizeof old);
        if (i & 1) {
            sigaddset(&act.sa_mask, SIGUSR1);
            sigaddset(&act.sa_mask, SIGKILL); /* the kernel takes it out again */
        }
        int ret = sigaction(sig, &act, i == 3 ? NULL : &old);
        say("  sigaction %d: was %s flags %x mask%s", ret, name_of(old.sa_handler),
            (unsigned)old.sa_flags & ~0x04000000u, mask_of(&old.sa_mask));
        show(sig);
    }
}

struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

static void by_syscall(int sig)
{
    for (int i = 0; i < HANDLERS; i++) {
        struct kernel_sigaction act = {handlers[i], i & 1 ? SA_RESTART : SA_NODEFER, NULL, 1ul << 9}, old;
        memset(&old, 0, sizeof old);
        long ret = syscall(SYS_rt_sigaction, sig, &act, &old, 8);
        say("  raw %ld: was %s flags %lx mask %lx", ret, name_of(old.handler), old.flags & ~0x04000000ul, old.mask);
        show(sig);
    }
    errno = 0;
    say("  raw, wrong size: %ld errno %d", syscall(SYS_rt_sigaction, sig, NULL, NULL, 16), errno);
}

#define SETS(name)                                                                                \
    static void by_##name(int sig)                                                                \
    {                                                                                             \
        for (int i = 0; i < HANDLERS; i++) {                                                      \
            say("  " #name " %s: was %s", name_of(handlers[i]), name_of(name(sig, handlers[i]))); \
            show(sig);                                                                            \
        }                                                                                         \
        errno = 0;                                                                                \
        say("  " #name " error: %s errno %d", name_of(name(sig, SIG_ERR)), errno);                \
        show(sig);                                                                                \
    }
SETS(signal)
#ifdef __GLIBC__
extern void (*sysv_signal(int sig, void (*handler)(int)))(int);
extern void (*__sysv_signal(int sig, void (*handler)(int)))(int);
SETS(sysv_signal)
SETS(__sysv_signal)
SETS(sigset)

static void by_hold(int sig)
{
    sigset(sig, one);
    say("  hold: was %s", name_of(sigset(sig, SIG_HOLD)));
    show(sig);
    say("  hold again: was %s", name_of(sigset(sig, SIG_HOLD)));
    say("  off hold: was %s", name_of(sigset(sig, two)));
    show(sig);
    say("  sighold %d", sighold(sig));
    show(sig);
    say("  sigrelse %d", sigrelse(sig));
    show(sig);
}
#endif

static void by_sigignore(int sig)
{
    signal(sig, one);
    say("  sigignore %d", sigignore(sig));
    show(sig);
}

static void by_siginterrupt(int sig)
{
    signal(sig, one);
    say("  siginterrupt on %d", siginterrupt(sig, 1));
    show(sig);
    signal(sig, two); /* glibc remembers it for signal() */
    show(sig);
    say("  siginterrupt off %d", siginterrupt(sig, 0));
    show(sig);
    signal(sig, one);
    show(sig);
}

static const struct {
    const char *name;
    void (*run)(int sig);
} families[] = {
    {"sigaction", by_sigaction},     {"syscall", by_syscall},
    {"signal", by_signal},
#ifdef __GLIBC__
    {"sysv_signal", by_sysv_signal}, {"__sysv_signal", by___sysv_signal},
    {"sigset", by_sigset},           {"hold", by_hold},
#endif
    {"sigignore", by_sigignore},     {"siginterrupt", by_siginterrupt},
};

/* transcript FAMILY: the first round before the process serves, the second after. */
static int transcript(char **args)
{
    static const int signals[] = {SIGTERM, SIGUSR1, SIGINT, SIGKILL, 0, 77};
    for (int round = 0; round < 2; round++) {
        for (unsigned s = 0; s < sizeof signals / sizeof *signals; s++)
            for (unsigned f = 0; f < sizeof families / sizeof *families; f++)
                if (strcmp(families[f].name, args[0]) == 0) {
                    say(" signal %d, round %d", signals[s], round);
                    families[f].run(signals[s]);
                }
        if (round == 0)
            role_listen(); /* says its port: the one line that differs */
    }
    return 0;
}

static void same(const char *family)
{
    struct child bare, us;
    struct setup without = {.bare = true};
    child_start(&bare, &without, "transcript", family, NULL);
    child_exits(&bare, 0);
    child_start(&us, NULL, "transcript", family, NULL);
    child_exits(&us, 0);
    char *a_rest, *b_rest, *a = strtok_r(bare.said, "\n", &a_rest), *b = strtok_r(us.said, "\n", &b_rest);
    const char *before = "";
    int lines = 0;
    for (; a && b; lines++) {
        bool port = strncmp(a, "port ", 5) == 0 && strncmp(b, "port ", 5) == 0;
        CHECK(port || strcmp(a, b) == 0, "after '%s': without us '%s', with us '%s'", before, a, b);
        before = a;
        a = strtok_r(NULL, "\n", &a_rest);
        b = strtok_r(NULL, "\n", &b_rest);
    }
    CHECK(a == NULL && b == NULL && lines > 20);
}

#define SAME(name)                \
    static void same_##name(void) \
    {                             \
        same(#name);              \
    }
SAME(sigaction)
SAME(syscall)
SAME(signal)
SAME(sysv_signal)
SAME(__sysv_signal)
SAME(sigset)
SAME(hold)
SAME(sigignore)
SAME(siginterrupt)

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"signal-dispositions/sigaction", same_sigaction},
        {"signal-dispositions/syscall", same_syscall},
        {"signal-dispositions/signal", same_signal},
#ifdef __GLIBC__
        {"signal-dispositions/sysv_signal", same_sysv_signal},
        {"signal-dispositions/__sysv_signal", same___sysv_signal},
        {"signal-dispositions/sigset", same_sigset},
        {"signal-dispositions/hold", same_hold},
#endif
        {"signal-dispositions/sigignore", same_sigignore},
        {"signal-dispositions/siginterrupt", same_siginterrupt},
        {NULL, NULL},
    };
    static const struct check_role roles[] = {{"transcript", transcript}, {NULL, NULL}};
    return check_main(argc, argv, tests, roles);
}
