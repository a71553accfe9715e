/* test_node_cluster_lines.c: what node's cluster says over the socket between a primary and its worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/node_cluster_lines.h"
#include "guard_page.h"

#define NEWCONN(key)                                                                                                  \
    "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\",\"act\":\"newconn\",\"key\":" \
    "\"" key "\",\"seq\":7}}\n"
#define CLOSE(key) "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"" key "\"}\n"
#define KEY        "127.0.0.1:8080:4:undefined:0"
#define OTHER      ":::443:6:undefined:0"

static struct node_cluster_lines fresh(void)
{
    struct node_cluster_lines c;
    memset(&c, 0, sizeof c);
    return c;
}

static bool hears(struct node_cluster_lines *c, const char *bytes)
{
    return node_cluster_lines_received(c, bytes, strlen(bytes));
}

static void says(const struct node_cluster_lines *c, const char *expected)
{
    char out[NODE_CLUSTER_CLOSE_MAX];
    size_t n = node_cluster_lines_close(c, out);
    assert_int_equal(n, strlen(expected));
    assert_memory_equal(out, expected, n);
}

static void knows_its_socket(void **unused UNUSED)
{
    const char *const worker[] = {"HOME=/", "NODE_CHANNEL_FD=3", "NODE_UNIQUE_ID=1", NULL};
    const char *const json[] = {"NODE_CHANNEL_SERIALIZATION_MODE=json", "NODE_UNIQUE_ID=1", "NODE_CHANNEL_FD=12", NULL};
    const char *const empty[] = {"NODE_CHANNEL_SERIALIZATION_MODE=", "NODE_UNIQUE_ID=1", "NODE_CHANNEL_FD=0", NULL};
    assert_int_equal(node_cluster_lines_socket(worker), 3);
    assert_int_equal(node_cluster_lines_socket(json), 12);
    assert_int_equal(node_cluster_lines_socket(empty), 0);
}

static void is_no_worker(void **unused UNUSED)
{
    const char *const sets[][4] = {
        {NULL},
        {"NODE_CHANNEL_FD=3", NULL}, /* child_process.fork */
        {"NODE_UNIQUE_ID=1", NULL},
        {"NODE_CHANNEL_FD=3", "NODE_UNIQUE_ID=1", "NODE_CHANNEL_SERIALIZATION_MODE=advanced", NULL},
        {"NODE_CHANNEL_FD=3", "NODE_UNIQUE_ID=1", "NODE_CHANNEL_SERIALIZATION_MODE=js", NULL},
        {"NODE_CHANNEL_FD=", "NODE_UNIQUE_ID=1", NULL},
        {"NODE_CHANNEL_FD=-1", "NODE_UNIQUE_ID=1", NULL},
        {"NODE_CHANNEL_FD=3x", "NODE_UNIQUE_ID=1", NULL},
        {"NODE_CHANNEL_FD=12345678", "NODE_UNIQUE_ID=1", NULL},
        {"NODE_CHANNEL_FDS=3", "NODE_UNIQUE_ID=1", NULL},
        {"XNODE_CHANNEL_FD=3", "NODE_UNIQUE_ID=1", NULL},
    };
    for (size_t i = 0; i < COUNT(sets); i++)
        assert_int_equal(node_cluster_lines_socket(sets[i]), -1);
}

static void notes_each_key_once(void **unused UNUSED)
{
    struct node_cluster_lines c = fresh();
    says(&c, "");
    assert_true(hears(&c, NEWCONN(KEY)));
    assert_true(hears(&c, NEWCONN(KEY)));
    says(&c, CLOSE(KEY));
    assert_true(hears(&c, "{\"cmd\":\"NODE_CLUSTER\",\"ack\":1}\n" NEWCONN(OTHER) "{\"a\":1}\n"));
    says(&c, CLOSE(KEY) CLOSE(OTHER));
}

static void notes_no_other_line(void **unused UNUSED)
{
    static const char *const lines[] = {
        "",
        "\n\n",
        "{\"cmd\":\"NODE_HANDLE_ACK\"}\n",
        "{\"cmd\":\"NODE_CLUSTER\",\"errno\":null,\"key\":\"" KEY "\",\"ack\":1,\"sockname\":{},\"seq\":0}\n",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"newconn\",\"key\":\"" KEY "\",\"seq\":1}\n", /* without a handle */
        "{\"text\":\"{\\\"cmd\\\":\\\"NODE_HANDLE\\\"\"}\n",
        " " NEWCONN(KEY),
    };
    struct node_cluster_lines c = fresh();
    for (size_t i = 0; i < COUNT(lines); i++)
        assert_false(hears(&c, lines[i]));
    says(&c, "");
}

