/*
 * page_html.c - the page for people: no script, nothing from elsewhere, numbers in elements that data-name names.
 *
 * data-value has the number as the JSON has it where the text is for people ("1.2 MB", "3 min").
 */
#include "page.h"

#include <inttypes.h>
#include <string.h>

const char page_style[] =
    "body{font:15px/1.45 sans-serif;color:#222;background:#fafafa;max-width:72em;margin:1em "
    "auto;padding:0 1em}\n"
    "h1{font-size:1.4em}h2{font-size:1.1em;margin:1.6em 0 .4em;border-bottom:1px solid #ccc}\n"
    "table{border-collapse:collapse}th,td{padding:.1em .9em .1em "
    "0;text-align:left;vertical-align:top}\n"
    "th{font-weight:600;color:#555}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
    "tr.zero{color:#999}.note,footer{color:#666;font-size:.9em}.well{color:#176317}.unwell{color:#"
    "a11}"
    "\n"
    ".plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(20em,1fr));gap:1em}\n"
    "figure{margin:0;background:#fff;border:1px solid "
    "#ddd;padding:.5em}figcaption{font-size:.9em}\n"
    "svg{width:100%;height:6em;display:block}svg "
    "path{fill:none;stroke:#2458a6;stroke-width:1.5;vector-effect:non-scaling-stroke}\n"
    "#state td.n{text-align:left}.columns{columns:2 26em}meter{width:9em}\n";

const char page_icon[] =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\"><circle cx=\"8\" cy=\"8\" "
    "r=\"6\" fill=\"#2458a6\"/></svg>\n";

void page_html_text(FILE *to, const char *text)
{
    for (; *text != 0; text++) {
        const char *special = *text == '<'    ? "&lt;"
                              : *text == '>'  ? "&gt;"
                              : *text == '&'  ? "&amp;"
                              : *text == '"'  ? "&quot;"
                              : *text == '\'' ? "&#39;"
                                              : NULL;
        if (special != NULL) {
            (void)fputs(special, to);
        } else {
            (void)fputc(*text, to);
        }
    }
}

void page_number(char out[32], uint64_t value, bool bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    unsigned unit = 0;
    uint64_t rest = 0;

    if (value == HISTORY_NONE) {
        (void)snprintf(out, 32, "-");
        return;
    }
    while (bytes && value >= 1000) {
        rest = value % 1000 / 100;
        value /= 1000;
        unit++;
    }
    if (unit > 0) {
        (void)snprintf(out, 32, "%" PRIu64 ".%" PRIu64 " %s", value, rest, units[unit]);
    } else {
        (void)snprintf(out, 32, "%" PRIu64 "%s", value, bytes ? " B" : "");
    }
}

/* "0.4 ms", "1.5 s", "12 s", "3 min", "5 h", "4 d" */
static void duration(char out[32], uint64_t ns)
{
    uint64_t us = ns / 1000, s = ns / QUDAG_S;

    if (s < 1) {
        (void)snprintf(out, 32, "%" PRIu64 ".%" PRIu64 " ms", us / 1000, us % 1000 / 100);
    } else if (s < 10) {
        (void)snprintf(out, 32, "%" PRIu64 ".%" PRIu64 " s", s, us % 1000000 / 100000);
    } else if (s < 120) {
        (void)snprintf(out, 32, "%" PRIu64 " s", s);
    } else if (s < 7200) {
        (void)snprintf(out, 32, "%" PRIu64 " min", s / 60);
    } else if (s < 48 * 3600) {
        (void)snprintf(out, 32, "%" PRIu64 " h", s / 3600);
    } else {
        (void)snprintf(out, 32, "%" PRIu64 " d", s / (24 * 3600));
    }
}

/* ---- cells ---- */

static void cell_begin(FILE *to, const char *class, const char *name)
{
    (void)fprintf(to, "<td class=\"%s\" data-name=\"", class);
    page_html_text(to, name);
    (void)fputc('"', to);
}

static void cell_text(FILE *to, const char *name, const char *text)
{
    cell_begin(to, "t", name);
    (void)fputc('>', to);
    page_html_text(to, text);
    (void)fputs("</td>", to);
}

