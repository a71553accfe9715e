/* layout.h: the positions of everything in the picture of a drain. Pure but for its memory.
 *
 * Up to TIMELINE_NAMED connections each has a name, and a row that also shows the states by pattern. More
 * connections are sorted into bands by their state at the signal, each band with one label, and a stacked area above
 * shows the number of connections in each state. Beyond TIMELINE_ROWS a row stands for several neighbours, and shows
 * an aborted one, or the last to end. */
#ifndef LASTCALL_LAUNCHER_TIMELINE_LAYOUT_H
#define LASTCALL_LAUNCHER_TIMELINE_LAYOUT_H

#include "launcher/timeline/timeline.h"

enum { TIMELINE_NAMED = 40, TIMELINE_ROWS = 1600, TIMELINE_TICKS = 12, TIMELINE_MARKS = 5, TIMELINE_LABEL = 96 };

/* The look of a stretch of a bar: a state, or an aborted request. */
enum { TIMELINE_ABORTED = CONN_HISTORY_STATES, TIMELINE_LOOKS };

/* The order in which looks are stacked, from below, and stand in the legend. CONN_HISTORY_NONE ends it. */
extern const unsigned timeline_order[TIMELINE_LOOKS];

struct timeline_segment {
    double x, w;
    unsigned look;
};

struct timeline_row {
    double y;
    const struct timeline_connection *connection;
    unsigned stands_for; /* connections */
    unsigned first, segments;
    double end_x;
    bool open; /* not closed when the drain ended */
};

/* A stretch of rows with one label: a process, or connections of one kind. Many processes are not divided by kind, and
 * very many not told apart. */
struct timeline_band {
    double y, h;
    char label[TIMELINE_LABEL], detail[TIMELINE_LABEL];
    bool is_process; /* its label stands above its rows; else beside them */
    bool bad;
};

enum timeline_mark_kind { MARK_SIGNAL, MARK_ACCEPT_STOP, MARK_ACCEPT_STOPPED, MARK_DEADLINE, MARK_DELIVERY };

struct timeline_mark {
    enum timeline_mark_kind kind;
    double x, label_x, label_y;
    bool to_the_left; /* the label ends there */
    char label[TIMELINE_LABEL];
};

struct timeline_tick {
    double at; /* x or y */
    char label[32];
};

struct timeline_layout {
    double width, height, left, right; /* the plot goes from left to right */
    double span;                       /* µs that it is wide */
    double legend_y, area_top, area_bottom, rows_top, rows_bottom, bar;
    bool named; /* few enough: every row has its name */
    enum timeline_bands { BANDS_NONE, BANDS_KIND, BANDS_PROCESS, BANDS_BOTH } sorting;
    unsigned connections, each; /* so many, and so many a row */

    struct timeline_mark mark[TIMELINE_MARKS];
    unsigned marks;
    struct timeline_tick tick[TIMELINE_TICKS];
    unsigned ticks;
    char later[TIMELINE_LABEL]; /* a deadline that lies beyond the picture; "" */

    struct timeline_row *row;
    unsigned rows;
    struct timeline_segment *segment;
    unsigned segments;
    struct timeline_band *band;
    unsigned bands;

    /* The area: of each look, how many connections there were in the middle of each column of one unit. */
    unsigned columns, most;
    unsigned *count; /* count[column * TIMELINE_LOOKS + look] */
    struct timeline_tick level[4];
    unsigned levels;
    bool looks[TIMELINE_LOOKS]; /* which occur at all */
};

/* False: no memory. */
bool timeline_layout(struct timeline_layout *l, const struct timeline *t);
void timeline_layout_free(struct timeline_layout *l);

double timeline_x(const struct timeline_layout *l, uint64_t at);

/* What the stretch that begins with change i is drawn as. */
unsigned timeline_look(const struct timeline_connection *c, unsigned i);

/* 1234567 µs as "1,234.6"; for people: fewer decimals the more there are before the point. */
void timeline_ms(char *out, size_t size, double us);
/* "12,345" */
void timeline_count(char *out, size_t size, uint64_t n);
/* "812 B", "2.3 kB" */
void timeline_bytes(char *out, size_t size, uint64_t n);

#endif
