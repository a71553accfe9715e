/* draw.c: the picture as SVG, alone or in a page of HTML that is well-formed XML too. It needs nothing from
 * elsewhere, follows the reader's light or dark, and says by pattern what it says by colour. */
#include "launcher/timeline/layout.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

/* ---- text ---------------------------------------------------------------------------------------------------- */

/* Untrusted text, at most `most` bytes. A byte that is not printable ASCII may be invalid in XML, or reverse or end
 * the line. */
static void put_text(FILE *out, const char *s, size_t most)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n && i < most; i++) {
        switch (s[i]) {
        case '&': fputs("&amp;", out); break;
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '"': fputs("&quot;", out); break;
        case '\'': fputs("&#39;", out); break;
        default: putc(s[i] < ' ' || s[i] > '~' ? '?' : s[i], out);
        }
    }
    if (n > most)
        fputs("\xe2\x80\xa6", out); /* an ellipsis */
}

enum { WHOLE = 256 };

/* A number without needless zeros. */
static void put_number(FILE *out, double value)
{
    char digits[40];
    snprintf(digits, sizeof digits, "%.2f", value);
    size_t n = strlen(digits);
    while (digits[n - 1] == '0')
        n--;
    fwrite(digits, 1, digits[n - 1] == '.' ? n - 1 : n, out);
}

static void put_attribute(FILE *out, const char *name, double value)
{
    fprintf(out, " %s=\"", name);
    put_number(out, value);
    putc('"', out);
}

static void begin_text(FILE *out, double x, double y, const char *class)
{
    fputs("<text", out);
    put_attribute(out, "x", x);
    put_attribute(out, "y", y);
    fprintf(out, " class=\"%s\">", class);
}

static void put_label(FILE *out, double x, double y, const char *class, const char *label)
{
    begin_text(out, x, y, class);
    put_text(out, label, WHOLE);
    fputs("</text>\n", out);
}

static void put_rect(FILE *out, double x, double y, double w, double h, const char *class)
{
    fputs("<rect", out);
    put_attribute(out, "x", x);
    put_attribute(out, "y", y);
    put_attribute(out, "width", w);
    put_attribute(out, "height", h);
    fprintf(out, " class=\"%s\"/>", class);
}

static void put_line(FILE *out, double x, double y, double to_x, double to_y, const char *class)
{
    fputs("<line", out);
    put_attribute(out, "x1", x);
    put_attribute(out, "y1", y);
    put_attribute(out, "x2", to_x);
    put_attribute(out, "y2", to_y);
    fprintf(out, " class=\"%s\"/>\n", class);
}

/* ---- how it looks ------------------------------------------------------------------------------------------- */

static const struct look {
    const char *class, *name, *meaning;
} looks[TIMELINE_LOOKS] = {
    [CONN_HISTORY_NONE] = {"", "", ""},
    [CONN_HISTORY_IN_FLIGHT] = {"f", "in flight", "a request has begun, its response is not complete"},
    [CONN_HISTORY_MANY] = {"m", "in flight and idle by turns", "too often to be told one by one"},
    [CONN_HISTORY_OPAQUE] = {"o", "opaque", "bytes that cannot be read: TLS, an upgraded connection"},
    [CONN_HISTORY_IDLE] = {"i", "idle", "no request; it may still speak"},
    [CONN_HISTORY_CLOSING] = {"e", "told to end", "end of file given, the program is to close it"},
    [CONN_HISTORY_HALF_CLOSED] = {"n", "half-closed",
                                  "its response acknowledged or on its way, and the peer's end waited for"},
    [CONN_HISTORY_LINGERING] = {"l", "lingering", "closed by the program, kept until the peer has ended"},
    [CONN_HISTORY_CLOSED] = {"", "closed", ""},
    [TIMELINE_ABORTED] = {"x", "aborted", "a request that did not get its whole response"},
};

/* The lightness of the colours differs too, so that they are told apart in grey; where bars are thick enough, so do
 * their patterns. */
