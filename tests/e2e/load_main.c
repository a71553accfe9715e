/* load_main.c: the strict load client (shim/launcher/load/load.h) as a command for the harness. Prints
 * "ready" once the --ready-* counts are reached, and at the end one line of JSON. Stops asking when its
 * standard input ends (--stop-on-stdin; with --resume those who hold ask once more instead). Exit status: 0 nothing
 * lost, 1 something, 2 usage. */
#include "../../shim/launcher/load/json.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS_MAX = 16 };

static struct load_request requests[REQUESTS_MAX];
static struct load_config config = {.requests = requests, .stop_fd = -1};

static void say_ready(void *arg UNUSED)
{
    puts("ready");
    fflush(stdout);
}

static nsec_t ms(const char *text)
{
    return (nsec_t)(strtod(text, NULL) * (double)NSEC_PER_MSEC);
}

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

/* --request 'METHOD PATH [status=N] [upload=N] [any] [pattern=N] [text=T]...'; by default a body of the
 * pattern, of any length. */
static bool add_request(char *spec)
{
    struct load_request *r = &requests[config.request_count];
    char *save = NULL, *method = strtok_r(spec, " ", &save), *path = strtok_r(NULL, " ", &save);
    if (!path || config.request_count == REQUESTS_MAX)
        return false;
    *r = (struct load_request){.method = method, .path = path, .body.kind = LOAD_BODY_PATTERN};
    for (char *word; (word = strtok_r(NULL, " ", &save));) {
        if (!strncmp(word, "status=", 7))
            r->status = atoi(word + 7);
        else if (!strncmp(word, "upload=", 7))
            r->upload = number(word + 7);
        else if (!strncmp(word, "pattern=", 8))
            r->body.length = number(word + 8);
        else if (!strncmp(word, "text=", 5))
            r->body = (struct load_body){.kind = LOAD_BODY_TEXT, .length = strlen(word + 5), .text = word + 5};
        else if (!strcmp(word, "any"))
            r->body.kind = LOAD_BODY_ANY;
        else
            return false;
    }
    config.request_count++;
    return true;
}

static const struct option options[] = {
    {"address", 1, 0, 'a'},
    {"request", 1, 0, 'r'},
    {"clients", 1, 0, 'c'},
    {"limit", 1, 0, 'n'},
    {"pipeline", 1, 0, 'p'},
    {"http10", 0, 0, '0'},
    {"fresh", 0, 0, 'f'},
    {"hold", 0, 0, 'h'},
    {"wait-fin", 0, 0, 'w'},
    {"resume", 0, 0, 'm'},
    {"until-refused", 0, 0, 'u'},
    {"rate", 1, 0, 'R'},
    {"split", 1, 0, 's'},
    {"split-pause", 1, 0, 'P'},
    {"think-min", 1, 0, 't'},
    {"think-max", 1, 0, 'T'},
    {"timeout", 1, 0, 'o'},
    {"duration", 1, 0, 'd'},
    {"stop-on-stdin", 0, 0, 'i'},
    {"ready-sent", 1, 0, 'S'},
    {"ready-started", 1, 0, 'B'},
    {"ready-ok", 1, 0, 'O'},
    {0, 0, 0, 0},
};

static bool set_option(int key)
{
    switch (key) {
    case 'a': config.address = optarg; return true;
    case 'r': return add_request(optarg);
    case 'c': config.clients = (unsigned)number(optarg); return true;
    case 'n': config.limit = (unsigned)number(optarg); return true;
    case 'p': config.pipeline = (unsigned)number(optarg); return true;
    case '0': config.http10 = true; return true;
    case 'f': config.fresh = true; return true;
    case 'h': config.hold = true; return true;
    case 'm': config.resume = true; return true;
    case 'w': config.wait_fin = true; return true;
    case 'u': config.until_refused = true; return true;
    case 'R': config.rate = number(optarg); return true;
    case 's': config.split = number(optarg); return true;
    case 'P': config.split_pause = ms(optarg); return true;
    case 't': config.think_min = ms(optarg); return true;
    case 'T': config.think_max = ms(optarg); return true;
    case 'o': config.timeout = ms(optarg); return true;
    case 'd': config.duration = ms(optarg); return true;
    case 'i': config.stop_fd = 0; return true;
    case 'S': config.ready_sent = number(optarg); break;
    case 'B': config.ready_started = number(optarg); break;
    case 'O': config.ready_ok = number(optarg); break;
    default: return false;
    }
    config.ready = say_ready;
    return true;
}

int main(int argc, char **argv)
{
    static struct load_result result;
    int key;
    while ((key = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!set_option(key)) {
            fprintf(stderr, "load: cannot use '%s'\n", optarg ? optarg : argv[optind - 1]);
            return 2;
        }
    if (config.think_max < config.think_min)
        config.think_max = config.think_min;
    if (!config.address || !config.clients || !config.request_count || optind != argc) {
        fprintf(stderr, "usage: load --address ADDRESS --clients N --request 'GET /' [options]\n");
        return 2;
    }
    int error = load_run(&config, &result);
    if (error) {
        fprintf(stderr, "load: %s: %s\n", config.address, strerror(-error));
        return 2;
    }
    json_dumpf(load_json(&result), stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    return load_lost(&result) > 0;
}
