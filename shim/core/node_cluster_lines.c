/* node_cluster_lines.c: see node_cluster_lines.h. */
#include "core/node_cluster_lines.h"

static const char newconn[] = "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":"
                              "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"newconn\",\"key\":\"";
static const char before_key[] = "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"", after_key[] = "\"}\n";

_Static_assert(sizeof before_key + sizeof after_key - 2 <=
                   NODE_CLUSTER_CLOSE_MAX / NODE_CLUSTER_KEYS - NODE_CLUSTER_KEY_MAX,
               "a line of its own for each key");

/* ---- the environment ------------------------------------------------------------------------------------------- */

static const char *value_of(const char *entry, const char *name)
{
    while (*name && *entry == *name)
        entry++, name++;
    return *name == '\0' && *entry == '=' ? entry + 1 : NULL;
}

static bool is(const char *text, const char *what)
{
    while (*text && *text == *what)
        text++, what++;
    return *text == *what;
}

static const char *look_up(const char *const *environment, const char *name)
{
    const char *value = NULL;
    for (; *environment && !value; environment++)
        value = value_of(*environment, name);
    return value;
}

int node_cluster_lines_socket(const char *const *environment)
{
    const char *fd = look_up(environment, "NODE_CHANNEL_FD");
    if (!fd || !look_up(environment, "NODE_UNIQUE_ID"))
        return -1;
    const char *mode = look_up(environment, "NODE_CHANNEL_SERIALIZATION_MODE");
    if (mode && *mode && !is(mode, "json"))
        return -1;
    int number = 0, digits = 0;
    for (; digits < 7 && fd[digits] >= '0' && fd[digits] <= '9'; digits++)
        number = number * 10 + (fd[digits] - '0');
    return digits > 0 && fd[digits] == '\0' ? number : -1;
}

/* ---- what the primary says ------------------------------------------------------------------------------------- */

/* The end of a string that nothing in it is escaped in; 0: it is another one. */
static size_t end_of_plain(const char *at, size_t n)
{
    size_t i = 0;
    while (i < n && at[i] != '"') {
        if (at[i] == '\\' || (unsigned char)at[i] < ' ' || i == NODE_CLUSTER_KEY_MAX)
            return 0;
        i++;
    }
    return i < n ? i : 0;
}

static void note(struct node_cluster_lines *c, const char *key, size_t len)
{
    for (uint32_t i = 0; i < c->keys; i++)
        if (c->key[i].len == len && memcmp(c->key[i].text, key, len) == 0)
            return;
    if (c->keys == NODE_CLUSTER_KEYS)
        return;
    c->key[c->keys].len = (uint8_t)len;
    memcpy(c->key[c->keys].text, key, len);
    __atomic_store_n(&c->keys, c->keys + 1, __ATOMIC_RELEASE);
}

static bool take_line(struct node_cluster_lines *c, const char *line, size_t n)
{
    const size_t head = sizeof newconn - 1;
    if (n <= head || memcmp(line, newconn, head) != 0)
        return false;
    size_t len = end_of_plain(line + head, n - head);
    if (len > 0)
        note(c, line + head, len);
    return true;
}

bool node_cluster_lines_received(struct node_cluster_lines *c, const char *bytes, size_t n)
{
    bool any = false;
    for (size_t at = 0; at < n;) {
        size_t end = at;
        while (end < n && bytes[end] != '\n')
            end++;
        any |= take_line(c, bytes + at, end - at);
        at = end + 1;
    }
    return any;
}

bool node_cluster_lines_hand_over(const char *bytes, size_t n)
{
    return n > sizeof newconn - 1 && memcmp(bytes, newconn, sizeof newconn - 1) == 0;
}

/* ---- what the worker says -------------------------------------------------------------------------------------- */

static char *put(char *out, const char *text, size_t n)
{
    memcpy(out, text, n);
    return out + n;
}

size_t node_cluster_lines_close(const struct node_cluster_lines *c, char *out)
{
    char *at = out;
    uint32_t keys = __atomic_load_n(&c->keys, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < keys; i++) {
        at = put(at, before_key, sizeof before_key - 1);
        at = put(at, c->key[i].text, c->key[i].len);
        at = put(at, after_key, sizeof after_key - 1);
    }
    return (size_t)(at - out);
}

/* A line that is cut may be cut within the words. */
bool node_cluster_lines_may_refuse(const char *bytes, size_t n)
{
    static const char refused[] = "\"accepted\":false";
    const size_t len = sizeof refused - 1;
    for (size_t at = 0; at + len <= n; at++)
        if (bytes[at] == refused[0] && memcmp(bytes + at, refused, len) == 0)
            return true;
    return n == 0 || bytes[n - 1] != '\n';
}

/* Of each key FNV-1a; their sum, since they come in any order. */
uint32_t node_cluster_lines_sum(const struct node_cluster_lines *c)
{
    uint32_t sum = 0, keys = __atomic_load_n(&c->keys, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < keys; i++) {
        uint32_t hash = 2166136261u;
        for (size_t k = 0; k < c->key[i].len; k++)
            hash = (hash ^ (unsigned char)c->key[i].text[k]) * 16777619u;
        sum += hash | 1;
    }
    return keys > 0 && sum == 0 ? 1 : sum;
}