static const char style[] =
    ".lc{--bg:#fff;--ink:#1b2330;--mut:#5b6675;--rule:#e3e8ee;--halo:#fff;"
    "--f:#1059b0;--i:#d5dee8;--i2:#8796a8;--o:#7b8490;--o2:#b9c0c9;--e:#9dbcdc;--e2:#41709f;--n:#e8a317;--n2:#8f5f00;"
    "--l:#2a9d8f;--l2:#d3f0ea;--x:#cf1f2e;--x2:#ffd0d0;"
    "font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;background:var(--bg);"
    "color:var(--ink)}\n"
    "@media(prefers-color-scheme:dark){.lc{--bg:#11161d;--ink:#e6ebf2;--mut:#9aa6b5;--rule:#27303b;--halo:#11161d;"
    "--f:#5ba4f8;--i:#2c3744;--i2:#74859a;--o:#8a94a1;--o2:#4d5763;--e:#4b6c90;--e2:#a9cbee;--n:#f0b536;--n2:#7a5200;"
    "--l:#2aa391;--l2:#0c3b35;--x:#ff5f68;--x2:#5c0b12}}\n"
    ".lc text{fill:var(--ink);font-variant-numeric:tabular-nums}\n"
    ".lc .bg{fill:var(--bg)}.lc .h1{font-size:20px;font-weight:600}.lc .mut{fill:var(--mut)}\n"
    ".lc .bad{fill:var(--x);font-weight:600}.lc .strong{font-weight:600}.lc .end{text-anchor:end}.lc "
    ".mid{text-anchor:middle}\n"
    ".lc .rule{stroke:var(--rule)}.lc .axis{stroke:var(--mut)}\n"
    ".lc .f{fill:var(--f)}.lc .i{fill:var(--i)}.lc .o{fill:var(--o)}.lc .e{fill:var(--e)}.lc .n{fill:var(--n)}\n"
    ".lc .l{fill:var(--l)}.lc .x{fill:var(--x)}.lc .m{fill:var(--f);fill-opacity:.55}\n"
    ".lc .big .i{stroke:var(--i2)}.lc .big .o{fill:url(#lc-o)}.lc .big .e{fill:url(#lc-e)}.lc .big "
    ".n{fill:url(#lc-n)}\n"
    ".lc .big .l{fill:url(#lc-l)}.lc .big .x{fill:url(#lc-x)}.lc .big .m{fill:url(#lc-m);fill-opacity:1}\n"
    ".lc .hit{fill:var(--ink);fill-opacity:0}.lc .c:hover .hit,.lc .c:focus .hit{fill-opacity:.07}.lc "
    ".c{outline:none}\n"
    ".lc .cap{stroke:var(--ink);stroke-width:2}.lc .cross{fill:none;stroke:var(--x);stroke-width:2.2}.lc "
    ".open{fill:none;stroke:var(--mut);stroke-width:1.5}\n"
    ".lc .halo{stroke:var(--halo);stroke-width:3.5;stroke-opacity:.75}\n"
    ".lc .k0,.lc .k4{stroke:var(--ink);stroke-width:1.5}.lc .k1{stroke:var(--mut);stroke-dasharray:1 "
    "4;stroke-width:1.5}\n"
    ".lc .k2{stroke:var(--ink);stroke-dasharray:2 3;stroke-width:1.5}"
    ".lc .k3{stroke:var(--x);stroke-dasharray:8 4;stroke-width:2}\n"
    ".lc .on{font-weight:600;paint-order:stroke;stroke:var(--bg);stroke-width:3px;stroke-opacity:.8}\n";

