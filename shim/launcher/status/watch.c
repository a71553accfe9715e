/* watch.c: see watch.h. Servers send no notice of a change, since a notice would cost them time: so the groups are
 * read four times a second. */
#include "launcher/status/watch.h"

#include "launcher/status/print.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

enum { LOOK_MS = 250, COLUMNS = 80, ROWS = 24, END_KEY = 1 };

/* ---- the terminal ------------------------------------------------------------------------------------------------ */

static struct termios cooked;
static bool raw;

static void terminal_take(void)
{
    struct termios t;
    fputs("\033[?1049h\033[?25l", stdout);
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &cooked) != 0)
        return;
    t = cooked;
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    t.c_cc[VSUSP] = _POSIX_VDISABLE; /* a stop would leave the terminal in its changed mode */
    raw = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
}

static void terminal_give_back(void)
{
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    if (raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
}

static void terminal_size(unsigned *columns, unsigned *rows)
{
    struct winsize size = {0};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    *columns = known && size.ws_col ? size.ws_col : COLUMNS;
    *rows = known && size.ws_row ? size.ws_row : ROWS;
}

/* Over what is there, so that nothing flickers; what does not fit is left out. */
static void draw(const char *page)
{
    unsigned columns, rows;
    terminal_size(&columns, &rows);
    fputs("\033[H", stdout);
    for (unsigned row = 0; *page && row + 1 < rows; row++) {
        size_t n = strcspn(page, "\n");
        fputs("\033[K", stdout); /* before the row: after a full row the sequence would erase the last character */
        fwrite(page, 1, n < columns ? n : columns, stdout);
        putc('\n', stdout);
        page += n + (page[n] == '\n');
    }
    fputs("\033[J", stdout);
    fflush(stdout);
}

/* ---- one look ---------------------------------------------------------------------------------------------------- */

enum { REQUESTS_SHOWN = 100 };

/* As a string; NULL: no memory. */
static char *shown(const struct status *s, void (*print)(FILE *to, const struct status *s))
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (!to)
        return NULL;
    print(to, s);
    if (fclose(to) == 0)
        return text;
    free(text);
    return NULL;
}

static void print_page(FILE *to, const struct status *s)
{
    status_page(to, s, REQUESTS_SHOWN);
    fputs("\nq ends\n", to);
}

static void print_lines(FILE *to, const struct status *s)
{
    for (unsigned i = 0; i < s->groups; i++)
        status_line(to, &s->group[i], false);
}

static void print_json(FILE *to, const struct status *s)
{
    status_json(to, s, true, false);
}

static void look_on_terminal(const struct status *s)
{
    char *page = shown(s, print_page);
    if (page)
        draw(page);
    free(page);
}

/* Prints the state if the state has changed. *before: the last state printed, without its times. */
static void look_for_change(const struct status *s, bool json, char **before)
{
    char *now = shown(s, json ? print_json : print_lines);
    if (!now || (*before && strcmp(now, *before) == 0)) {
        free(now);
        return;
    }
    free(*before);
    *before = now;
    if (json)
        status_json(stdout, s, true, true);
    for (unsigned i = 0; !json && i < s->groups; i++)
        status_line(stdout, &s->group[i], true);
    fflush(stdout);
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

static int signals_open(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* 0: look again; else a signal's number, or END_KEY + NSIG for the key. */
static int wait_for_end(int signals)
{
    struct pollfd on[2] = {{signals, POLLIN, 0}, {raw ? STDIN_FILENO : -1, POLLIN, 0}};
    struct signalfd_siginfo info;
    char key;
    if (poll(on, COUNT(on), LOOK_MS) <= 0)
        return 0;
    if (on[0].revents && read(signals, &info, sizeof info) == sizeof info)
        return (int)info.ssi_signo;
    if (!on[1].revents)
        return 0;
    ssize_t n = read(STDIN_FILENO, &key, 1);
    return n <= 0 || key == 'q' || key == 'Q' ? NSIG + END_KEY : 0;
}

static int look(const struct status_wish *wish, bool json, bool terminal, int signals)
{
    char *before = NULL;
    int end = 0;
    while (end == 0) {
        struct status s;
        if (!status_read(&s, wish) || s.groups == 0) {
            status_free(&s);
            break;
        }
        if (terminal)
            look_on_terminal(&s);
        else
            look_for_change(&s, json, &before);
        status_free(&s);
        end = wait_for_end(signals);
    }
    free(before);
    return end;
}

int status_watch(const struct status_wish *wish, bool json)
{
    bool terminal = !json && isatty(STDOUT_FILENO);
    int signals = signals_open();
    if (terminal)
        terminal_take();
    int end = look(wish, json, terminal, signals);
    if (terminal)
        terminal_give_back();
    close(signals);
    if (end == 0 && !json)
        puts(wish->ino ? "lastcall: the group has ended" : "lastcall: no group is left");
    return end == 0 || end == SIGINT || end > NSIG ? 0 : 128 + end;
}
