/* cgi.c: /cgi?ms=N as a CGI program: 64 bytes of the pattern after N ms. Every signal that it is sent
 * meanwhile, and that can be caught, is a line in the file $CGI_WITNESS. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int witness = -1;

static void say(int number)
{
    char text[] = "signal ??\n";
    text[7] = (char)('0' + number / 10);
    text[8] = (char)('0' + number % 10);
    if (write(witness, text, sizeof text - 1) < 0)
        _exit(1);
}

static void catch_all(void)
{
    struct sigaction action = {.sa_handler = say, .sa_flags = SA_RESTART};
    for (int number = 1; number < NSIG; number++)
        if (number != SIGSEGV && number != SIGBUS && number != SIGILL && number != SIGFPE && number != SIGABRT)
            sigaction(number, &action, NULL); /* KILL and STOP are refused */
}

static void pass(long ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left))
        ;
}

int main(void)
{
    const char *query = getenv("QUERY_STRING"), *path = getenv("CGI_WITNESS");
    if (path)
        witness = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (witness < 0)
        return 1;
    catch_all();
    pass(query && !strncmp(query, "ms=", 3) ? atol(query + 3) : 0);
    printf("Content-Type: text/plain\r\nContent-Length: 64\r\n\r\n");
    for (int line = 0; line < 4; line++)
        printf("%015x\n", (unsigned)line);
    return 0;
}