static void put_patterns(FILE *out)
{
    fputs(
        "<defs>\n"
        "<pattern id=\"lc-n\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
        "<rect width=\"6\" height=\"6\" style=\"fill:var(--n)\"/><rect width=\"1.6\" height=\"6\" "
        "style=\"fill:var(--n2)\"/></pattern>\n"
        "<pattern id=\"lc-l\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">"
        "<rect width=\"6\" height=\"6\" style=\"fill:var(--l)\"/><circle cx=\"1.5\" cy=\"1.5\" r=\"1.1\" "
        "style=\"fill:var(--l2)\"/>"
        "<circle cx=\"4.5\" cy=\"4.5\" r=\"1.1\" style=\"fill:var(--l2)\"/></pattern>\n"
        "<pattern id=\"lc-o\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">"
        "<rect width=\"6\" height=\"6\" style=\"fill:var(--o)\"/><rect width=\"2\" height=\"6\" "
        "style=\"fill:var(--o2)\"/></pattern>\n"
        "<pattern id=\"lc-e\" width=\"6\" height=\"4\" patternUnits=\"userSpaceOnUse\">"
        "<rect width=\"6\" height=\"4\" style=\"fill:var(--e)\"/><rect width=\"6\" height=\"1.2\" "
        "style=\"fill:var(--e2)\"/></pattern>\n"
        "<pattern id=\"lc-m\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\">"
        "<rect width=\"8\" height=\"8\" style=\"fill:var(--i)\"/><rect width=\"4\" height=\"8\" "
        "style=\"fill:var(--f)\"/></pattern>\n"
        "<pattern id=\"lc-x\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\">"
        "<rect width=\"8\" height=\"8\" style=\"fill:var(--x)\"/>"
        "<path d=\"M0 0l8 8M8 0l-8 8\" style=\"stroke:var(--x2);stroke-width:1.1;fill:none\"/></pattern>\n"
        "</defs>\n",
        out);
}

/* ---- the head ------------------------------------------------------------------------------------------------ */

static void headline(char *out, size_t size, const struct timeline *t)
{
    char ms[40], all[24], aborted[24];
    timeline_ms(ms, sizeof ms, (double)t->duration);
    timeline_count(all, sizeof all, t->recorded ? t->connections + t->left_out : t->aborted);
    timeline_count(aborted, sizeof aborted, t->aborted);
    if (t->aborted > 0 && t->recorded)
        snprintf(out, size, "%s of %s connections aborted after %s ms", aborted, all, ms);
    else if (t->aborted > 0)
        snprintf(out, size, "%s connection%s aborted after %s ms", aborted, t->aborted == 1 ? "" : "s", ms);
    else if (t->recorded)
        snprintf(out, size, "%s connection%s drained in %s ms, none aborted", all,
                 t->connections + t->left_out == 1 ? "" : "s", ms);
    else
        snprintf(out, size, "Drained in %s ms, none aborted", ms);
}

static void put_date(FILE *out, uint64_t wall_ms)
{
    struct tm tm;
    char date[64];
    time_t seconds = (time_t)(wall_ms / 1000);
    if (wall_ms > 0 && gmtime_r(&seconds, &tm) && strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &tm) > 0)
        fprintf(out, ", %s UTC", date);
}

static void put_number_of(FILE *out, uint64_t n, const char *what)
{
    char number[24];
    timeline_count(number, sizeof number, n);
    fprintf(out, " \xc2\xb7 %s %s", number, what); /* a middle dot */
}

static void put_summary(FILE *out, const struct timeline *t)
{
    char ms[40];
    fputs("SIG", out);
    put_text(out, t->signal, 12);
    fprintf(out, " to process %d", t->pid);
    put_date(out, t->wall_ms);
    if (t->processes > 1)
        put_number_of(out, t->processes, "processes");
    put_number_of(out, t->in_flight, "in flight at the signal");
    put_number_of(out, t->served_after_signal, "served after the signal");
    put_number_of(out, t->idle_closed, "idle closed");
    if (t->opaque > 0)
        put_number_of(out, t->opaque, "opaque");
    timeline_ms(ms, sizeof ms, (double)t->exit_delay);
    if (t->aborted == 0)
        fprintf(out, " \xc2\xb7 exit delay %s ms", ms);
}

static void put_head(FILE *out, const struct timeline *t, const char *title)
{
    char line[256];
    headline(line, sizeof line, t);
    begin_text(out, 24, 40, "h1");
    put_text(out, title ? title : line, 100);
    fputs("</text>\n", out);
    begin_text(out, 24, 62, "mut");
    put_summary(out, t);
    fputs("</text>\n", out);
}

