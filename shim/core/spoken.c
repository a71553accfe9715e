/* spoken.c: see spoken.h. */
#include "core/spoken.h"

/* Do the bytes of s begin with `text`, as far as there are any? */
static bool begins(const uint8_t *s, size_t n, const char *text)
{
    for (size_t i = 0; i < n && text[i]; i++)
        if (s[i] != (uint8_t)text[i])
            return false;
    return true;
}

/* RFC 8446 5.1. */
static bool is_tls(const uint8_t *s, size_t n)
{
    return s[0] >= 0x14 && s[0] <= 0x17 && (n < 2 || s[1] == 3);
}

/* RFC 9113 4.1: SETTINGS or GOAWAY, not long, on stream 0. */
static bool is_http2(const uint8_t *s, size_t n)
{
    enum { SETTINGS = 4, GOAWAY = 7 };
    return s[0] == 0 && (n < 2 || s[1] == 0) && (n < 4 || s[3] == SETTINGS || s[3] == GOAWAY) &&
           (n < 9 || (s[5] | s[6] | s[7] | s[8]) == 0);
}

/* FCGI_END_REQUEST, FCGI_STDOUT, FCGI_STDERR, FCGI_GET_VALUES_RESULT. */
static bool is_fastcgi(const uint8_t *s, size_t n)
{
    return s[0] == 1 && (n < 2 || s[1] == 3 || s[1] == 6 || s[1] == 7 || s[1] == 10);
}

enum spoken_first spoken_first_of_server(const uint8_t *s, size_t n)
{
    if (begins(s, n, "HTTP/"))
        return FIRST_HTTP;
    return is_tls(s, n) || is_http2(s, n) || is_fastcgi(s, n) ? FIRST_RELATED : FIRST_OTHER;
}

/* RFC 9110 section 9, RFC 4918, RFC 5789. */
static const char *const methods[] = {"GET",   "HEAD",    "POST",  "PUT",   "DELETE",   "OPTIONS",
                                      "PATCH", "CONNECT", "TRACE", "MKCOL", "PROPFIND", "PROPPATCH",
                                      "COPY",  "MOVE",    "LOCK",  "UNLOCK"};

static bool has_method_and_target(const uint8_t *s, size_t n)
{
    for (unsigned i = 0; i < COUNT(methods); i++) {
        size_t len = 0;
        while (methods[i][len])
            len++;
        if (n < len + 2 || !begins(s, len, methods[i]) || s[len] != ' ')
            continue;
        uint8_t c = s[len + 1];
        return c == '/' || c == '*' || c == 'h' || c == 'H' || methods[i][0] == 'C';
    }
    return false;
}

static bool has_version(const uint8_t *s, size_t n)
{
    static const char version[] = " HTTP/1.";
    for (size_t i = 0; i + sizeof version - 1 <= n && s[i] != '\n'; i++)
        if (begins(s + i, sizeof version - 1, version))
            return true;
    return false;
}

enum spoken_first spoken_first_of_client(const uint8_t *s, size_t n)
{
    while (n > 0 && (*s == '\r' || *s == '\n'))
        s++, n--;
    return has_method_and_target(s, n) || has_version(s, n) ? FIRST_EITHER : FIRST_OTHER;
}

enum spoken spoken_judge(enum spoken_first client, enum spoken_first server, bool unix_)
{
    if (client >= FIRST_RELATED && (unix_ || server >= FIRST_RELATED))
        return SPOKEN_HTTP;
    /* A server that speaks first, or answers what is no request, and does so in no way of an HTTP server. */
    if (server == FIRST_OTHER && client != FIRST_HTTP && client != FIRST_EITHER)
        return SPOKEN_OTHER;
    return unix_ && client == FIRST_OTHER ? SPOKEN_OTHER : SPOKEN_UNKNOWN;
}

/* ---- the table ----------------------------------------------------------------------------------------- */

/* The entry of this inode; -1: there is none. */
static int find(const struct spoken_table *t, uint64_t inode)
{
    for (int i = 0; i < SPOKEN_LISTENERS; i++) {
        uint64_t there = __atomic_load_n(&t->listener[i].inode, __ATOMIC_ACQUIRE);
        if (there == inode)
            return i;
        if (there == 0)
            break; /* entries are taken in sequence, and never given back */
    }
    return -1;
}

