/* test_http1.c: every vector whole, byte by byte, in random pieces, and against guard pages. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/http1.h"
#include "guard_page.h"

/* A part of a stream, and what happens with its last byte and never before it: any of H (head),
 * I (interim), D (done), T (tunnel), B (bad). */
struct part {
    const char *text;
    size_t len;
    const char *events;
};

struct vector {
    const char *name;
    enum http1_kind kind;
    char answers;      /* response: 'H' to HEAD, 'C' to CONNECT */
    const char *facts; /* of the last head; NULL = none has to be checked */
    struct part part[8];
};

#define OK_REQUEST  "GET /next HTTP/1.1\r\nHost: example.org\r\n\r\n"
#define OK_RESPONSE "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

/* clang-format off */
#define P(text, events)                 {text, sizeof(text) - 1, events}
#define RAWQ(name, text, events, facts) {name, HTTP1_REQUEST, 0, facts, {P(text, events)}}
#define RAWS(name, text, events, facts) {name, HTTP1_RESPONSE, 0, facts, {P(text, events)}}
/* clang-format on */

/* Lines of a request, of a response. */
#define REQ(name, lines, events, facts) RAWQ(name, "POST /a HTTP/1.1\r\nHost: example.org\r\n" lines, events, facts)
#define RES(name, lines, events, facts) RAWS(name, "HTTP/1.1 200 OK\r\nServer: an-example/1\r\n" lines, events, facts)