/* The legend: each look that occurs, with its meaning as a tooltip. */
static void put_legend(FILE *out, const struct timeline_layout *l)
{
    double x = 24;
    fputs("<g class=\"big\">\n", out);
    for (unsigned i = 0; timeline_order[i] != CONN_HISTORY_NONE; i++) {
        const struct look *look = &looks[timeline_order[i]];
        if (!l->looks[timeline_order[i]])
            continue;
        put_rect(out, x + 0.5, l->legend_y - 9.5, 21, 11, look->class);
        begin_text(out, x + 28, l->legend_y, "");
        fprintf(out, "%s<title>%s</title></text>\n", look->name, look->meaning);
        x += 28 + 6.6 * (double)strlen(look->name) + 22;
    }
    fputs("</g>\n", out);
}

/* ---- the frame ----------------------------------------------------------------------------------------------- */

static double plot_bottom(const struct timeline_layout *l)
{
    return l->rows_bottom + 6;
}

static void put_grid(FILE *out, const struct timeline_layout *l)
{
    double bottom = plot_bottom(l);
    for (unsigned i = 0; i < l->ticks; i++) {
        put_line(out, l->tick[i].at, l->area_top, l->tick[i].at, bottom, "rule");
        put_label(out, l->tick[i].at, bottom + 18, "mut mid", l->tick[i].label);
    }
    put_line(out, l->left, bottom, l->right, bottom, "axis");
    put_label(out, (l->left + l->right) / 2, bottom + 38, "mut mid", "ms since the signal");
    if (*l->later)
        put_label(out, l->right, bottom + 38, "mut end", l->later);
}

/* The last mark first, so that a delivery at the deadline does not hide the deadline. */
static void put_marks(FILE *out, const struct timeline_layout *l)
{
    for (unsigned i = 0; i < l->marks; i++)
        put_line(out, l->mark[i].x, l->mark[i].label_y + 5, l->mark[i].x, plot_bottom(l), "halo");
    for (unsigned i = l->marks; i-- > 0;) {
        const struct timeline_mark *m = &l->mark[i];
        char class[8];
        snprintf(class, sizeof class, "k%u", (unsigned)m->kind);
        put_line(out, m->x, m->label_y - 10, m->x, plot_bottom(l), class);
        put_label(out, m->label_x, m->label_y,
                  m->kind == MARK_DEADLINE ? m->to_the_left ? "bad end" : "bad"
                  : m->to_the_left         ? "strong end"
                                           : "strong",
                  m->label);
    }
}

/* ---- rows ----------------------------------------------------------------------------------------------------- */

/* The tooltip of a row, one fact a line. */
static void put_story(FILE *out, const struct timeline_row *row)
{
    const struct timeline_connection *c = row->connection;
    char in[16], sent[16], ms[40];
    fputs("<title>", out);
    if (row->stands_for > 1)
        fprintf(out, "%u connections; one of them:\n", row->stands_for);
    put_text(out, *c->method ? c->method : "no request", 24);
    fputs(" from ", out);
    put_text(out, *c->peer ? c->peer : "unknown", 64);
    timeline_bytes(in, sizeof in, c->in_bytes);
    timeline_bytes(sent, sizeof sent, c->out_bytes);
    fprintf(out, "\nprocess %d, %s in, %s out", c->pid, in, sent);
    for (unsigned i = 0; i < c->changes; i++) {
        timeline_ms(ms, sizeof ms, (double)c->change[i].at);
        fprintf(out, "\n%s ms: %s%s", ms, looks[c->change[i].state].name,
                timeline_look(c, i) == TIMELINE_ABORTED && c->change[i].state != CONN_HISTORY_CLOSED ? ", aborted"
                                                                                                     : "");
    }
    if (row->open)
        fputs("\nopen at the end of the drain", out);
    if (c->left_out > 0)
        fprintf(out, "\n%" PRIu64 " changes are left out", c->left_out);
    fputs("</title>", out);
}

/* The connection's name on the left, its bytes on the right. */
static void put_names(FILE *out, const struct timeline_layout *l, const struct timeline_row *row)
{
    const struct timeline_connection *c = row->connection;
    double y = row->y + l->bar - 2;
    char in[16], sent[16];
    begin_text(out, l->left - 14, y, c->aborted ? "bad end" : "end");
    put_text(out, *c->method ? c->method : "-", 11);
    putc(' ', out);
    put_text(out, *c->peer ? c->peer : "unknown", 26);
    fputs("</text>", out);
    timeline_bytes(in, sizeof in, c->in_bytes);
    timeline_bytes(sent, sizeof sent, c->out_bytes);
    begin_text(out, l->right + 12, y, c->aborted ? "bad" : "mut");
    fprintf(out, "%s, %s%s</text>", in, sent, c->aborted ? ", aborted" : "");
}

