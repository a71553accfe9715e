/* calls.c: a program that serves, and makes one call on a file that is no connection, often.
 *
 *   calls CALL COUNT
 *
 * bench.py counts its instructions for two COUNTs, bare and under the preload; all but the call cancels out. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static int zero, null, pair[2];
static char byte[1];
static const struct iovec one = {byte, sizeof byte};

static void call_read(void)
{
    if (read(zero, byte, 1) != 1)
        abort();
}

static void call_write(void)
{
    if (write(null, byte, 1) != 1)
        abort();
}

static void call_readv(void)
{
    if (readv(zero, &one, 1) != 1)
        abort();
}

static void call_writev(void)
{
    if (writev(null, &one, 1) != 1)
        abort();
}

static void call_send_recv(void)
{
    if (send(pair[0], byte, 1, 0) != 1 || recv(pair[1], byte, 1, 0) != 1)
        abort();
}

static const struct {
    const char *name;
    void (*call)(void);
} calls[] = {
    {"read", call_read},     {"write", call_write},         {"readv", call_readv},
    {"writev", call_writev}, {"send+recv", call_send_recv},
};

/* Only a process that serves has tables to look into. */
static int serve(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return bind(fd, (struct sockaddr *)&any, sizeof any) == 0 && listen(fd, 1) == 0;
}

int main(int argc, char **argv)
{
    zero = STDIN_FILENO;
    null = STDOUT_FILENO;
    if (argc != 3 || !serve() || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
        fprintf(stderr, "usage: calls CALL COUNT </dev/zero >/dev/null\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (strcmp(calls[i].name, argv[1]) != 0)
            continue;
        for (long n = strtol(argv[2], NULL, 10); n > 0; n--)
            calls[i].call();
        return 0;
    }
    fprintf(stderr, "calls: there is no call '%s'\n", argv[1]);
    return 2;
}