/* It is a connection all the same. */
static void notes_no_strange_key(void **unused UNUSED)
{
    static const char *const lines[] = {NEWCONN(""), NEWCONN("/tmp/a\\\"b:-1"), NEWCONN("a\tb")};
    struct node_cluster_lines c = fresh();
    for (size_t i = 0; i < COUNT(lines); i++)
        assert_true(hears(&c, lines[i]));
    says(&c, "");
}

static void notes_no_long_key_and_not_too_many(void **unused UNUSED)
{
    char line[512], key[NODE_CLUSTER_KEY_MAX + 2] = "", out[NODE_CLUSTER_CLOSE_MAX];
    struct node_cluster_lines c = fresh();
    memset(key, 'k', NODE_CLUSTER_KEY_MAX + 1);
    snprintf(line, sizeof line, NEWCONN("%s"), key);
    assert_true(hears(&c, line));
    assert_int_equal(c.keys, 0);
    for (int i = 0; i < NODE_CLUSTER_KEYS + 3; i++) {
        snprintf(line, sizeof line, NEWCONN("%c%.*s"), 'a' + i, NODE_CLUSTER_KEY_MAX - 1, key);
        assert_true(hears(&c, line));
    }
    assert_int_equal(c.keys, NODE_CLUSTER_KEYS);
    size_t n = node_cluster_lines_close(&c, out);
    assert_true(n <= sizeof out && out[n - 1] == '\n');
}

static void reads_no_byte_too_many(void **unused UNUSED)
{
    static const char line[] = NEWCONN(KEY);
    const size_t complete = (size_t)(strstr(line, "\",\"seq") + 1 - line);
    struct guard_page g = guard_page_new(sizeof line);
    for (size_t n = 0; n < sizeof line; n++) {
        struct node_cluster_lines c = fresh();
        node_cluster_lines_received(&c, guard_page_at_end(&g, line, n), n);
        assert_int_equal(c.keys, n >= complete);
    }
    guard_page_free(&g);
}

static void sums_up_what_it_is_handed(void **unused UNUSED)
{
    struct node_cluster_lines none = fresh(), a = fresh(), b = fresh(), one = fresh();
    hears(&a, NEWCONN(KEY) NEWCONN(OTHER));
    hears(&b, NEWCONN(OTHER) NEWCONN(KEY));
    hears(&one, NEWCONN(OTHER));
    assert_int_equal(node_cluster_lines_sum(&none), 0);
    assert_int_equal(node_cluster_lines_sum(&a), node_cluster_lines_sum(&b));
    assert_int_not_equal(node_cluster_lines_sum(&a), node_cluster_lines_sum(&one));
    assert_int_not_equal(node_cluster_lines_sum(&one), 0);
}

static bool may_refuse(const char *text)
{
    return node_cluster_lines_may_refuse(text, strlen(text));
}

static void knows_what_is_passed_on_and_refused(void **unused UNUSED)
{
    static const char line[] = NEWCONN(KEY),
                      taken[] = "{\"cmd\":\"NODE_CLUSTER\",\"ack\":7,\"accepted\":true,\"seq\":3}\n";
    assert_true(node_cluster_lines_hand_over(line, strlen(line)));
    assert_false(node_cluster_lines_hand_over(line, 90));
    assert_false(node_cluster_lines_hand_over(taken, strlen(taken)));
    assert_false(may_refuse(taken));
    assert_true(may_refuse("{\"cmd\":\"NODE_CLUSTER\",\"ack\":7,\"accepted\":false,\"seq\":3}\n"));
    assert_true(may_refuse("{\"cmd\":\"NODE_CLUSTER\",\"ack\":7,\"accepted\":fal"));
    assert_true(may_refuse(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_its_socket),
        cmocka_unit_test(is_no_worker),
        cmocka_unit_test(notes_each_key_once),
        cmocka_unit_test(notes_no_other_line),
        cmocka_unit_test(notes_no_strange_key),
        cmocka_unit_test(notes_no_long_key_and_not_too_many),
        cmocka_unit_test(reads_no_byte_too_many),
        cmocka_unit_test(sums_up_what_it_is_handed),
        cmocka_unit_test(knows_what_is_passed_on_and_refused),
    };
    return cmocka_run_group_tests_name("node_cluster_lines", tests, NULL, NULL);
}