/* Aborted: a cross. Closed: a bar across. Not closed: an arrow, since the program's end closes the connection. */
static void put_end(FILE *out, const struct timeline_layout *l, const struct timeline_row *row)
{
    bool aborted = row->connection->aborted;
    if (!row->open && !aborted) {
        put_line(out, row->end_x, row->y - 2, row->end_x, row->y + l->bar + 2, "cap");
        return;
    }
    fprintf(out, "<path class=\"%s\" d=\"M", aborted ? "cross" : "open");
    put_number(out, row->end_x + 4);
    putc(' ', out);
    put_number(out, row->y + 2);
    fputs(aborted ? "l8 8m0-8l-8 8\"/>" : "l4 4l-4 4\"/>", out);
}

static void put_row(FILE *out, const struct timeline_layout *l, const struct timeline_row *row)
{
    fputs(l->named ? "<g class=\"c\" tabindex=\"0\">" : "<g class=\"c\">", out);
    put_story(out, row);
    if (l->named)
        put_rect(out, 8, row->y - 4, l->width - 16, l->bar + 8, "hit");
    for (unsigned i = row->first; i < row->first + row->segments; i++) {
        const struct timeline_segment *s = &l->segment[i];
        put_rect(out, s->x, row->y, s->w, l->bar, looks[s->look].class);
    }
    if (l->named) {
        put_end(out, l, row);
        put_names(out, l, row);
    }
    fputs("</g>\n", out);
}

static void put_band(FILE *out, const struct timeline_layout *l, const struct timeline_band *b)
{
    double x = b->is_process ? 24 : l->left - 14, y = b->y + (b->h > 30 ? b->h : 30) / 2 - 2;
    const char *class = b->is_process ? "strong" : "strong end", *detail = b->is_process ? "mut" : "mut end";
    if (b->bad)
        class = b->is_process ? "bad" : "bad end";
    put_label(out, x, y, class, b->label);
    put_label(out, x, y + 14, detail, b->detail);
    if (!b->is_process)
        put_line(out, l->left - 6, b->y, l->left - 6, b->y + b->h, "axis");
}

static void put_rows(FILE *out, const struct timeline_layout *l)
{
    fprintf(out, "<g class=\"rows %s\">\n", l->named ? "big" : l->bar >= 5 ? "big" : "thin");
    for (unsigned i = 0; i < l->rows; i++)
        put_row(out, l, &l->row[i]);
    fputs("</g>\n", out);
    for (unsigned i = 0; i < l->bands; i++)
        put_band(out, l, &l->band[i]);
    if (l->named && l->rows > 0)
        put_label(out, l->right + 12, l->area_top - 4, "mut", "bytes in, out");
}

/* ---- the area --------------------------------------------------------------------------------------------------- */

/* So many connections lie below this look in this column. */
static unsigned below(const struct timeline_layout *l, unsigned column, unsigned place)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < place; i++)
        sum += l->count[(size_t)column * TIMELINE_LOOKS + timeline_order[i]];
    return sum;
}

static double level(const struct timeline_layout *l, unsigned connections)
{
    return l->area_bottom - (l->area_bottom - l->area_top) * connections / (l->most > 0 ? l->most : 1);
}

/* Along the top of a look from left to right, or along its bottom back again: steps, not slopes. */
static void put_edge(FILE *out, const struct timeline_layout *l, unsigned place, bool back)
{
    double last = -1;
    for (unsigned i = 0; i < l->columns; i++) {
        unsigned column = back ? l->columns - 1 - i : i;
        double y = level(l, below(l, column, place));
        if (y == last)
            continue;
        fputs(i == 0 && !back ? "M" : i == 0 ? "L" : "H", out);
        put_number(out, l->left + column + (back ? 1 : 0));
        fputs(i == 0 ? " " : "V", out);
        put_number(out, y);
        last = y;
    }
    fputs("H", out);
    put_number(out, back ? l->left : l->left + l->columns);
}

