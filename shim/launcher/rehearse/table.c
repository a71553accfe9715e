/* table.c: see table.h. */
#include "launcher/rehearse/table.h"

#include <string.h>

/* Columns: the name, then for each side these. They come to 80. */
enum { NAME = 8, SERVED = 8, LOST = 6, DELAY = 8, GONE = 8, EXIT = 6, SIDE = SERVED + LOST + DELAY + GONE + EXIT };

static void fill(struct text *t, size_t from, size_t width)
{
    while (t->len < from + width && !t->truncated)
        text_char(t, ' ');
}

/* At the left, and at the right, of a column. */
static void left(struct text *t, size_t width, const char *s)
{
    size_t from = t->len;
    text_str(t, s);
    fill(t, from, width);
}

static void right(struct text *t, size_t width, const char *s)
{
    size_t n = strlen(s);
    fill(t, t->len, n < width ? width - n : 0);
    text_str(t, s);
}

static void number(struct text *t, size_t width, uint64_t value)
{
    char digits[24];
    struct text d;
    text_init(&d, digits, sizeof digits);
    text_u64(&d, value);
    right(t, width, digits);
}

static void duration(struct text *t, size_t width, nsec_t ns)
{
    char words[24];
    struct text d;
    text_init(&d, words, sizeof words);
    text_duration(&d, ns);
    right(t, width, words);
}

/* A line has no blanks at its end. */
static void end_line(struct text *t)
{
    while (t->len && t->at[t->len - 1] == ' ')
        t->at[--t->len] = 0;
    text_char(t, '\n');
}

void rehearse_table_head(struct text *t)
{
    left(t, NAME, "");
    for (int i = 0; i < 2; i++) {
        text_str(t, "   ");
        left(t, SIDE - 3, i ? "with lastcall" : "without lastcall");
    }
    end_line(t);
    left(t, NAME, "");
    for (int i = 0; i < 2; i++) {
        right(t, SERVED, "served");
        right(t, LOST, "LOST");
        right(t, DELAY, "delay");
        right(t, GONE, "gone");
        right(t, EXIT, "exit");
    }
    end_line(t);
}

uint64_t rehearse_lost(const struct rehearse_side *side)
{
    uint64_t sum = 0;
    for (int i = 0; i < LOAD_CLASSES; i++)
        sum += side->lost[i];
    return sum;
}

static void numbers(struct text *t, const struct rehearse_side *s)
{
    number(t, SERVED, s->served);
    number(t, LOST, rehearse_lost(s));
    if (s->served && !s->killed)
        duration(t, DELAY, s->exit_delay);
    else
        right(t, DELAY, "-");
    duration(t, GONE, s->gone);
    if (s->killed)
        right(t, EXIT, "never");
    else
        number(t, EXIT, (uint64_t)s->status);
}

enum { REMARKS = LOAD_CLASSES + 3, REMARK = 32 };

/* What there is to say of a side beside its numbers: each is a few words. Returns how many. */
static unsigned remarks(char out[REMARKS][REMARK], const struct rehearse_side *s)
{
    const struct {
        uint64_t count;
        const char *what;
    } more[] = {{s->idle_closed, " idle closed"}, {s->idle_reset, " idle RESET"}, {s->left, " left running"}};
    unsigned n = 0;
    struct text t;
    for (int i = 0; i < LOAD_CLASSES; i++) {
        if (!s->lost[i])
            continue;
        text_init(&t, out[n++], REMARK);
        text_u64(&t, s->lost[i]);
        text_char(&t, ' ');
        text_str(&t, load_class_name((enum load_class)i));
    }
    for (unsigned i = 0; i < COUNT(more); i++) {
        if (!more[i].count)
            continue;
        text_init(&t, out[n++], REMARK);
        text_u64(&t, more[i].count);
        text_str(&t, more[i].what);
    }
    return n;
}

/* As many remarks as a side's columns hold; returns how many were said. */
static unsigned remark_line(struct text *t, char said[REMARKS][REMARK], unsigned from, unsigned count)
{
    size_t start = t->len;
    text_str(t, "   ");
    while (from < count && t->len - start + strlen(said[from]) + 1 < SIDE) {
        text_str(t, said[from++]);
        text_str(t, from < count ? ", " : "");
    }
    fill(t, start, SIDE);
    return from;
}

void rehearse_table_row(struct text *t, const struct rehearse_row *row)
{
    char said[2][REMARKS][REMARK];
    unsigned count[2], at[2] = {0, 0};
    left(t, NAME, row->name);
    for (int i = 0; i < 2; i++) {
        numbers(t, &row->side[i]);
        count[i] = remarks(said[i], &row->side[i]);
    }
    end_line(t);
    while ((at[0] < count[0] || at[1] < count[1]) && !t->truncated) {
        left(t, NAME, "");
        for (int i = 0; i < 2; i++)
            at[i] = remark_line(t, said[i], at[i], count[i]);
        end_line(t);
    }
}

void rehearse_verdict(struct text *t, const struct rehearse_row *rows, unsigned count)
{
    uint64_t served[2] = {0, 0}, lost[2] = {0, 0};
    for (unsigned i = 0; i < count; i++)
        for (int k = 0; k < 2; k++) {
            served[k] += rows[i].side[k].served;
            lost[k] += rehearse_lost(&rows[i].side[k]);
        }
    for (int k = 0; k < 2; k++) {
        text_str(t, k ? "; with it " : "Without lastcall ");
        text_u64(t, lost[k]);
        text_str(t, " of ");
        text_u64(t, served[k] + lost[k]);
        text_str(t, k ? "." : lost[k] == 1 ? " requests was lost" : " requests were lost");
    }
    text_char(t, '\n');
}

void rehearse_bar(struct text *t, unsigned width, unsigned done, const char *label)
{
    size_t start = t->len, room = width > 60 ? 24 : width / 3;
    size_t reached = done < 1000 ? room * done / 1000 : room;
    text_char(t, '[');
    for (size_t i = 0; i < room; i++)
        text_char(t, i < reached ? '=' : i == reached ? '>' : ' ');
    text_str(t, "] ");
    size_t left = t->len - start < width ? width - (t->len - start) : 0, n = strlen(label);
    text_bytes(t, label, n < left ? n : left);
}