/* A number as |text| says it. */
static void cell_value(FILE *to, const char *name, uint64_t value, const char *text)
{
    cell_begin(to, "n", name);
    (void)fprintf(to, " data-value=\"%" PRIu64 "\">", value);
    page_html_text(to, text);
    (void)fputs("</td>", to);
}

static void cell_ns(FILE *to, const char *name, uint64_t ns)
{
    char text[32];

    duration(text, ns);
    cell_value(to, name, ns, text);
}

static void cell_number(FILE *to, const char *name, uint64_t value, bool bytes)
{
    char text[32];

    page_number(text, value, bytes);
    cell_value(to, name, value, text);
}

static void heads(FILE *to, const char *const *head, size_t n)
{
    (void)fputs("<tr>", to);
    for (size_t ix = 0; ix < n; ix++) {
        (void)fprintf(to, "<th>%s</th>", head[ix]);
    }
    (void)fputs("</tr>\n", to);
}
#define HEADS(to, list) heads(to, list, sizeof(list) / sizeof((list)[0]))

/* ---- sections ---- */

static void status_html(FILE *to, const struct page *p)
{
    struct rec_view v;
    struct rec_field f;
    char name[REC_NAME_MAX + 16];
    bool good = rec_parse(&v, p->status.buf + REC_FRAME_HEAD, p->status.len - REC_FRAME_HEAD);

    (void)fputs("<h2>State</h2>\n<table id=\"state\">\n", to);
    for (size_t it = 0; good && rec_next(&v, &it, &f);) {
        if (!page_shows_status(f.name) || f.kind == REC_BYTES) {
            continue;
        }
        size_t len = strlen(f.name);
        bool ns = len > 3 && strcmp(f.name + len - 3, "_ns") == 0;
        (void)fprintf(to, "<tr><th>%.*s</th>", (int)(ns ? len - 3 : len), f.name);
        (void)snprintf(name, sizeof(name), "status.%s", f.name);
        if (f.kind == REC_STR) {
            cell_text(to, name, f.text);
        } else if (f.kind == REC_BOOL) {
            cell_text(to, name, f.num != 0 ? "yes" : "no");
        } else if (ns) {
            cell_ns(to, name, (uint64_t)f.num);
        } else {
            cell_number(to, name, (uint64_t)f.num, false);
        }
        (void)fputs("</tr>\n", to);
    }
    (void)fputs("</table>\n<p class=\"note\">Why something does not work, and what to do: "
                "<code>qudag status</code>, <code>qudag doctor</code>.</p>\n",
                to);
}

static void links_html(FILE *to, const struct page *p)
{
    static const char *const head[] = {"state",        "direction", "transport", "key exchange",
                                       "post-quantum", "standing",  "age",       "round trip",
                                       "set-up",       "received",  "sent",      "streams"};
    (void)fprintf(to, "<h2>Links</h2>\n%s<table id=\"links\">\n",
                  p->all_links ? "" : "<p class=\"note\">Not all are shown.</p>\n");
    HEADS(to, head);
    for (size_t ix = 0; ix < p->n_links; ix++) {
        const struct page_link *l = &p->link[ix];
        (void)fputs("<tr>", to);
        cell_text(to, "state", l->state);
        cell_text(to, "direction", l->direction);
        cell_text(to, "transport", l->transport);
        cell_text(to, "group", l->group);
        cell_text(to, "pq", l->pq ? "yes" : "no");
        cell_text(to, "standing", l->standing);
        cell_ns(to, "age_ns", l->age);
        cell_ns(to, "rtt_ns", l->rtt);
        cell_ns(to, "handshake_ns", l->handshake);
        cell_number(to, "bytes_in", l->bytes_in, true);
        cell_number(to, "bytes_out", l->bytes_out, true);
        cell_number(to, "streams", l->streams, false);
        (void)fputs("</tr>\n", to);
    }
    (void)fputs("</table>\n<p class=\"note\">With whom: <code>qudag peers</code>.</p>\n", to);
}