/* So many connections look so over a whole name's width around this column, at least. */
static unsigned thickness(const struct timeline_layout *l, unsigned look, unsigned column, unsigned half)
{
    unsigned least = UINT32_MAX;
    for (unsigned at = column - half; at < column + half; at += 4) {
        unsigned n = l->count[(size_t)at * TIMELINE_LOOKS + look];
        least = n < least ? n : least;
    }
    return least;
}

/* The name of an area is placed in the middle of the first stretch that is nearly as thick as the area's maximum. */
static void put_area_name(FILE *out, const struct timeline_layout *l, unsigned place)
{
    unsigned look = timeline_order[place], half = (unsigned)(strlen(looks[look].name) * 3.4) + 8, most = 0, from = 0,
             to;
    for (unsigned column = half; column + half < l->columns; column += 4) {
        unsigned n = thickness(l, look, column, half);
        if (n > most + most / 4) {
            most = n;
            from = column;
        }
    }
    if (level(l, 0) - level(l, most) < 18)
        return;
    for (to = from; to + half + 4 < l->columns && thickness(l, look, to + 4, half) >= most - most / 4;)
        to += 4;
    unsigned best = (from + to) / 2;
    double middle = (level(l, below(l, best, place)) + level(l, below(l, best, place + 1))) / 2;
    put_label(out, l->left + best, middle + 4, "on mid", looks[look].name);
}

static void put_area_names(FILE *out, const struct timeline_layout *l)
{
    for (unsigned place = 0; timeline_order[place] != CONN_HISTORY_NONE; place++)
        if (l->looks[timeline_order[place]])
            put_area_name(out, l, place);
}

static void put_area(FILE *out, const struct timeline_layout *l)
{
    for (unsigned i = 0; i < l->levels; i++) {
        put_line(out, l->left, l->level[i].at, l->right, l->level[i].at, "rule");
        put_label(out, l->left - 14, l->level[i].at + 4, "mut end", l->level[i].label);
    }
    put_label(out, 24, l->area_top + 4, "mut", "connections");
    fputs("<g class=\"area big\">\n", out);
    for (unsigned place = 0; timeline_order[place] != CONN_HISTORY_NONE; place++) {
        const struct look *look = &looks[timeline_order[place]];
        if (!l->looks[timeline_order[place]])
            continue;
        fprintf(out, "<path class=\"%s\" d=\"", look->class);
        put_edge(out, l, place + 1, false);
        put_edge(out, l, place, true);
        fputs("Z\"/>\n", out);
    }
    fputs("</g>\n", out);
    put_line(out, l->left, l->area_bottom, l->right, l->area_bottom, "axis");
}

/* ---- the foot ------------------------------------------------------------------------------------------------ */

static void put_quiet_processes(FILE *out, const struct timeline *t)
{
    unsigned quiet = 0, named = 0;
    for (unsigned i = 0; i < t->processes; i++) {
        unsigned has = 0;
        for (unsigned c = 0; c < t->connections && !has; c++)
            has = t->connection[c].pid == t->process[i].pid;
        if (has)
            continue;
        quiet++;
        if (named < 6) {
            fprintf(out, "%s%d", named == 0 ? "without connections: process " : ", ", t->process[i].pid);
            named++;
        }
    }
    if (quiet > named)
        fprintf(out, " and %u more", quiet - named);
    if (quiet > 0)
        fputs(". ", out);
}

static void put_foot(FILE *out, const struct timeline_layout *l, const struct timeline *t)
{
    begin_text(out, 24, l->height - 18, "mut");
    if (!t->recorded)
        fputs("No single connections are recorded but those aborted: set LASTCALL_REPORT_CONNECTIONS=1 to have all "
              "drawn. ",
              out);
    if (t->recorded && t->processes > 1)
        put_quiet_processes(out, t);
    if (t->processes > 1 && l->sorting == BANDS_NONE)
        fputs("So many processes are not told apart. ", out);
    if (l->rows > 0 && l->rows < l->connections)
        fputs("A line stands for several neighbours and shows one that was aborted, or the last to end. ", out);
    if (t->left_out > 0)
        fprintf(out, "%" PRIu64 " connections had no room in the report. ", t->left_out);
    if (t->unreadable > 0)
        fprintf(out, "%u connections could not be read. ", t->unreadable);
    fputs("</text>\n", out);
    begin_text(out, l->width - 24, l->height - 18, "mut end");
    fputs("lastcall ", out);
    put_text(out, t->version, 16);
    fputs("</text>\n", out);
}

