/* url.c: see url.h. */
#include "launcher/load/url.h"
#include "launcher/load/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char form[] = "is no URL of the form http://127.0.0.1:PORT/PATH or unix:/SOCKET:/PATH";

/* Nothing that could end the request line. */
static bool parse_path(struct url *u, const char *path)
{
    size_t n = strcspn(path, "#");
    if (n >= sizeof u->path)
        return false;
    for (size_t i = 0; i < n; i++)
        if (path[i] <= ' ' || path[i] > '~')
            return false;
    memcpy(u->path, n ? path : "/", n ? n : 1);
    return true;
}

static const char *parse_unix(struct url *u, const char *text)
{
    const char *path = strstr(text, ":/");
    size_t n = path ? (size_t)(path - text) : strlen(text);
    struct load_address a;
    if (!n || n >= sizeof u->address - sizeof "unix:")
        return "names no socket, or one with too long a name";
    snprintf(u->address, sizeof u->address, "unix:%.*s", (int)n, text);
    snprintf(u->host, sizeof u->host, "localhost");
    if (!load_address_parse(&a, u->address))
        return "names no socket, or one with too long a name";
    return parse_path(u, path ? path + 1 : "/") ? NULL
                                                : "has a path that is too long, or bytes that belong into no path";
}

static bool is_number(const char *host)
{
    unsigned char any[16];
    return inet_pton(AF_INET, host, any) == 1 || inet_pton(AF_INET6, host, any) == 1;
}

/* host: without brackets. */
static const char *take_host(struct url *u, const char *host, const char *port)
{
    struct load_address a;
    bool v6 = strchr(host, ':') != NULL, local = !strcasecmp(host, "localhost");
    if (!local && !is_number(host))
        return "has a host that is neither a number nor localhost: a static program resolves no names";
    snprintf(u->address, sizeof u->address, v6 ? "[%s]:%s" : "%s:%s", local ? "127.0.0.1" : host, port);
    if (!load_address_parse(&a, u->address))
        return "has a port that is not 1 to 65535";
    if (!load_address_is_loopback(&a))
        return "is not on the loopback (127.0.0.1, [::1], unix:): a rehearsal loads no other machine";
    return NULL;
}

static const char *parse_http(struct url *u, const char *text)
{
    char host[64], port[8] = "80";
    size_t authority = strcspn(text, "/?#"), n = strcspn(text, ":/?#");
    bool v6 = *text == '[';
    if (v6)
        n = strcspn(text, "]/?#") + 1;
    if (n > authority || n <= 2 * v6 || n >= sizeof host || (v6 && text[n - 1] != ']'))
        return form;
    snprintf(host, sizeof host, "%.*s", (int)(n - 2 * v6), text + v6);
    if (n < authority && (text[n] != ':' || authority - n - 1 >= sizeof port))
        return form;
    if (n < authority)
        snprintf(port, sizeof port, "%.*s", (int)(authority - n - 1), text + n + 1);
    snprintf(u->host, sizeof u->host, "%.*s", (int)authority, text);
    if (text[authority] && text[authority] != '/')
        return form;
    if (!parse_path(u, text + authority))
        return "has a path that is too long, or bytes that belong into no path";
    return take_host(u, host, port);
}

const char *url_parse(struct url *u, const char *text)
{
    memset(u, 0, sizeof *u);
    if (!strncmp(text, "unix:", 5))
        return parse_unix(u, text + 5);
    if (!strncasecmp(text, "https:", 6))
        return "is https, which the load client does not speak: name the server's plain http";
    if (!strncasecmp(text, "http://", 7))
        return parse_http(u, text + 7);
    return form;
}

void url_text(char text[URL_TEXT], const struct url *u)
{
    if (!strncmp(u->address, "unix:", 5))
        snprintf(text, URL_TEXT, "%s:%s", u->address, u->path);
    else
        snprintf(text, URL_TEXT, "http://%s%s", u->host, u->path);
}