static const struct vector vectors[] = {
    /* ---- requests ---- */
    RAWQ("shortest", "G / HTTP/1.1\r\n\r\n", "HD", "1.1 G"),
    RAWQ("get", "GET / HTTP/1.1\r\n\r\n", "HD", "1.1 GET"),
    RAWQ("get 1.0", "GET / HTTP/1.0\r\n\r\n", "HD", "1.0 GET"),
    RAWQ("get with fields", "GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n", "HD", "1.1 GET"),
    RAWQ("head", "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "HD", "1.1 HEAD head"),
    RAWQ("head is case-sensitive", "head / HTTP/1.1\r\nHost: x\r\n\r\n", "HD", "1.1 head"),
    RAWQ("connect", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "HD", "1.1 CONNECT connect"),
    RAWQ("connectx", "CONNECTX a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "HD", "1.1 CONNECTX"),
    RAWQ("connect with length 0", "CONNECT a:1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "HD",
         "1.1 CONNECT len=0 connect"),
    RAWQ("connect with content", "CONNECT a:1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n", "B", NULL),
    RAWQ("connect chunked", "CONNECT a:1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "B", NULL),
    RAWQ("7 letters are not connect", "OPTIONS a:1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "HD", "1.1 OPTIONS len=0"),
    RAWQ("options *", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "HD", "1.1 OPTIONS"),
    RAWQ("odd token as method", "M-SE!#$%&'*+.^_`|~9 * HTTP/1.1\r\nHost: x\r\n\r\n", "HD", "1.1 M-SE!#$%&'*+.^_"),
    RAWQ("method of 15", "ABCDEFGHIJKLMNO / HTTP/1.1\r\nHost: x\r\n\r\n", "HD", "1.1 ABCDEFGHIJKLMNO"),
    RAWQ("method of 16", "ABCDEFGHIJKLMNOP / HTTP/1.1\r\nHost: x\r\n\r\n", "HD", "1.1 ABCDEFGHIJKLMNO"),
    RAWQ("method of 32", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / HTTP/1.1\r\nHost: x\r\n\r\n", "HD", "1.1 ABCDEFGHIJKLMNO"),
    RAWQ("method of 33", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", "B", NULL),
    RAWQ("utf-8 in target", "GET /\xc3\xa4/some/longer/path/\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n", "HD", "1.1 GET"),
    RAWQ("long target",
         "GET /0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef HTTP/1.1\r\nHost: x\r\n\r\n", "HD",
         "1.1 GET"),
    RAWQ("no target", "GET  ", "B", NULL),
    RAWQ("no target at all", "GET \r", "B", NULL),
    RAWQ("http/0.9", "GET /\r", "B", NULL),
    RAWQ("space in target", "GET /a b", "B", NULL),
    RAWQ("tab in target", "GET /a\t", "B", NULL),
    RAWQ("tab for space", "GET\t", "B", NULL),
    RAWQ("control in target", "GET /a\x01", "B", NULL),
    RAWQ("del in target", "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x7f", "B", NULL),
    RAWQ("two spaces before version", "GET /  ", "B", NULL),
    RAWQ("space behind version", "GET / HTTP/1.1 ", "B", NULL),
    RAWQ("leading space", " ", "B", NULL),
    RAWQ("version 1.2", "GET / HTTP/1.2", "B", NULL),
    RAWQ("version 2.0", "GET / HTTP/2", "B", NULL),
    RAWQ("version 1.10", "GET / HTTP/1.10", "B", NULL),
    RAWQ("small http", "GET / h", "B", NULL),
    RAWQ("http/2 preface", "PRI * HTTP/2", "B", NULL),
    RAWQ("tls client hello", "\x16", "B", NULL),
    RAWQ("nul first", "\0", "B", NULL),
    RAWQ("bare lf behind request line", "GET / HTTP/1.1\nHost: x\r\n\r\n", "HD", "1.1 GET"),
    RAWQ("bare lf behind every line", "GET / HTTP/1.1\nConnection: close\nHost: x\n\n", "HD", "1.1 GET close"),
    RAWQ("http/0.9 with bare lf", "GET /\n", "B", NULL),
    RAWQ("bare cr in request line", "GET / HTTP/1.1\rH", "B", NULL),
    RAWQ("response to a request parser", "HTTP/", "B", NULL),
    {"pipelined", HTTP1_REQUEST, 0, "1.1 GET", {P(OK_REQUEST, "HD"), P(OK_REQUEST, "HD"), P(OK_REQUEST, "HD")}},
    {"empty line before", HTTP1_REQUEST, 0, "1.1 GET", {P("\r\n" OK_REQUEST, "HD")}},
    {"two empty lines before",
     HTTP1_REQUEST,
     0,
     "1.1 GET",
     {P(OK_REQUEST, "HD"), P("\r\n\r\n" OK_REQUEST, "HD"), P("\r\n\r\n" OK_REQUEST, "HD")}},
    RAWQ("three empty lines", "\r\n\r\n\r", "B", NULL),
    RAWQ("bare lf before", "\n\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "HD", "1.1 GET"),
    RAWQ("three bare lf before", "\n\n\n", "B", NULL),
    RAWQ("bare cr before", "\rG", "B", NULL),

    /* ---- field lines ---- */
    REQ("empty value", "X:\r\nY: \r\n\r\n", "HD", "1.1 POST"),
    REQ("utf-8 and tab in value", "X: \xc3\xa4\tb\xff c, d, e, f, g\t\r\n\r\n", "HD", "1.1 POST"),
    REQ("odd token as name", "X_1!#$%&'*+-.^`|~: 1\r\n\r\n", "HD", "1.1 POST"),
    REQ("long name", "X-A-Very-Long-Name-Of-A-Header-Field-That-Nobody-Knows: 1\r\n\r\n", "HD", "1.1 POST"),
    REQ("long value",
        "Cookie: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef; 0123456789abcdef\r\n\r\n", "HD",
        "1.1 POST"),
    REQ("empty name", ":", "B", NULL),
    REQ("no colon", "Cookie\r", "B", NULL),
    REQ("space before colon", "C-Foo-Bar ", "B", NULL),
    REQ("space before colon of a short name", "T ", "B", NULL),
    REQ("tab before colon", "Content-Length\t", "B", NULL),
    REQ("slash in name", "C/", "B", NULL),
    REQ("bracket in name", "E[", "B", NULL),
    REQ("at in name", "C-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@", "B", NULL),
    REQ("utf-8 in name", "C\xc3", "B", NULL),
    REQ("nul in name", "X\0", "B", NULL),
    REQ("cr in name", "C\r", "B", NULL),
    REQ("cr for the hyphen of length", "Content\r", "B", NULL),
    REQ("vertical tab behind coding", "Transfer-Encoding\x0b", "B", NULL),
    REQ("space in coding", "transfer ", "B", NULL),
    REQ("digit first and no colon", "1\r", "B", NULL),
    REQ("odd lines that cannot matter", "Foo\r\nBar : x\r\nX-Y\xc3 [z\r\nHost\r\n\r\n", "HD", "1.1 POST"),
    REQ("bare cr in an odd line", "Foo\rC", "B", NULL),
    REQ("bare lf behind an odd line", "Foo\n\r\n", "HD", "1.1 POST"),
    RES("odd lines of a response", "ETag\r\nEx : y\r\nContent-Length: 0\r\n\r\n", "HD", "1.1 200 len=0"),
    RES("length as mostly written, of 18 digits", "Content-Length: 000000000000000000\r\n\r\n", "HD", "1.1 200 len=0"),
    RES("length as mostly written, of 19 digits", "Content-Length: 0000000000000000000\r\n", "B", NULL),
    RES("length as mostly written, then a letter", "Content-Length: 12a\r\n", "B", NULL),
    RES("length as mostly written, then lf", "Content-Length: 0\n\r\n", "HD", "1.1 200 len=0"),
    RES("length as mostly written, then spaces", "Content-Length: 0  \r\n\r\n", "HD", "1.1 200 len=0"),
    RES("length as mostly written, empty", "Content-Length: \r\n", "B", NULL),
    RES("connection as mostly written", "Connection: keep-alive\r\nContent-Length: 0\r\n\r\n", "HD",
        "1.1 200 len=0 keep-alive"),
    RES("connection nearly so", "Connection: keep-alivx\r\nContent-Length: 0\r\n\r\n", "HD", "1.1 200 len=0"),
    RES("type", "Content-Type: \xc3, \ttext/plain\r\nContent-Type:\r\nContent-Length: 0\r\n\r\n", "HD",
        "1.1 200 len=0"),
    RES("control in type", "Content-Type: text/plain\x01", "B", NULL),
    REQ("obs-fold", "X: 1\r\n ", "B", NULL),
    REQ("obs-fold with tab", "X: 1\r\n\t", "B", NULL),
    {"fold of the first line", HTTP1_REQUEST, 0, NULL, {P("GET / HTTP/1.1\r\n ", "B")}},
    REQ("bare lf", "X: 1\nContent-Length: 0\n\n", "HD", "1.1 POST len=0"),
    REQ("bare lf behind a name", "Cookie\n", "B", NULL),
    REQ("fold behind bare lf", "X: 1\n ", "B", NULL),
    REQ("bare cr", "X: 1\r2", "B", NULL),
    REQ("cr cr lf", "X: 1\r\r", "B", NULL),
    REQ("nul in value", "X: 123456789abcdefghijkl\0", "B", NULL),
    REQ("control in value", "X: 1\x1f", "B", NULL),
    REQ("vertical tab in value", "X: 1\x0b", "B", NULL),
    REQ("del in value", "X: 123456789abcdefghijkl\x7f", "B", NULL),
    REQ("bare lf at the end", "\n", "HD", "1.1 POST"),
    REQ("bare cr at the end", "\rX", "B", NULL),

    /* ---- lengths ---- */
    {"counted",
     HTTP1_REQUEST,
     0,
     "1.1 GET",
     {P("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", "H"), P("he\r\nl", "D"), P(OK_REQUEST, "HD")}},
    REQ("length 0", "Content-Length: 0\r\n\r\n", "HD", "1.1 POST len=0"),
    REQ("length 00", "content-length:00\r\n\r\n", "HD", "1.1 POST len=0"),
    REQ("length in capitals", "CONTENT-LENGTH:  7  \r\n\r\n", "H", "1.1 POST len=7"),
    REQ("length behind tab", "Content-Length:\t7\r\n\r\n", "H", "1.1 POST len=7"),
    REQ("length before tab", "Content-Length: 7\t", "B", NULL),
    REQ("length of 18 digits", "Content-Length: 999999999999999999\r\n\r\n", "H", "1.1 POST len=999999999999999999"),
    REQ("length of 19 digits", "Content-Length: 1000000000000000000\r\n", "B", NULL),
    REQ("length overflows 64 bits", "Content-Length: 18446744073709551617\r\n", "B", NULL),
    REQ("length of 40 digits", "Content-Length: 0000000000000000000000000000000000000001\r\n", "B", NULL),
    REQ("length empty", "Content-Length:\r\n", "B", NULL),
    REQ("length blank", "Content-Length:   \r\n", "B", NULL),
    REQ("length +5", "Content-Length: +5\r\n", "B", NULL),
    REQ("length -5", "Content-Length: -5\r\n", "B", NULL),
    REQ("length 0x5", "Content-Length: 0x5\r\n", "B", NULL),
    REQ("length 5 5", "Content-Length: 5 5", "B", NULL),
    REQ("length 5, 5", "Content-Length: 5,", "B", NULL),
    REQ("length ,5", "Content-Length: ,", "B", NULL),
    REQ("length quoted", "Content-Length: \"", "B", NULL),
    REQ("length twice", "Content-Length: 5\r\nContent-Length: 6\r\n", "B", NULL),
    REQ("length twice the same", "Content-Length: 5\r\nContent-Length: 5\r\n", "B", NULL),
    REQ("space before colon of length", "Content-Length ", "B", NULL),
    REQ("length then nothing", "Content-Length: 5\r\nContent-Length: \r\n", "B", NULL),
    REQ("chunked then nothing", "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", "B", NULL),
    REQ("like length", "Content-Lengti: 5\r\nXontent-Length: 6\r\n\r\n", "HD", "1.1 POST"),

    /* ---- chunked ---- */
    {"chunked",
     HTTP1_REQUEST,
     0,
     "1.1 GET",
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("5\r\nhello\r\n", ""),
      P("0A;x=y\r\n0123\r\n6789\r\n", ""), P("0\r\n\r\n", "D"), P(OK_REQUEST, "HD")}},
    {"chunked with trailers",
     HTTP1_REQUEST,
     0,
     "1.1 GET",
     {P("POST / HTTP/1.1\r\ntransfer-encoding:CHUNKED \r\n\r\n", "H"), P("1\r\nh\r\n00\r\n", ""),
      P("Digest: abc\r\nX: y\r\n\r\n", "D"), P(OK_REQUEST, "HD")}},
    {"chunk extensions",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"),
      P("1;a=\"b c\";\t\xc3\r\nh\r\n0;z\r\n\r\n", "D")}},
    {"chunk size 2^60 - 1",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("0fffffffffffffff\r\nx", "")}},
    {"chunk size 2^60",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("1000000000000000", "B")}},
    {"chunk size of 17 digits",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("00000000000000001", "B")}},
    {"chunk size empty",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("\r", "B")}},
    {"chunk size g",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("1g", "B")}},
    {"chunk size -1",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("-", "B")}},
    {"chunk size 0x1",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("0x", "B")}},
    {"chunk size before space",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("1 ", "B")}},
    {"bare lf behind chunk size",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("1\n", "B")}},
    {"bare lf in chunk extension",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("1;a\n", "B")}},
    {"bare cr in chunk extension",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("1;a\rb", "B")}},
    {"control in chunk extension",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("1;a\x02", "B")}},
    {"chunk longer than said",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("1\r\nhe", "B")}},
    {"bare lf behind chunk",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("1\r\nh\n", "B")}},
    {"bare cr behind chunk",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("1\r\nh\r0", "B")}},
    {"length in trailers",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("0\r\nContent-Length:", "B")}},
    {"coding in trailers",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("0\r\nTransfer-Encoding:", "B")}},
    {"connection in trailers",
     HTTP1_REQUEST,
     0,
     "1.1 POST chunked",
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("0\r\nConnection: close\r\n\r\n", "D")}},
    {"bare lf in trailers",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("0\r\nX: y\n", "B")}},
    {"fold in trailers",
     HTTP1_REQUEST,
     0,
     NULL,
     {P("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("0\r\n ", "B")}},
    REQ("chunked and length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", "B", NULL),
    REQ("length and chunked", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "B", NULL),
    REQ("chunked and length 0", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", "B", NULL),
    REQ("gzip", "Transfer-Encoding: gzip\r\n", "B", NULL),
    REQ("gzip, chunked", "Transfer-Encoding: gzip,", "B", NULL),
    REQ("chunked, chunked", "Transfer-Encoding: chunked,", "B", NULL),
    REQ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "B", NULL),
    REQ("xchunked", "Transfer-Encoding: xchunked\r\n", "B", NULL),
    REQ("chunkedx", "Transfer-Encoding: chunkedx\r\n", "B", NULL),
    REQ("identity", "Transfer-Encoding: identity\r\n", "B", NULL),
    REQ("chunked;q", "Transfer-Encoding: chunked;", "B", NULL),
    REQ("chunked behind vertical tab", "Transfer-Encoding: \x0b", "B", NULL),
    REQ("chunked before tab", "Transfer-Encoding: chunked\t", "B", NULL),
    REQ("coding empty", "Transfer-Encoding: \r\n", "B", NULL),
    REQ("space before colon of coding", "Transfer-Encoding ", "B", NULL),
    RAWQ("chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "B", NULL),

    /* ---- Connection, Expect ---- */
    REQ("close", "Connection: close\r\n\r\n", "HD", "1.1 POST close"),
    REQ("Close", "cOnNeCtIoN:ClOsE\r\n\r\n", "HD", "1.1 POST close"),
    REQ("keep-alive", "Connection: Keep-Alive\r\n\r\n", "HD", "1.1 POST keep-alive"),
    REQ("keep-alive and upgrade", "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", "HD",
        "1.1 POST keep-alive upgrade"),
    REQ("upgrade", "Connection: upgrade\r\n\r\n", "HD", "1.1 POST upgrade"),
    REQ("several fields", "Connection: keep-alive\r\nX: y\r\nConnection: close\r\n\r\n", "HD",
        "1.1 POST close keep-alive"),
    REQ("empty members", "Connection: , ,\tclose ,,\r\n\r\n", "HD", "1.1 POST close"),
    REQ("other members", "Connection: TE, closed, xclose, keep-alives, clos\r\n\r\n", "HD", "1.1 POST"),
    REQ("long member",
        "Connection: close, 01234567890123456789012345678901234567890123456789012345678901234567890123\r\n\r\n", "HD",
        "1.1 POST close"),
    REQ("member of 32 bytes and close", "Connection: 0123456789abcdef0123456789abcdef, close\r\n\r\n", "HD",
        "1.1 POST close"),
    REQ("member of 256 bytes is not close",
        "Connection: "
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefclose\r\n\r\n",
        "HD", "1.1 POST"),
    REQ("empty connection", "Connection:\r\n\r\n", "HD", "1.1 POST"),
    REQ("two words", "Connection: foo c", "B", NULL),
    REQ("quoted word", "Connection: \"", "B", NULL),
    REQ("word with parameter", "Connection: close;", "B", NULL),
    REQ("like connection", "Connectiom: close\r\nProxy-Connection: close\r\n\r\n", "HD", "1.1 POST"),
    REQ("expect", "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", "H", "1.1 POST len=2 expect"),
    REQ("expect in capitals", "EXPECT:100-Continue \r\n\r\n", "HD", "1.1 POST expect"),
    REQ("expect something else", "Expect: 200-ok\r\n\r\n", "HD", "1.1 POST"),
    RAWQ("expect in 1.0", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", "H",
         "1.0 POST len=1"),

    /* ---- responses ---- */
    {"two responses",
     HTTP1_RESPONSE,
     0,
     "1.1 200 len=0",
     {P("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 3\r\n\r\n", "H"), P("abc", "D"), P(OK_RESPONSE, "HD")}},
    RAWS("no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "HD", "1.1 200 len=0"),
    RAWS("empty reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "HD", "1.1 200 len=0"),
    RAWS("odd reason", "HTTP/1.1 404 N\xc3\xb6t\tfound, sorry\r\nContent-Length: 0\r\n\r\n", "HD", "1.1 404 len=0"),
    RAWS("status 999", "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", "HD", "1.1 999 len=0"),
    RAWS("1.0 keep-alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", "HD",
         "1.0 200 len=0 keep-alive"),
    RAWS("status 099", "HTTP/1.1 0", "B", NULL),
    RAWS("status 20", "HTTP/1.1 20 ", "B", NULL),
    RAWS("status 2000", "HTTP/1.1 2000", "B", NULL),
    RAWS("status 2x0", "HTTP/1.1 2x", "B", NULL),
    RAWS("no status", "HTTP/1.1\r", "B", NULL),
    RAWS("two spaces before status", "HTTP/1.1  ", "B", NULL),
    RAWS("response 1.2", "HTTP/1.2", "B", NULL),
    RAWS("icy", "I", "B", NULL),
    RAWS("small http in response", "h", "B", NULL),
    RAWS("empty line before response", "\r", "B", NULL),
    RAWS("control in reason", "HTTP/1.1 200 OOOOOOOOOOOOOOOOOOOOOOK\x08", "B", NULL),
    RAWS("bare lf behind status line", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "HD", "1.1 200 len=0"),
    RAWS("bare lf behind status line without reason", "HTTP/1.1 200\nContent-Length: 0\r\n\r\n", "HD", "1.1 200 len=0"),
    {"chunked response",
     HTTP1_RESPONSE,
     0,
     "1.1 200 len=0",
     {P("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "H"), P("3\r\nabc\r\n0\r\n\r\n", "D"),
      P(OK_RESPONSE, "HD")}},
    {"until close",
     HTTP1_RESPONSE,
     0,
     "1.1 200 until-close",
     {P("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", "H"), P(OK_RESPONSE OK_RESPONSE, "")}},
    RAWS("status 2009", "HTTP/1.1 200x", "B", NULL),
    RAWS("no space before status", "HTTP/1.1x", "B", NULL),
    RAWS("status 20x", "HTTP/1.1 20x", "B", NULL),
    RAWS("status 1000", "HTTP/1.1 1000", "B", NULL),
    RES("length and chunked in response", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "B", NULL),
    RES("gzip in response", "Transfer-Encoding: gzip\r\n", "B", NULL),
    RES("expect in response", "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", "HD", "1.1 200 len=0"),
    RES("length twice in response", "Content-Length: 5\r\nContent-Length: 5\r\n", "B", NULL),
    {"204",
     HTTP1_RESPONSE,
     0,
     "1.1 200 len=0",
     {P("HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n", "HD"), P(OK_RESPONSE, "HD")}},
    RAWS("204 with length 0", "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", "HD", "1.1 204 len=0"),
    RAWS("204 with length", "HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\n", "B", NULL),
    RAWS("204 chunked", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", "B", NULL),
    {"304 with length",
     HTTP1_RESPONSE,
     0,
     "1.1 200 len=0",
     {P("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "HD"), P(OK_RESPONSE, "HD")}},
    {"100 and 200",
     HTTP1_RESPONSE,
     0,
     "1.1 200 len=0",
     {P("HTTP/1.1 100 Continue\r\n\r\n", "I"), P(OK_RESPONSE, "HD")}},
    {"103 and 200",
     HTTP1_RESPONSE,
     0,
     "1.1 200 len=0",
     {P("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "I"), P("HTTP/1.1 102 P\r\n\r\n", "I"),
      P(OK_RESPONSE, "HD")}},
    RAWS("100 with length", "HTTP/1.1 100 Continue\r\nContent-Length: 1\r\n\r\n", "B", NULL),
    {"101",
     HTTP1_RESPONSE,
     0,
     "1.1 101 upgrade",
     {P("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "T")}},
    {"to HEAD",
     HTTP1_RESPONSE,
     'H',
     "1.1 200 len=0",
     {P("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "HD"), P(OK_RESPONSE, "HD")}},
    {"to HEAD, chunked",
     HTTP1_RESPONSE,
     'H',
     "1.1 200 chunked",
     {P("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HD")}},
    {"to HEAD, nothing said", HTTP1_RESPONSE, 'H', "1.1 200", {P("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HD")}},
    {"to HEAD after 100",
     HTTP1_RESPONSE,
     'H',
     "1.1 200 len=0",
     {P("HTTP/1.1 100 Continue\r\n\r\n", "I"), P("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "HD"),
      P(OK_RESPONSE, "HD")}},
    {"HEAD is forgotten",
     HTTP1_RESPONSE,
     'H',
     "1.1 200 len=3",
     {P(OK_RESPONSE, "HD"), P("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "H"), P("abc", "D")}},
    {"to CONNECT", HTTP1_RESPONSE, 'C', "1.1 200", {P("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", "T")}},
    {"to CONNECT, refused",
     HTTP1_RESPONSE,
     'C',
     "1.1 200 len=0",
     {P("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\n", "H"), P("no", "D"), P(OK_RESPONSE, "HD")}},
};

/* ---- running ------------------------------------------------------------------------------------- */

struct trace {
    char text[1024];
    size_t len;
};

static __attribute__((format(printf, 2, 3))) void note(struct trace *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    t->len += (size_t)vsnprintf(t->text + t->len, sizeof t->text - t->len, format, args);
    va_end(args);
    assert_true(t->len < sizeof t->text);
}

static void note_if(struct trace *t, bool fact, const char *name)
{
    if (fact)
        note(t, " %s", name);
}

static void describe(struct trace *t, const struct http1_facts *f, enum http1_kind kind)
{
    if (kind == HTTP1_REQUEST)
        note(t, "1.%u %s", f->minor, f->method);
    else
        note(t, "1.%u %u", f->minor, f->status);
    if (f->has_length)
        note(t, " len=%llu", (unsigned long long)f->content_length);
    note_if(t, f->chunked, "chunked");
    note_if(t, f->until_close, "until-close");
    note_if(t, f->close, "close");
    note_if(t, f->keep_alive, "keep-alive");
    note_if(t, f->upgrade, "upgrade");
    note_if(t, f->expect_continue, "expect");
    note_if(t, f->is_head, "head");
    note_if(t, f->is_connect, "connect");
}

/* The stream of a vector in one piece, and the events it must have as "H@57 D@57". */
struct stream {
    char *bytes;
    size_t len;
    struct trace want;
};

static struct stream stream_of(const struct vector *v)
{
    struct stream s = {0};
    for (size_t i = 0; i < COUNT(v->part); i++)
        s.len += v->part[i].len;
    s.bytes = malloc(s.len + 1);
    size_t at = 0;
    for (size_t i = 0; i < COUNT(v->part) && v->part[i].text; i++) {
        memcpy(s.bytes + at, v->part[i].text, v->part[i].len);
        at += v->part[i].len;
        for (const char *e = v->part[i].events; *e; e++)
            note(&s.want, "%c@%zu ", *e, at);
    }
    return s;
}

static char letter(enum http1_event event)
{
    return "-HIDTB"[event];
}

/* Feed [from, to) as one buffer, as long as anything comes of it. */
static bool feed_piece(struct http1 *p, const char *bytes, size_t from, size_t to, struct trace *t)
{
    for (;;) {
        enum http1_event event;
        size_t taken = http1_feed(p, bytes + from, to - from, &event);
        assert_true(taken <= to - from);
        from += taken;
        if (event == HTTP1_MORE) {
            assert_int_equal(from, to);
            return true;
        }
        note(t, "%c@%zu ", letter(event), from);
        if (event == HTTP1_BAD || event == HTTP1_TUNNEL)
            return false;
    }
}

static unsigned random_state;

static unsigned random_below(unsigned n)
{
    random_state = random_state * 1103515245 + 12345;
    return (random_state >> 12) % n;
}

/* The whole life of a parser: events and the facts at the end. step 0: the bytes in one piece; 1: byte by
 * byte; more: random pieces of up to so many bytes. */
static void trace_stream(struct trace *t, const struct vector *v, const char *bytes, size_t len, unsigned step)
{
    struct http1 p;
    http1_init(&p, v->kind);
    http1_expect(&p, v->answers == 'H', v->answers == 'C');
    for (size_t at = 0, n; at < len; at += n) {
        n = step == 0 ? len : step == 1 ? 1 : 1 + random_below(step);
        n = n < len - at ? n : len - at;
        if (!feed_piece(&p, bytes, at, at + n, t))
            break;
    }
    if (!http1_is_bad(&p)) {
        note(t, "/ ");
        describe(t, &p.facts, v->kind);
    }
}

static void check(const struct vector *v, const struct stream *s, const char *bytes, size_t len, unsigned step)
{
    struct trace t = {.len = 0};
    trace_stream(&t, v, bytes, len, step);
    size_t events = strcspn(t.text, "/");
    bool same = events == s->want.len && memcmp(t.text, s->want.text, events) == 0;
    if (!same || (v->facts && strcmp(t.text + events + 2, v->facts) != 0))
        fail_msg("%s (pieces of %u): want %s/ %s; got %s", v->name, step, s->want.text, v->facts ? v->facts : "",
                 t.text);
}

static void run(const struct vector *v, const struct stream *s, const char *bytes, unsigned step)
{
    check(v, s, bytes, s->len, step);
}

static void each_vector(void (*visit)(const struct vector *, const struct stream *))
{
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct stream s = stream_of(&vectors[i]);
        visit(&vectors[i], &s);
        free(s.bytes);
    }
}

static void run_whole(const struct vector *v, const struct stream *s)
{
    char *exact = malloc(s->len); /* so that ASan sees the end */
    memcpy(exact, s->bytes, s->len);
    run(v, s, exact, 0);
    free(exact);
}

static void run_bytes(const struct vector *v, const struct stream *s)
{
    run(v, s, s->bytes, 1);
}

static void run_pieces(const struct vector *v, const struct stream *s)
{
    for (unsigned round = 0; round < 200; round++)
        run(v, s, s->bytes, 2 + random_below(round % 2 ? 60 : 6));
}

static void run_two_pieces(const struct vector *v, const struct stream *s)
{
    for (size_t cut = 1; cut < s->len; cut++) {
        struct http1 p;
        struct trace t = {.len = 0};
        http1_init(&p, v->kind);
        http1_expect(&p, v->answers == 'H', v->answers == 'C');
        if (feed_piece(&p, s->bytes, 0, cut, &t))
            feed_piece(&p, s->bytes, cut, s->len, &t);
        if (strcmp(t.text, s->want.text) != 0)
            fail_msg("%s cut at %zu: want %s, got %s", v->name, cut, s->want.text, t.text);
    }
}

/* A bad stream stays bad, at the same byte, whatever follows: mostly what makes whole lines of it. */
static void run_with_more(const struct vector *v, const struct stream *s)
{
    static const char *const more[] = {
        "\r\nHost: example.org\r\n\r\n",
        "x\r\nHost: example.org\r\n\r\n",
        ": x\r\nHost: example.org\r\n\r\n",
        " x\r\nHost: example.org\r\n\r\n",
        "\nHost: example.org\r\nA: b\r\n\r\n",
        " / HTTP/1.1\r\nHost: example.org\r\n\r\n",
        "/1.1\r\nHost: example.org\r\n\r\n",
        "HTTP/1.1\r\nHost: example.org\r\n\r\n",
        "/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
        "200 OK\r\nServer: x\r\nLocation: y\r\n\r\n",
        "0 OK\r\nServer: x\r\nLocation: y\r\n\r\n",
        "00 OK\r\nServer: x\r\nLocation: y\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT(more) && strchr(s->want.text, 'B'); i++) {
        char *bytes = malloc(s->len + strlen(more[i]));
        memcpy(bytes, s->bytes, s->len);
        memcpy(bytes + s->len, more[i], strlen(more[i]));
        for (unsigned step = 0; step < 20; step++)
            check(v, s, bytes, s->len + strlen(more[i]), step);
        free(bytes);
    }
}

static struct guard_page guard;

static void run_guarded(const struct vector *v, const struct stream *s)
{
    run(v, s, guard_page_at_end(&guard, s->bytes, s->len), 0);
    run(v, s, guard_page_at_start(&guard, s->bytes, s->len), 0);
}

/* Every prefix ends at the guard page too: a line that is cut must not be read past the cut. */
static void run_guarded_prefixes(const struct vector *v, const struct stream *s)
{
    for (size_t n = 1; n < s->len; n++) {
        struct http1 p;
        struct trace t = {.len = 0};
        http1_init(&p, v->kind);
        http1_expect(&p, v->answers == 'H', v->answers == 'C');
        feed_piece(&p, guard_page_at_end(&guard, s->bytes, n), 0, n, &t);
        assert_memory_equal(t.text, s->want.text, t.len);
    }
}

static void test_whole(void **state)
{
    (void)state;
    each_vector(run_whole);
}
static void test_byte_by_byte(void **state)
{
    (void)state;
    each_vector(run_bytes);
}
static void test_random_pieces(void **state)
{
    (void)state;
    each_vector(run_pieces);
}
static void test_bad_whatever_follows(void **state)
{
    (void)state;
    each_vector(run_with_more);
}
static void test_cut_anywhere(void **state)
{
    (void)state;
    each_vector(run_two_pieces);
}

static void test_guard_pages(void **state)
{
    (void)state;
    guard = guard_page_new(4096);
    each_vector(run_guarded);
    each_vector(run_guarded_prefixes);
    guard_page_free(&guard);
}

/* ---- both ways through a head agree -------------------------------------------------------------- */

/* All prefixes of a request, each hard before a guard page. */
static void check_prefixes(const char *s, size_t n)
{
    static const struct vector request = {.kind = HTTP1_REQUEST};
    for (size_t cut = 1; cut <= n; cut++) {
        struct trace t = {.len = 0};
        trace_stream(&t, &request, guard_page_at_end(&guard, s, cut), cut, 0);
        assert_null(strchr(t.text, '@'));
    }
}

/* Every length of target, name and value: the searches that take 16 bytes a step end everywhere. */
static void test_every_length(void **state)
{
    (void)state;
    static const char filler[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
    char s[256];
    guard = guard_page_new(4096);
    for (int target = 1; target < 40; target++)
        check_prefixes(s, (size_t)snprintf(s, sizeof s, "GET %.*s HTTP/1.1\r\n", target, filler));
    for (int name = 1; name < 40; name++)
        for (int value = 0; value < 40; value += 1 + value / 20)
            check_prefixes(
                s, (size_t)snprintf(s, sizeof s, "GET / HTTP/1.1\r\n%.*s:%.*s\r\n", name, filler, value, filler));
    guard_page_free(&guard);
}

static bool is_tchar(int c)
{
    return c < 0x80 && (isalnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c)));
}

static bool is_text(int c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static bool is_target(int c)
{
    return c > ' ' && c != 0x7f;
}

/* Where the ? stands, which bytes may stand there? Those that end what it is part of are not tried. */
static const struct {
    const char *text;
    enum http1_kind kind;
    bool (*allowed)(int c);
    const char *ends;
} places[] = {
    {"? / HTTP/1.1\r\nHost: example.org\r\n\r\n", HTTP1_REQUEST, is_tchar, "\r\n"},
    {"GE?T / HTTP/1.1\r\nHost: example.org\r\n\r\n", HTTP1_REQUEST, is_tchar, " "},
    {"GET ? HTTP/1.1\r\nHost: example.org\r\n\r\n", HTTP1_REQUEST, is_target, ""},
    {"GET /a? HTTP/1.1\r\nHost: example.org\r\n\r\n", HTTP1_REQUEST, is_target, ""},
    {"GET /0123456789abcdef? HTTP/1.1\r\nHost: example.org\r\n\r\n", HTTP1_REQUEST, is_target, ""},
    {"GET / HTTP/1.1\r\n?: example.org\r\nHost: example.org\r\n\r\n", HTTP1_REQUEST, is_tchar, "\n"},
    {"GET / HTTP/1.1\r\nC?Y: example.org\r\nHost: example.org\r\n\r\n", HTTP1_REQUEST, is_tchar, ":"},
    {"GET / HTTP/1.1\r\nE?: example.org\r\nHost: example.org\r\n\r\n", HTTP1_REQUEST, is_tchar, ":"},
    {"GET / HTTP/1.1\r\nTransfer-Encoding?: x\r\nHost: example.org\r\n\r\n", HTTP1_REQUEST, is_tchar, ":"},
    {"GET / HTTP/1.1\r\nTransfer?Encodinx: x\r\nHost: example.org\r\n\r\n", HTTP1_REQUEST, is_tchar, ":"},
    {"GET / HTTP/1.1\r\nX?Y: example.org\r\nHost: example.org\r\n\r\n", HTTP1_REQUEST, is_text, "\n"},
    {"GET / HTTP/1.1\r\nAn-Uninteresting-Name?: x\r\nHost: example.org\r\n\r\n", HTTP1_REQUEST, is_text, "\n"},
    {"GET / HTTP/1.1\r\nHost: ?\r\nAccept: text/html\r\n\r\n", HTTP1_REQUEST, is_text, "\n"},
    {"GET / HTTP/1.1\r\nHost: 0123456789abcdef0123456789abcdef?\r\nA: b\r\n\r\n", HTTP1_REQUEST, is_text, "\n"},
    {"GET / HTTP/1.1\r\nHost: x\r\nA: ?", HTTP1_REQUEST, is_text, "\r\n"},
    {"HTTP/1.1 200 ?K\r\nServer: x\r\nContent-Length: 0\r\n\r\n", HTTP1_RESPONSE, is_text, "\n"},
    {"HTTP/1.1 200 OK, or so it seems to be?\r\nContent-Length: 0\r\n\r\n", HTTP1_RESPONSE, is_text, "\n"},
};

static void test_every_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        const struct vector v = {.kind = places[i].kind};
        size_t n = strlen(places[i].text);
        for (int c = 0; c < 256; c++) {
            char s[256];
            struct trace whole = {.len = 0}, bytes = {.len = 0};
            if (c && strchr(places[i].ends, c))
                continue;
            memcpy(s, places[i].text, n);
            s[strcspn(places[i].text, "?")] = (char)c;
            trace_stream(&whole, &v, s, n, 0);
            trace_stream(&bytes, &v, s, n, 1);
            assert_string_equal(whole.text, bytes.text);
            if (!strstr(whole.text, "B@") != places[i].allowed(c))
                fail_msg("byte 0x%02x in %s: %s", c, places[i].text, whole.text);
        }
    }
}

/* ---- limits -------------------------------------------------------------------------------------- */

/* A head of exactly n bytes, its filler in one line or in many. */
static char *head_of(size_t n, bool many_lines)
{
    static const char first[] = "GET / HTTP/1.1\r\n", line[] = "X-Filler: 0123456789abcdef\r\n";
    char *s = malloc(n + 1);
    size_t at = sizeof first - 1;
    memcpy(s, first, at);
    while (many_lines && n - at >= 2 * sizeof line) {
        memcpy(s + at, line, sizeof line - 1);
        at += sizeof line - 1;
    }
    memset(s + at, 'x', n - at);
    s[at + 1] = ':';
    strcpy(s + n - 4, "\r\n\r\n");
    return s;
}

static void check_limit(size_t n, size_t piece, bool many_lines)
{
    char *s = head_of(n, many_lines);
    struct http1 p;
    enum http1_event event = HTTP1_MORE;
    size_t at = 0;
    http1_init(&p, HTTP1_REQUEST);
    while (at < n && event == HTTP1_MORE)
        at += http1_feed(&p, s + at, piece < n - at ? piece : n - at, &event);
    assert_int_equal(event, n <= 65536 ? HTTP1_HEAD : HTTP1_BAD);
    assert_int_equal(at, n <= 65536 ? n : 65537);
    assert_int_equal(http1_is_bad(&p), n > 65536);
    free(s);
}

static void test_head_limit(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 7, 1000, 65535, 65536, 65537, 100000};
    for (size_t i = 0; i < COUNT(pieces); i++)
        for (size_t n = 65535; n < 65550; n++)
            check_limit(n, pieces[i], n % 2), check_limit(n, pieces[i], n % 2 == 0);
}

/* Feed a chunked request's head, then `byte` until something happens; how many did it take? */
static size_t feed_forever(const char *begin, char byte)
{
    static const char head[] = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    struct http1 p;
    enum http1_event event;
    http1_init(&p, HTTP1_REQUEST);
    http1_feed(&p, head, sizeof head - 1, &event);
    http1_feed(&p, begin, strlen(begin), &event);
    assert_int_equal(event, HTTP1_MORE);
    size_t n = 0;
    while (event == HTTP1_MORE && n < 1000000)
        n += http1_feed(&p, &byte, 1, &event);
    assert_int_equal(event, HTTP1_BAD);
    return n;
}

static void test_chunk_limits(void **state)
{
    (void)state;
    assert_in_range(feed_forever("1;", 'x'), 1000, 1100);
    assert_in_range(feed_forever("0", '0'), 1, 20);
    assert_in_range(feed_forever("0\r\nX: ", 'y'), 65000, 65536);
}

/* ---- the rest of the contract -------------------------------------------------------------------- */

static void feed_all(struct http1 *p, const char *s, enum http1_event want)
{
    enum http1_event event;
    size_t n = strlen(s);
    assert_int_equal(http1_feed(p, s, n, &event), n);
    assert_int_equal(event, want);
}

static void test_between_and_in_head(void **state)
{
    (void)state;
    struct http1 p;
    http1_init(&p, HTTP1_REQUEST);
    static const char *const s[] = {"\r", "\n", "G", "ET / HTTP/1.1\r\n", "X", ": y\r\n", "\r"};
    static const char want[] = "bbhhhhh";
    assert_true(http1_between(&p) && !http1_in_head(&p));
    for (size_t i = 0; i < COUNT(s); i++) {
        feed_all(&p, s[i], HTTP1_MORE);
        assert_int_equal(http1_between(&p), want[i] == 'b');
        assert_int_equal(http1_in_head(&p), want[i] == 'h');
    }
    feed_all(&p, "\n", HTTP1_HEAD);
    assert_true(!http1_between(&p) && !http1_in_head(&p));
    feed_all(&p, "", HTTP1_DONE);
    assert_true(http1_between(&p) && !http1_in_head(&p));
    assert_string_equal(p.facts.method, "GET"); /* valid until the next message begins */
    feed_all(&p, "\r\n", HTTP1_MORE);
    assert_string_equal(p.facts.method, "GET");
    assert_int_equal(p.head_len, sizeof "GET / HTTP/1.1\r\nX: y\r\n\r\n" - 1);
    feed_all(&p, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP1_HEAD);
    feed_all(&p, "0\r\nTrailer: x", HTTP1_MORE);
    assert_true(!http1_between(&p) && !http1_in_head(&p));
    feed_all(&p, "\r\n\r\n", HTTP1_DONE);
    assert_true(http1_between(&p));
}

static void test_interim_is_between(void **state)
{
    (void)state;
    struct http1 p;
    http1_init(&p, HTTP1_RESPONSE);
    feed_all(&p, "HTTP/1.1 100 Continue\r\n\r\n", HTTP1_INTERIM);
    assert_true(http1_between(&p));
    assert_int_equal(p.facts.status, 100);
}

static void test_bad_and_tunnel_are_sticky(void **state)
{
    (void)state;
    struct http1 p;
    enum http1_event event;
    http1_init(&p, HTTP1_REQUEST);
    feed_all(&p, "\x16", HTTP1_BAD);
    assert_int_equal(http1_feed(&p, OK_REQUEST, 10, &event), 0);
    assert_int_equal(event, HTTP1_BAD);
    assert_true(http1_is_bad(&p) && !http1_between(&p) && !http1_in_head(&p));
    assert_false(http1_skip(&p, 1, &event));
    assert_int_equal(event, HTTP1_BAD);

    http1_init(&p, HTTP1_RESPONSE);
    feed_all(&p, "HTTP/1.1 101 Switching Protocols\r\n\r\n", HTTP1_TUNNEL);
    assert_int_equal(http1_feed(&p, OK_RESPONSE, 10, &event), 0);
    assert_int_equal(event, HTTP1_TUNNEL);
    assert_true(!http1_is_bad(&p) && !http1_between(&p) && !http1_in_head(&p));
}

static void test_skip(void **state)
{
    (void)state;
    struct http1 p;
    enum http1_event event;
    http1_init(&p, HTTP1_RESPONSE);
    feed_all(&p, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", HTTP1_HEAD);
    assert_true(http1_skip(&p, 0, &event));
    assert_int_equal(event, HTTP1_MORE);
    assert_true(http1_skip(&p, 4, &event));
    assert_int_equal(event, HTTP1_MORE);
    feed_all(&p, "56789", HTTP1_MORE);
    assert_true(http1_skip(&p, 1, &event));
    assert_int_equal(event, HTTP1_DONE);
    feed_all(&p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP1_HEAD);
    feed_all(&p, "5\r\n1", HTTP1_MORE);
    assert_true(http1_skip(&p, 4, &event));
    assert_int_equal(event, HTTP1_MORE);
    feed_all(&p, "\r\n0\r\n\r\n", HTTP1_DONE);
    feed_all(&p, "HTTP/1.1 200 OK\r\n\r\n", HTTP1_HEAD);
    assert_true(http1_skip(&p, UINT64_MAX, &event));
    assert_true(http1_skip(&p, UINT64_MAX, &event));
    assert_int_equal(event, HTTP1_MORE);
}

static void test_skip_elsewhere_is_bad(void **state)
{
    (void)state;
    static const char *const before[] = {
        "",
        "HTTP",
        OK_RESPONSE,
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc",
    };
    for (size_t i = 0; i < COUNT(before); i++) {
        struct http1 p;
        enum http1_event event = HTTP1_HEAD;
        http1_init(&p, HTTP1_RESPONSE);
        for (size_t at = 0; at < strlen(before[i]);)
            at += http1_feed(&p, before[i] + at, strlen(before[i]) - at, &event);
        assert_false(http1_skip(&p, 4, &event));
        assert_int_equal(event, HTTP1_BAD);
        assert_true(http1_is_bad(&p));
    }
}

static void test_skip_nothing_finishes(void **state)
{
    (void)state;
    struct http1 p;
    enum http1_event event;
    http1_init(&p, HTTP1_RESPONSE);
    feed_all(&p, OK_RESPONSE, HTTP1_HEAD);
    assert_true(http1_skip(&p, 0, &event));
    assert_int_equal(event, HTTP1_DONE);
}

static void test_size(void **state)
{
    (void)state;
    assert_true(sizeof(struct http1) < 160);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_random_pieces),
        cmocka_unit_test(test_bad_whatever_follows),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_guard_pages),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_head_limit),
        cmocka_unit_test(test_chunk_limits),
        cmocka_unit_test(test_between_and_in_head),
        cmocka_unit_test(test_interim_is_between),
        cmocka_unit_test(test_bad_and_tunnel_are_sticky),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_skip_elsewhere_is_bad),
        cmocka_unit_test(test_skip_nothing_finishes),
        cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests_name("http1", tests, NULL, NULL);
}
