/* layout.c: see layout.h. */
#include "launcher/timeline/layout.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 1200,
    LEFT = 208,
    RIGHT_NAMED = 132, /* for the bytes */
    RIGHT_MANY = 24,
    HEAD = 74, /* title and the line below it */
    LEGEND = 26,
    LABEL_LINE = 17, /* of the marks */
    AREA = 150,
    PROCESS_LINE = 44, /* two lines of text */
    BAND_GAP = 8,
    FOOT = 84,
    ROWS_AIM = 900, /* so high rows shall be together, where there are many */
    DIVIDED = 8,    /* so many processes are divided by kind */
    APART = 100     /* and so many are told apart */
};

static const double char_width = 6.4; /* of a mark's label, at its 12 units */

const unsigned timeline_order[TIMELINE_LOOKS] = {
    TIMELINE_ABORTED,     CONN_HISTORY_IN_FLIGHT,   CONN_HISTORY_MANY,      CONN_HISTORY_OPAQUE, CONN_HISTORY_IDLE,
    CONN_HISTORY_CLOSING, CONN_HISTORY_HALF_CLOSED, CONN_HISTORY_LINGERING, CONN_HISTORY_NONE,
};

/* ---- numbers for people ----------------------------------------------------------------------------------- */

void timeline_count(char *out, size_t size, uint64_t n)
{
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%" PRIu64, n);
    size_t at = 0;
    for (int i = 0; i < count && at + 2 < size; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

void timeline_ms(char *out, size_t size, double us)
{
    double ms = us / 1000;
    int decimals = ms < 1 ? 2 : ms < 100 ? 1 : 0;
    double scale = decimals == 2 ? 100 : decimals == 1 ? 10 : 1;
    uint64_t parts = (uint64_t)(ms * scale + 0.5);
    timeline_count(out, size, parts / (uint64_t)scale);
    size_t n = strlen(out);
    if (decimals > 0 && parts % (uint64_t)scale != 0)
        snprintf(out + n, size - n, ".%0*" PRIu64, decimals, parts % (uint64_t)scale);
}

void timeline_bytes(char *out, size_t size, uint64_t n)
{
    static const char units[][3] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)n;
    int unit = -1;
    for (; value >= 999.5 && unit < (int)COUNT(units) - 1; unit++)
        value /= 1000;
    if (unit < 0)
        snprintf(out, size, "%" PRIu64 " B", n);
    else
        snprintf(out, size, "%.*f %s", value < 9.95 ? 1 : 0, value, units[unit]);
}

/* ---- time ---------------------------------------------------------------------------------------------------- */

double timeline_x(const struct timeline_layout *l, uint64_t at)
{
    double x = l->left + (l->right - l->left) * (double)at / l->span;
    return x < l->right ? x : l->right;
}

/* When the connection last changed. */
static uint64_t last_change(const struct timeline_connection *c)
{
    return c->change[c->changes - 1].at;
}

static bool is_closed(const struct timeline_connection *c)
{
    return c->change[c->changes - 1].state == CONN_HISTORY_CLOSED;
}

/* The time until which the connection is drawn. */
static uint64_t seen_until(const struct timeline *t, const struct timeline_connection *c)
{
    uint64_t end = last_change(c);
    return is_closed(c) || end > t->duration ? end : t->duration;
}

/* An aborted connection was aborted in its last state. */
unsigned timeline_look(const struct timeline_connection *c, unsigned i)
{
    unsigned last = c->changes - 1;
    if (is_closed(c) && last > 0)
        last--;
    return c->aborted && i == last ? (unsigned)TIMELINE_ABORTED : c->change[i].state;
}

static double longest(const struct timeline *t)
{
    uint64_t end = t->duration > t->accept_stopped ? t->duration : t->accept_stopped;
    for (unsigned i = 0; i < t->connections; i++)
        if (last_change(&t->connection[i]) > end)
            end = last_change(&t->connection[i]);
    if (t->deadline > end && t->deadline <= end + end / 4)
        end = t->deadline;
    return end > 0 ? (double)end : 1;
}

/* 1, 2 or 5 times a power of ten, so that `span` holds at most `most` of them. */
static double nice_step(double span, unsigned most)
{
    double step = pow(10, floor(log10(span / most)));
    static const double times[] = {1, 2, 5, 10};
    for (unsigned i = 0; i < COUNT(times); i++)
        if (span / (step * times[i]) <= most)
            return step * times[i];
    return step * 10;
}

static void place_ticks(struct timeline_layout *l)
{
    double step = nice_step(l->span, TIMELINE_TICKS - 2);
    for (unsigned i = 0; i < TIMELINE_TICKS && i * step <= l->span; i++) {
        struct timeline_tick *tick = &l->tick[l->ticks++];
        tick->at = l->left + (l->right - l->left) * i * step / l->span;
        timeline_ms(tick->label, sizeof tick->label, i * step);
    }
}

/* ---- marks ------------------------------------------------------------------------------------------------- */

static struct timeline_mark *add_mark(struct timeline_layout *l, enum timeline_mark_kind kind, uint64_t at,
                                      const char *what)
{
    struct timeline_mark *m = &l->mark[l->marks++];
    char ms[40];
    m->kind = kind;
    m->x = timeline_x(l, at);
    timeline_ms(ms, sizeof ms, (double)at);
    if (kind == MARK_SIGNAL)
        snprintf(m->label, sizeof m->label, "%s", what);
    else
        snprintf(m->label, sizeof m->label, "%s %s ms", what, ms);
    return m;
}

static const char *delivery_name(const struct timeline *t)
{
    if (strcmp(t->end, "deadline") == 0)
        return "delivered at the deadline";
    if (strcmp(t->end, "second_signal") == 0)
        return "delivered at a second signal";
    if (strcmp(t->end, "exit") == 0)
        return "the program exits";
    return "delivered";
}

static void add_marks(struct timeline_layout *l, const struct timeline *t)
{
    char ms[40];
    add_mark(l, MARK_SIGNAL, 0, "signal");
    double hidden = timeline_x(l, t->accept_stop_at);
    if (t->accept_stop_at > 0 && hidden - l->left > 8 &&
        (t->accept_stopped == 0 || timeline_x(l, t->accept_stopped) - hidden > 8))
        add_mark(l, MARK_ACCEPT_STOP, t->accept_stop_at, "stop accepting");
    if (t->accept_stopped > 0)
        add_mark(l, MARK_ACCEPT_STOPPED, t->accept_stopped, "accept stopped");
    if (t->deadline > 0 && (double)t->deadline <= l->span)
        add_mark(l, MARK_DEADLINE, t->deadline, "deadline");
    add_mark(l, MARK_DELIVERY, t->duration, delivery_name(t));
    if (t->deadline > 0 && (double)t->deadline > l->span) {
        timeline_ms(ms, sizeof ms, (double)t->deadline);
        snprintf(l->later, sizeof l->later, "deadline at %s ms, beyond the picture", ms);
    }
}

/* The stretch that a label takes, with some air. */
static void extent(const struct timeline_mark *m, double *from, double *to)
{
    double w = (double)strlen(m->label) * char_width + 14;
    *from = m->to_the_left ? m->label_x - w : m->label_x - 6;
    *to = m->to_the_left ? m->label_x + 6 : m->label_x + w;
}

static bool collides(const struct timeline_layout *l, unsigned at, double y)
{
    double from, to, other_from, other_to;
    extent(&l->mark[at], &from, &to);
    for (unsigned i = 0; i < at; i++) {
        extent(&l->mark[i], &other_from, &other_to);
        if (l->mark[i].label_y == y && from < other_to && other_from < to)
            return true;
    }
    return false;
}

/* Labels stand in lines above the plot, each in the first where it has room. Returns the height of all. */
static double place_labels(struct timeline_layout *l, double top)
{
    double lowest = top;
    for (unsigned i = 0; i < l->marks; i++) {
        struct timeline_mark *m = &l->mark[i];
        m->to_the_left = m->x + (double)strlen(m->label) * char_width + 14 > l->width;
        m->label_x = m->to_the_left ? m->x - 5 : m->x + 5;
        double y = top;
        while (collides(l, i, y))
            y += LABEL_LINE;
        m->label_y = y;
        lowest = y > lowest ? y : lowest;
    }
    return lowest - top + LABEL_LINE;
}

/* ---- order --------------------------------------------------------------------------------------------------- */

/* The kind of a connection at the signal, in the order of the bands. */
enum kind { KIND_ABORTED, KIND_IN_FLIGHT, KIND_LATER, KIND_OPAQUE, KIND_IDLE, KIND_OTHER, KINDS };

static const char *const kind_names[KINDS] = {
    [KIND_ABORTED] = "aborted",
    [KIND_IN_FLIGHT] = "in flight at the signal",
    [KIND_LATER] = "came after the signal",
    [KIND_OPAQUE] = "opaque at the signal",
    [KIND_IDLE] = "idle at the signal",
    [KIND_OTHER] = "ending at the signal",
};

static enum kind kind_of(const struct timeline_connection *c)
{
    if (c->aborted)
        return KIND_ABORTED;
    if (c->change[0].at > 0)
        return KIND_LATER;
    switch (c->change[0].state) {
    case CONN_HISTORY_IN_FLIGHT:
    case CONN_HISTORY_MANY: return KIND_IN_FLIGHT;
    case CONN_HISTORY_OPAQUE: return KIND_OPAQUE;
    case CONN_HISTORY_IDLE: return KIND_IDLE;
    default: return KIND_OTHER;
    }
}

struct entry {
    const struct timeline_connection *c;
    uint64_t end;
    int process; /* its place in the report; -1: not there */
    int kind;    /* 0 where rows have names */
};

static int compare(const void *a, const void *b)
{
    const struct entry *p = a, *q = b;
    if (p->process != q->process)
        return p->process < q->process ? -1 : 1;
    if (p->kind != q->kind)
        return p->kind < q->kind ? -1 : 1;
    if (p->end != q->end)
        return p->end < q->end ? -1 : 1;
    if (p->c->change[0].at != q->c->change[0].at)
        return p->c->change[0].at < q->c->change[0].at ? -1 : 1;
    return p->c < q->c ? -1 : p->c > q->c;
}

static int process_of(const struct timeline *t, int pid)
{
    for (unsigned i = 0; i < t->processes; i++)
        if (t->process[i].pid == pid)
            return (int)i;
    return -1;
}

static struct entry *sorted(const struct timeline_layout *l, const struct timeline *t)
{
    struct entry *e = calloc(t->connections + 1, sizeof *e);
    for (unsigned i = 0; e && i < t->connections; i++) {
        const struct timeline_connection *c = &t->connection[i];
        bool by_process = l->sorting & BANDS_PROCESS, by_kind = l->sorting & BANDS_KIND;
        e[i] =
            (struct entry){c, seen_until(t, c), by_process ? process_of(t, c->pid) : 0, by_kind ? (int)kind_of(c) : 0};
    }
    if (e)
        qsort(e, t->connections, sizeof *e, compare);
    return e;
}

/* ---- rows ----------------------------------------------------------------------------------------------------- */

static void add_segments(struct timeline_layout *l, struct timeline_row *row, const struct entry *e)
{
    const struct timeline_connection *c = e->c;
    const double least = l->named ? 3 : 1;
    row->connection = c;
    row->first = l->segments;
    row->end_x = timeline_x(l, e->end);
    row->open = !is_closed(c);
    for (unsigned i = 0; i < c->changes; i++) {
        double x = timeline_x(l, c->change[i].at);
        double to = i + 1 < c->changes ? timeline_x(l, c->change[i + 1].at) : row->end_x;
        unsigned look = timeline_look(c, i);
        if (c->change[i].state == CONN_HISTORY_CLOSED)
            break;
        /* A short request is drawn wide enough to be visible; other states that are too short to be visible are left
         * out. */
        if (to - x < least && (look == CONN_HISTORY_IN_FLIGHT || look == TIMELINE_ABORTED))
            to = x + least;
        if (to - x < 0.3)
            continue;
        l->looks[look] = true;
        l->segment[l->segments++] = (struct timeline_segment){x, to - x, look};
    }
    row->segments = l->segments - row->first;
}

static struct timeline_band *add_band(struct timeline_layout *l, double y)
{
    struct timeline_band *b = &l->band[l->bands++];
    b->y = y;
    return b;
}

static void name_process(struct timeline_band *b, const struct timeline *t, const struct entry *e, unsigned count)
{
    char number[24];
    bool known = e->process >= 0;
    const char *how = known ? t->process[e->process].how : "";
    timeline_count(number, sizeof number, count);
    b->bad = strcmp(how, "killed") == 0;
    if (known)
        snprintf(b->label, sizeof b->label, "process %d%s%.20s", t->process[e->process].pid, *how ? ", " : "", how);
    else
        snprintf(b->label, sizeof b->label, "other processes");
    snprintf(b->detail, sizeof b->detail, "%s connection%s", number, count == 1 ? "" : "s");
}

static double begin_process(struct timeline_layout *l, const struct timeline *t, const struct entry *e, unsigned count,
                            double y)
{
    struct timeline_band *b = add_band(l, y);
    name_process(b, t, e, count);
    b->is_process = true;
    b->h = PROCESS_LINE;
    return y + PROCESS_LINE;
}

/* So many entries from e on are of the same process; and kind, if that counts. */
static unsigned run_length(const struct entry *e, unsigned left, bool kinds)
{
    unsigned n = 1;
    while (n < left && e[n].process == e[0].process && (!kinds || e[n].kind == e[0].kind))
        n++;
    return n;
}

/* Of neighbours that share a row, the one that the row shows: an aborted one, if there is any, or the last to end. */
static const struct entry *shown(const struct entry *e, unsigned n)
{
    for (unsigned i = n; i-- > 0;)
        if (e[i].c->aborted)
            return &e[i];
    return &e[n - 1];
}

/* Rows for n entries that are neighbours. Returns where the next thing goes. */
static double add_rows(struct timeline_layout *l, const struct entry *e, unsigned n, unsigned each, double pitch,
                       double y)
{
    for (unsigned i = 0; i < n; i += each) {
        unsigned together = n - i < each ? n - i : each;
        struct timeline_row *row = &l->row[l->rows++];
        row->y = y;
        row->stands_for = together;
        add_segments(l, row, shown(e + i, together));
        y += pitch;
    }
    return y;
}

/* Rows with a label beside them: of one kind, or of a process that is not divided. */
static double add_labelled(struct timeline_layout *l, const struct timeline *t, const struct entry *e, unsigned n,
                           double pitch, double y)
{
    struct timeline_band *b = add_band(l, y);
    double end = add_rows(l, e, n, l->each, pitch, y);
    b->h = end - y;
    if (l->sorting & BANDS_KIND) {
        b->bad = e->kind == KIND_ABORTED;
        timeline_count(b->label, sizeof b->label, n);
        snprintf(b->detail, sizeof b->detail, "%s", kind_names[e->kind]);
    } else {
        name_process(b, t, e, n);
    }
    /* A band of a few rows still needs the height of its label. */
    return (b->h < 30 ? y + 30 : end) + BAND_GAP;
}

static double pitch_of(const struct timeline_layout *l, unsigned rows)
{
    if (l->named)
        return 20;
    double pitch = (double)ROWS_AIM / (rows + 1);
    return pitch > 8 ? 8 : pitch < 1 ? 1 : floor(pitch * 2) / 2;
}

static double place_process(struct timeline_layout *l, const struct timeline *t, const struct entry *e, unsigned n,
                            double pitch, double y)
{
    if (l->sorting == BANDS_BOTH || (l->named && l->sorting == BANDS_PROCESS))
        y = begin_process(l, t, e, n, y);
    if (l->named || l->sorting == BANDS_NONE)
        return add_rows(l, e, n, l->each, pitch, y);
    for (unsigned i = 0, kind; i < n; i += kind) {
        kind = run_length(e + i, n - i, true);
        y = add_labelled(l, t, e + i, kind, pitch, y);
    }
    return y;
}

static void place_rows(struct timeline_layout *l, const struct timeline *t, const struct entry *e)
{
    l->each = (t->connections + TIMELINE_ROWS - 1) / TIMELINE_ROWS;
    double y = l->rows_top, pitch = pitch_of(l, l->each ? t->connections / l->each : 0);
    l->bar = l->named ? 12 : pitch >= 3 ? pitch - 1 : pitch >= 2 ? pitch - 0.5 : pitch;
    for (unsigned i = 0, n; i < t->connections; i += n) {
        n = run_length(e + i, t->connections - i, false);
        y = place_process(l, t, e + i, n, pitch, y);
    }
    l->rows_bottom = y > l->rows_top + 40 ? y : l->rows_top + 40;
}

/* ---- the area ---------------------------------------------------------------------------------------------- */

/* Adds one for the columns whose middle lies in from..to: as differences first, summed up later. */
static void add_stretch(struct timeline_layout *l, double from, double to, unsigned look)
{
    long first = lround(ceil(from - l->left - 0.5)), end = lround(ceil(to - l->left - 0.5));
    first = first < 0 ? 0 : first;
    if (end <= first || first >= (long)l->columns)
        return;
    l->count[(size_t)first * TIMELINE_LOOKS + look]++;
    if (end < (long)l->columns)
        l->count[(size_t)end * TIMELINE_LOOKS + look]--;
}

static void sum_up(struct timeline_layout *l)
{
    for (unsigned x = 0; x < l->columns; x++) {
        unsigned total = 0;
        for (unsigned look = 0; look < TIMELINE_LOOKS; look++) {
            size_t at = (size_t)x * TIMELINE_LOOKS + look;
            if (x > 0)
                l->count[at] += l->count[at - TIMELINE_LOOKS];
            total += l->count[at];
        }
        l->most = total > l->most ? total : l->most;
    }
}

static void place_levels(struct timeline_layout *l)
{
    double step = nice_step(l->most > 0 ? l->most : 1, 3);
    step = step < 1 ? 1 : step;
    for (unsigned i = 0; i < COUNT(l->level) && i * step <= l->most; i++) {
        struct timeline_tick *tick = &l->level[l->levels++];
        tick->at = l->area_bottom - (l->area_bottom - l->area_top) * i * step / (l->most > 0 ? l->most : 1);
        timeline_count(tick->label, sizeof tick->label, (uint64_t)(i * step));
    }
}

static void fill_area(struct timeline_layout *l, const struct timeline *t)
{
    for (unsigned i = 0; i < t->connections; i++) {
        const struct timeline_connection *c = &t->connection[i];
        for (unsigned k = 0; k < c->changes && c->change[k].state != CONN_HISTORY_CLOSED; k++) {
            uint64_t to = k + 1 < c->changes ? c->change[k + 1].at : seen_until(t, c);
            add_stretch(l, timeline_x(l, c->change[k].at), timeline_x(l, to), timeline_look(c, k));
        }
    }
    sum_up(l);
    place_levels(l);
}

/* ---- all of it --------------------------------------------------------------------------------------------- */

static bool take_memory(struct timeline_layout *l, const struct timeline *t)
{
    size_t changes = 0;
    for (unsigned i = 0; i < t->connections; i++)
        changes += t->connection[i].changes;
    l->row = calloc(t->connections + 1, sizeof *l->row);
    l->segment = calloc(changes + 1, sizeof *l->segment);
    l->band = calloc(2 * (size_t)t->connections + 1, sizeof *l->band); /* one of each sort for every row at most */
    l->columns = (unsigned)(l->right - l->left);
    l->count = calloc((size_t)l->columns * TIMELINE_LOOKS, sizeof *l->count);
    return l->row && l->segment && l->band && l->count;
}

void timeline_layout_free(struct timeline_layout *l)
{
    free(l->row);
    free(l->segment);
    free(l->band);
    free(l->count);
    l->row = NULL;
    l->segment = NULL;
    l->band = NULL;
    l->count = NULL;
}

static void place_columns(struct timeline_layout *l, const struct timeline *t)
{
    l->named = t->connections <= TIMELINE_NAMED;
    l->sorting = t->processes > APART ? BANDS_NONE : t->processes > 1 ? BANDS_PROCESS : BANDS_NONE;
    if (!l->named && t->processes <= DIVIDED)
        l->sorting |= BANDS_KIND;
    l->connections = t->connections;
    l->width = WIDTH;
    l->left = LEFT;
    l->right = WIDTH - (l->named ? RIGHT_NAMED : RIGHT_MANY);
    l->span = longest(t) * 1.015; /* so that the line of the delivery does not coincide with the frame */
}

bool timeline_layout(struct timeline_layout *l, const struct timeline *t)
{
    memset(l, 0, sizeof *l);
    place_columns(l, t);
    struct entry *e = sorted(l, t);
    if (!take_memory(l, t) || !e) {
        free(e);
        timeline_layout_free(l);
        return false;
    }
    add_marks(l, t);
    place_ticks(l);
    l->legend_y = HEAD + 14;
    double y = HEAD + LEGEND + 20;
    y += place_labels(l, y) - 6;
    l->area_top = l->area_bottom = y;
    if (!l->named) {
        l->area_bottom = y + AREA;
        fill_area(l, t);
        y = l->area_bottom + 22;
    }
    l->rows_top = y + (l->named ? 8 : 0);
    place_rows(l, t, e);
    l->height = l->rows_bottom + FOOT;
    free(e);
    return true;
}