static int find_or_take(struct spoken_table *t, uint64_t inode)
{
    for (int i = 0; i < SPOKEN_LISTENERS; i++) {
        uint64_t there = 0;
        if (__atomic_compare_exchange_n(&t->listener[i].inode, &there, inode, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE) ||
            there == inode)
            return i;
    }
    return -1;
}

void spoken_put(struct spoken_table *t, uint64_t inode, enum spoken what)
{
    int at = inode == 0 ? -1 : find_or_take(t, inode);
    if (at < 0)
        return;
    uint32_t now = LOAD(t->listener[at].spoken);
    while (now < (uint32_t)what && !__atomic_compare_exchange_n(&t->listener[at].spoken, &now, (uint32_t)what, true,
                                                                __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        ;
}

enum spoken spoken_get(const struct spoken_table *t, uint64_t inode)
{
    int at = find(t, inode);
    uint32_t what = at < 0 ? SPOKEN_UNKNOWN : __atomic_load_n(&t->listener[at].spoken, __ATOMIC_ACQUIRE);
    return what <= SPOKEN_HTTP ? (enum spoken)what : SPOKEN_UNKNOWN; /* another process has written it */
}

void spoken_choose(struct spoken_table *t, uint64_t inode, enum spoken_choice choice)
{
    int at = inode == 0 ? -1 : find_or_take(t, inode);
    if (at >= 0)
        STORE(t->listener[at].choice, (uint32_t)choice);
}

enum spoken_choice spoken_chosen(const struct spoken_table *t, uint64_t inode)
{
    int at = find(t, inode);
    uint32_t choice = at < 0 ? CHOICE_AUTO : LOAD(t->listener[at].choice);
    return choice <= CHOICE_IGNORED ? (enum spoken_choice)choice : CHOICE_AUTO;
}

/* 0 is none. */
static uint32_t time_number(nsec_t now)
{
    return (uint32_t)(now / SPOKEN_CONNECT) + 1;
}

static uint64_t *connecting_of(struct spoken_table *t, uint32_t number)
{
    return &t->connecting[number & 1];
}

/* Another process may have begun the time after next, whose place this is: then this call counts there. */
uint32_t spoken_connecting(struct spoken_table *t, nsec_t now)
{
    uint32_t number = time_number(now);
    uint64_t *word = connecting_of(t, number), old = LOAD(*word), new;
    do {
        uint32_t there = (uint32_t)(old >> 32);
        new = there < number ? (uint64_t)number << 32 | 1 : old + 1;
    } while (!__atomic_compare_exchange_n(word, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return (uint32_t)(new >> 32);
}

void spoken_connected(struct spoken_table *t, uint64_t inode, uint32_t begun)
{
    int at = inode == 0 ? -1 : find_or_take(t, inode);
    if (at >= 0)
        __atomic_add_fetch(&t->listener[at].connects, 1, __ATOMIC_SEQ_CST);
    uint64_t *word = connecting_of(t, begun), old = LOAD(*word);
    while (begun != 0 && (uint32_t)(old >> 32) == begun && (uint32_t)old > 0 &&
           !__atomic_compare_exchange_n(word, &old, old - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
}

static uint64_t connecting(const struct spoken_table *t, nsec_t now)
{
    uint64_t sum = 0;
    for (int i = 0; i < 2; i++) {
        uint64_t word = __atomic_load_n(&t->connecting[i], __ATOMIC_SEQ_CST);
        if ((uint32_t)(word >> 32) + 1 >= time_number(now))
            sum += (uint32_t)word;
    }
    return sum;
}

uint32_t *spoken_accepts(struct spoken_table *t, uint64_t inode)
{
    int at = inode == 0 ? -1 : find_or_take(t, inode);
    return at < 0 ? NULL : &t->listener[at].accepts;
}

/* A connection may be accepted before its client comes to count it: asked in this order, it is found in one count or
 * the other. */
bool spoken_is_internal(const struct spoken_table *t, uint64_t inode, nsec_t now)
{
    int at = find(t, inode);
    if (at < 0)
        return false;
    uint32_t accepts = __atomic_load_n(&t->listener[at].accepts, __ATOMIC_SEQ_CST);
    uint64_t under_way = connecting(t, now);
    uint32_t connects = __atomic_load_n(&t->listener[at].connects, __ATOMIC_SEQ_CST);
    return connects > 0 && accepts <= connects + under_way;
}

bool spoken_tell(struct spoken_table *t, uint64_t inode)
{
    int at = find(t, inode);
    return at < 0 || __atomic_exchange_n(&t->listener[at].told, 1, __ATOMIC_RELAXED) == 0;
}