static void circuits_html(FILE *to, const struct page *p)
{
    static const char *const head[] = {"state", "hops", "of", "age", "built in", "streams"};

    (void)fprintf(to, "<h2>Circuits of this node</h2>\n%s<table id=\"circuits\">\n",
                  p->all_circuits ? "" : "<p class=\"note\">Not all are shown.</p>\n");
    HEADS(to, head);
    for (size_t ix = 0; ix < p->n_circuits; ix++) {
        const struct page_circuit *c = &p->circuit[ix];
        (void)fputs("<tr>", to);
        cell_text(to, "state", c->state);
        cell_number(to, "hops", c->hops, false);
        cell_number(to, "hops_wanted", c->hops_wanted, false);
        cell_ns(to, "age_ns", c->age);
        cell_ns(to, "build_ns", c->build);
        cell_number(to, "streams", c->streams, false);
        (void)fputs("</tr>\n", to);
    }
    (void)fputs(
        "</table>\n<p class=\"note\">What for, and where: <code>qudag circuit list</code>.</p>\n",
        to);
}

static const qudag_stat *limit_of(const struct metrics *m, const qudag_stat *used)
{
    for (size_t ix = 0; ix < m->n_stats; ix++) {
        if (strcmp(m->stat[ix].metric, "resource_limit") == 0 &&
            strcmp(m->stat[ix].labels, used->labels) == 0) {
            return &m->stat[ix];
        }
    }
    return NULL;
}

static void resources_html(FILE *to, const struct metrics *m)
{
    static const char *const head[] = {"", "used", "limit", ""};

    (void)fputs("<h2>Resources</h2>\n<table id=\"resources\">\n", to);
    HEADS(to, head);
    for (size_t ix = 0; ix < m->n_stats; ix++) {
        const qudag_stat *s = &m->stat[ix], *limit;
        if (strcmp(s->metric, "resource_used") != 0) {
            continue;
        }
        bool bytes = strstr(s->name, "bytes") != NULL || strstr(s->name, "memory") != NULL;
        (void)fputs("<tr><th>", to);
        page_html_text(to, s->name + strlen("used_"));
        (void)fputs("</th>", to);
        cell_number(to, s->name, s->value, bytes);
        limit = limit_of(m, s);
        if (limit != NULL && limit->value > 0) {
            cell_number(to, limit->name, limit->value, bytes);
            (void)fprintf(to, "<td><meter max=\"%" PRIu64 "\" value=\"%" PRIu64 "\"></meter></td>",
                          limit->value, s->value);
        } else {
            (void)fputs("<td class=\"n\">none</td><td></td>", to);
        }
        (void)fputs("</tr>\n", to);
    }
    (void)fputs("</table>\n", to);
}

static void stat_row(FILE *to, const qudag_stat *s)
{
    (void)fprintf(to, "<tr%s><th title=\"", s->value == 0 ? " class=\"zero\"" : "");
    page_html_text(to, s->help);
    (void)fputs("\">", to);
    page_html_text(to, s->name);
    (void)fputs("</th>", to);
    cell_number(to, s->name, s->value, strcmp(s->unit, "bytes") == 0);
    (void)fputs("</tr>\n", to);
}

static void stats_html(FILE *to, const struct metrics *m, bool refusals)
{
    (void)fprintf(to, "<h2>%s</h2>\n<div class=\"columns\"><table id=\"%s\">\n",
                  refusals ? "Refused, dropped, failed, by reason" : "Counters and gauges",
                  refusals ? "refusals" : "stats");
    for (size_t ix = 0; ix < m->n_stats; ix++) {
        const qudag_stat *s = &m->stat[ix];
        if (page_shows_stat(s->metric, s->labels) && page_is_refusal(s->metric) == refusals &&
            strncmp(s->metric, "resource_", strlen("resource_")) != 0) {
            stat_row(to, s);
        }
    }
    (void)fputs("</table></div>\n", to);
}

