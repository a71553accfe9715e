/* url.h: the URL of a server on this machine, as the load client wants it. Pure. */
#ifndef LASTCALL_LAUNCHER_LOAD_URL_H
#define LASTCALL_LAUNCHER_LOAD_URL_H

#include "base.h"

struct url {
    char address[128]; /* for load_address_parse: "127.0.0.1:80", "[::1]:80", "unix:/path" */
    char host[128];    /* for the Host field, as it was written */
    char path[1024];   /* begins with '/', with its query */
};

/* http://127.0.0.1:8080/path, [::1] or localhost (which is 127.0.0.1) as the host, 80 as the port if none is
 * named; unix:/socket or unix:/socket:/path. Returns NULL, or what is wrong with it, to be put after the URL:
 * only this machine is loaded, and a static program resolves no names. */
const char *url_parse(struct url *u, const char *text);

/* The URL for messages; room for any URL. */
enum { URL_TEXT = 1300 };
void url_text(char text[URL_TEXT], const struct url *u);

#endif