/* ---- all of it --------------------------------------------------------------------------------------------- */

static void put_svg(FILE *out, const struct timeline_layout *l, const struct timeline *t, const char *title)
{
    char line[256];
    headline(line, sizeof line, t);
    fputs("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"lc\" role=\"img\"", out);
    fprintf(out, " viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\">\n<title>", l->width, l->height, l->width,
            l->height);
    put_text(out, title ? title : line, 200);
    fputs("</title>\n<desc>", out);
    put_summary(out, t);
    fputs("</desc>\n<style>\n", out);
    fputs(style, out);
    fputs("</style>\n", out);
    put_patterns(out);
    put_rect(out, 0, 0, l->width, l->height, "bg");
    putc('\n', out);
    put_head(out, t, title);
    put_legend(out, l);
    put_grid(out, l);
    if (!l->named)
        put_area(out, l);
    put_rows(out, l);
    put_marks(out, l);
    if (!l->named)
        put_area_names(out, l);
    put_foot(out, l, t);
    fputs("</svg>\n", out);
}

/* The tip takes each row's story out of its title, which a browser would show too. Without scripts the title stays. */
static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta charset=\"utf-8\"/>\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
    "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src "
    "'unsafe-inline'\"/>\n"
    "<title>";

static const char page_style[] =
    "</title>\n<style>\nbody{margin:0}\nsvg.lc{display:block;margin:0 auto;max-width:100%;height:auto}\n"
    "#tip{position:fixed;pointer-events:none;white-space:pre-line;max-width:28em;padding:8px 11px;border-radius:6px;"
    "background:var(--ink);color:var(--bg);font-size:13px;line-height:1.45;box-shadow:0 2px 10px rgba(0,0,0,.3)}\n"
    "#tip[hidden]{display:none}\n</style>\n</head>\n<body class=\"lc\">\n";

static const char page_foot[] =
    "<div id=\"tip\" role=\"status\" hidden=\"hidden\"></div>\n<script>\n"
    "'use strict';\n"
    "const tip = document.getElementById('tip');\n"
    "for (const row of document.querySelectorAll('.c')) {\n"
    "  const title = row.querySelector('title');\n"
    "  row.setAttribute('aria-label', title.textContent);\n"
    "  title.remove();\n"
    "}\n"
    "function show(row, x, y) {\n"
    "  tip.hidden = !row;\n"
    "  if (!row) return;\n"
    "  tip.textContent = row.getAttribute('aria-label');\n"
    "  tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - tip.offsetWidth - 8)) + 'px';\n"
    "  tip.style.top = Math.max(4, Math.min(y + 14, innerHeight - tip.offsetHeight - 8)) + 'px';\n"
    "}\n"
    "addEventListener('mousemove', e => show(e.target.closest('.c'), e.clientX, e.clientY));\n"
    "document.documentElement.addEventListener('mouseleave', () => show(null));\n"
    "addEventListener('scroll', () => show(null));\n"
    "addEventListener('focusin', e => {\n"
    "  const box = e.target.getBoundingClientRect();\n"
    "  show(e.target.closest('.c'), box.left + 200, box.bottom);\n"
    "});\n"
    "</script>\n</body>\n</html>\n";

bool timeline_draw(FILE *out, const struct timeline *t, enum timeline_format format, const char *title)
{
    struct timeline_layout l;
    char line[256];
    if (!timeline_layout(&l, t))
        return false;
    headline(line, sizeof line, t);
    if (format == TIMELINE_HTML) {
        fputs(page_head, out);
        put_text(out, title ? title : line, 200);
        fputs(page_style, out);
    }
    put_svg(out, &l, t, title);
    if (format == TIMELINE_HTML)
        fputs(page_foot, out);
    timeline_layout_free(&l);
    return true;
}
