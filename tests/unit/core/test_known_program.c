/* test_known_program.c: programs by their names, and the signals that stop them. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/known_program.h"

static const struct {
    const char *exe, *args; /* arguments are separated by spaces here */
    int graceful;
} programs[] = {
    {"/usr/sbin/nginx", "nginx -g daemon\tof;", SIGQUIT},
    {"/usr/sbin/nginx (deleted)", "nginx", SIGQUIT},
    {"nginx", "", SIGQUIT},
    {"/usr/sbin/nginx-not", "nginx", 0},
    {"/usr/sbin/ngin", "nginx", 0},
    {"/opt/nginx/bin/tool", "tool", 0},
    {"/usr/sbin/angie", "angie", SIGQUIT},
    {"/usr/sbin/php-fpm8.2", "php-fpm: master", SIGQUIT},
    {"/usr/local/sbin/php-fpm", "php-fpm", SIGQUIT},
    {"/usr/sbin/php-fpm82", "php-fpm82", SIGQUIT},
    {"/usr/bin/php8.2", "php server.php", 0},
    {"/usr/sbin/apache2", "apache2 -DFOREGROUND", SIGWINCH},
    {"/usr/local/apache2/bin/httpd", "httpd -DFOREGROUND", SIGWINCH},
    {"/usr/sbin/haproxy", "haproxy -W -f x", SIGUSR1},
    {"/usr/sbin/lighttpd", "lighttpd -D", SIGINT},
    {"/usr/bin/uwsgi-core", "uwsgi", 0},
    {"/usr/bin/uwsgi", "uwsgi --ini x", SIGQUIT},
    {"/usr/bin/ruby3.1", "ruby /usr/bin/unicorn -c x", SIGQUIT},
    {"/usr/bin/ruby3.1", "/usr/bin/ruby3.1 -W0 /usr/bin/bundle exec unicorn_rails", SIGQUIT},
    {"/usr/bin/ruby", "ruby 1 2 3 4 5 6 7 unicorn", 0}, /* an argument of the program's own */
    {"/usr/bin/ruby3.1", "ruby /usr/bin/puma", 0},
    {"/usr/bin/ruby3.1", "", 0},
    {"/usr/bin/python3.11", "python3 /usr/bin/unicorn", 0},
    {"/usr/bin/node", "node nginx", 0},
    {"", "", 0},
    {"/", "/", 0},
    {" (deleted)", "", 0},
};

static void knows_programs(void **unused UNUSED)
{
    for (size_t i = 0; i < COUNT(programs); i++) {
        char args[128];
        size_t n = strlen(programs[i].args);
        memcpy(args, programs[i].args, n + 1);
        for (size_t j = 0; j < n; j++)
            if (args[j] == ' ')
                args[j] = '\0';
        if (known_program_signal(programs[i].exe, strlen(programs[i].exe), args, n) != programs[i].graceful)
            fail_msg("%s %s", programs[i].exe, programs[i].args);
    }
}

static void knows_who_waits(void **unused UNUSED)
{
    assert_true(known_program_waits("/usr/sbin/nginx", 15, SIGQUIT));
    assert_false(known_program_waits("/usr/bin/uwsgi", 14, SIGQUIT));
    assert_false(known_program_waits("/usr/bin/node", 13, 0));
}

#define BIT(sig) (UINT64_C(1) << (sig))

static void makes_a_set(void **unused UNUSED)
{
    assert_true(known_program_signals(0, true) == BIT(SIGTERM));
    assert_true(known_program_signals(0, false) == (BIT(SIGTERM) | BIT(SIGINT)));
    assert_true(known_program_signals(SIGQUIT, true) == (BIT(SIGTERM) | BIT(SIGQUIT)));
    assert_true(known_program_signals(SIGWINCH, false) == (BIT(SIGTERM) | BIT(SIGWINCH) | BIT(SIGINT)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(knows_programs), cmocka_unit_test(knows_who_waits),
                                       cmocka_unit_test(makes_a_set)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