static void times_html(FILE *to, const struct metrics *m)
{
    static const char *const head[] = {"", "", "times", "median", "95 of 100 below"};

    (void)fputs("<h2>Times</h2>\n<table id=\"times\">\n", to);
    HEADS(to, head);
    for (size_t ix = 0; ix < m->n_histograms; ix++) {
        const qudag_histogram *h = &m->histogram[ix];
        if (h->total == 0 || !page_shows_histogram(h->metric)) {
            continue;
        }
        (void)fputs("<tr><th title=\"", to);
        page_html_text(to, h->help);
        (void)fprintf(to, "\">%s</th><td>", h->metric);
        page_html_text(to, h->labels);
        (void)fputs("</td>", to);
        cell_number(to, "value", h->total, false);
        cell_ns(to, "p50_ns", h->p50);
        cell_ns(to, "p95_ns", h->p95);
        (void)fputs("</tr>\n", to);
    }
    (void)fputs("</table>\n", to);
}

/* ---- plots ---- */

#define PLOT_HEIGHT 100

/* One piece of line for each run of values without a gap. */
static void plot_line(FILE *to, const struct history *h, size_t series, uint64_t most)
{
    bool pen = false;

    (void)fputs("<path d=\"", to);
    for (size_t ix = 0; ix < h->n; ix++) {
        uint64_t value = history_shown(h, series, ix);
        if (value == HISTORY_NONE) {
            pen = false;
            continue;
        }
        unsigned y = (unsigned)((double)value / (double)most * (PLOT_HEIGHT - 4));
        (void)fprintf(to, "%s%zu %u", pen ? "L" : "M", HISTORY_VALUES - h->n + ix,
                      PLOT_HEIGHT - 2 - y);
        if (!pen) {
            (void)fputs("h0", to); /* a value alone is a point */
        }
        pen = true;
    }
    (void)fputs("\"/>", to);
}

void page_plot(FILE *to, const struct history *h, size_t series)
{
    const struct history_series *s = &history_series[series];
    uint64_t most = 0, last = HISTORY_NONE;
    char now[32], top[32];

    for (size_t ix = 0; ix < h->n; ix++) {
        last = history_shown(h, series, ix);
        most = last != HISTORY_NONE && last > most ? last : most;
    }
    page_number(now, last, s->bytes);
    page_number(top, most, s->bytes);
    (void)fprintf(to,
                  "<figure data-name=\"history.%s\"><figcaption>%s: now <b>%s</b>, at most %s"
                  "</figcaption>\n<svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" "
                  "role=\"img\" aria-label=\"%s in the last hour\">",
                  s->name, s->title, now, top, HISTORY_VALUES, PLOT_HEIGHT, s->title);
    plot_line(to, h, series, most == 0 ? 1 : most);
    (void)fputs("</svg></figure>\n", to);
}

void page_print_html(FILE *to, const struct page *p)
{
    (void)fprintf(to,
                  "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>QuDAG "
                  "node</title>\n<meta name=\"viewport\" content=\"width=device-width\">\n"
                  "<meta http-equiv=\"refresh\" content=\"%d\">\n<link rel=\"icon\" href=\"%s\">"
                  "<link rel=\"stylesheet\" href=\"%s\"></head>\n<body>\n<h1>QuDAG node</h1>\n",
                  PAGE_REFRESH_S, PAGE_ICON, PAGE_STYLE);
    status_html(to, p);
    (void)fputs("<h2>The last hour</h2>\n<div class=\"plots\">\n", to);
    for (size_t ix = 0; ix < HISTORY_SERIES; ix++) {
        page_plot(to, &p->history, ix);
    }
    (void)fputs("</div>\n", to);
    links_html(to, p);
    circuits_html(to, p);
    resources_html(to, &p->metrics);
    stats_html(to, &p->metrics, true);
    times_html(to, &p->metrics);
    stats_html(to, &p->metrics, false);
    (void)fprintf(to,
                  "<footer><p>This page asks again every %d seconds. The same as <a "
                  "href=\"%s\">JSON</a>.</p><p>Before you show a picture of it: it says when and "
                  "how much this node works, and how many circuits it has.</p></footer>\n"
                  "</body></html>\n",
                  PAGE_REFRESH_S, PAGE_JSON);
}
