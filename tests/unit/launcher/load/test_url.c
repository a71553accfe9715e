/* test_url.c: which URLs a rehearsal takes, what it makes of them, and what it says of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "launcher/load/url.h"

static struct url url;

static void takes(const char *text, const char *address, const char *host, const char *path)
{
    const char *wrong = url_parse(&url, text);
    if (wrong)
        fail_msg("%s %s", text, wrong);
    assert_string_equal(url.address, address);
    assert_string_equal(url.host, host);
    assert_string_equal(url.path, path);
}

static void refuses(const char *text, const char *because)
{
    const char *wrong = url_parse(&url, text);
    if (!wrong || !strstr(wrong, because))
        fail_msg("%s: said '%s', not '%s'", text, wrong ? wrong : "(nothing)", because);
}

static void http(void **state UNUSED)
{
    takes("http://127.0.0.1:8080/a?b=c", "127.0.0.1:8080", "127.0.0.1:8080", "/a?b=c");
    takes("http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:8080", "/");
    takes("HTTP://127.1.2.3/x", "127.1.2.3:80", "127.1.2.3", "/x");
    takes("http://localhost:65535/#top", "127.0.0.1:65535", "localhost:65535", "/");
    takes("http://LocalHost/", "127.0.0.1:80", "LocalHost", "/");
    takes("http://[::1]:1/", "[::1]:1", "[::1]:1", "/");
    takes("http://[::1]/a#b", "[::1]:80", "[::1]", "/a");
}

static void sockets(void **state UNUSED)
{
    takes("unix:/run/app.sock", "unix:/run/app.sock", "localhost", "/");
    takes("unix:/run/app.sock:/status?full", "unix:/run/app.sock", "localhost", "/status?full");
    takes("unix:@name", "unix:@name", "localhost", "/");
    refuses("unix:", "names no socket");
    refuses("unix:/"
            "a123456789b123456789c123456789d123456789e123456789f123456789g123456789h123456789i123456789j123456789k12345"
            "6789",
            "too long a name");
}

static void other_hosts(void **state UNUSED)
{
    refuses("http://192.168.1.5:80/", "loads no other machine");
    refuses("http://[2001:db8::1]:80/", "loads no other machine");
    refuses("http://0.0.0.0:80/", "loads no other machine");
    refuses("http://example.org/", "resolves no names");
    refuses("http://localhost.:80/", "resolves no names");
    refuses("https://127.0.0.1/", "https");
}

static void nonsense(void **state UNUSED)
{
    refuses("", "no URL");
    refuses("127.0.0.1:80", "no URL");
    refuses("ftp://127.0.0.1/", "no URL");
    refuses("http://", "no URL");
    refuses("http:///path", "no URL");
    refuses("http://[::1/", "no URL");
    refuses("http://[]:80/", "no URL");
    refuses("http://[::1]x/", "no URL");
    refuses("http://127.0.0.1?x", "no URL");
    refuses("http://user@127.0.0.1/", "resolves no names");
    refuses("http://127.0.0.1:0/", "port");
    refuses("http://127.0.0.1:65536/", "port");
    refuses("http://127.0.0.1:/", "port");
    refuses("http://127.0.0.1:8o/", "port");
    refuses("http://127.0.0.1:99999999/", "no URL");
    refuses("http://127.0.0.1/a b", "path");
    refuses("http://127.0.0.1/a\r\nX: y", "path");
    refuses("http://127.0.0.1/\xc3\xa4", "path");
}

static void long_ones(void **state UNUSED)
{
    char text[4096] = "http://127.0.0.1/";
    memset(text + 17, 'a', 1022);
    assert_null(url_parse(&url, text));
    assert_int_equal(strlen(url.path), 1023);
    text[17 + 1022] = 'a';
    refuses(text, "path");
    memset(text, 'h', 4000);
    refuses(text, "no URL");
    memcpy(text, "http://", 7);
    refuses(text, "no URL");
}

static void is_written_back(void **state UNUSED)
{
    char text[URL_TEXT];
    assert_null(url_parse(&url, "http://[::1]:80/x"));
    url_text(text, &url);
    assert_string_equal(text, "http://[::1]:80/x");
    assert_null(url_parse(&url, "unix:/s"));
    url_text(text, &url);
    assert_string_equal(text, "unix:/s:/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http),     cmocka_unit_test(sockets),   cmocka_unit_test(other_hosts),
        cmocka_unit_test(nonsense), cmocka_unit_test(long_ones), cmocka_unit_test(is_written_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
