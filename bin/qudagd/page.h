/*
 * page.h - what the daemon shows a browser, or a program that reads JSON: one snapshot, two ways to write it.
 *
 *   the loop: page_take() ─ copies, allocates nothing ─▶ struct page ─▶ any thread: page_print_json(), ..._html()
 *
 * A page is photographed and shown around.  So nothing of it says who this node is, to whom it is linked, what its
 * circuits are for, or which services it has or visits: what may be shown is listed (page_shows_*), and all else is
 * left out.  Names and values are those of `qudag --json status`, `stats`, `peers` and `circuit list`.
 */
#ifndef QUDAG_BIN_PAGE_H
#define QUDAG_BIN_PAGE_H

#include "common/rec.h"
#include "history.h"
#include "metrics.h"

#define PAGE_ROWS_MAX 256  /* links, circuits: the first of them */
#define PAGE_WALK_MAX 4096 /* circuits looked at to find those of this node */
#define PAGE_REFRESH_S 10  /* a browser asks again */
#define PAGE_STYLE "/style.css"
#define PAGE_ICON "/icon.svg"
#define PAGE_JSON "/status.json"

struct daemon;

struct page_link {
    const char *state, *direction, *standing;
    char transport[12], group[28];
    bool pq;
    qudag_ns age, rtt, handshake;
    uint64_t bytes_in, bytes_out;
    uint32_t streams;
};

struct page_circuit {
    const char *state;
    qudag_ns age, build; /* the age in whole seconds: that of a relay on the way would name it */
    uint32_t streams;
    uint8_t hops, hops_wanted;
};

struct page {
    struct rec status; /* of report_state(); of it what page_shows_status() says is shown */
    struct metrics metrics;
    struct page_link link[PAGE_ROWS_MAX];
    struct page_circuit circuit[PAGE_ROWS_MAX];
    size_t n_links, n_circuits;
    bool all_links, all_circuits;
    struct history history;
};

/* Copies what is shown, on the loop.  False: it does not fit. */
bool page_take(struct page *p, struct daemon *d, const struct history *history);

/* Whether that field of `qudag --json status` is shown. */
bool page_shows_status(const char *name);
/* Whether that counter or gauge, or that histogram, is shown. */
bool page_shows_stat(const char *metric, const char *labels);
bool page_shows_histogram(const char *metric);
/* Whether it counts what was refused, dropped or forbidden. */
bool page_is_refusal(const char *metric);

/* Errors of |to| are the caller's to check, with ferror(). */
void page_print_json(FILE *to, const struct page *p);
void page_print_html(FILE *to, const struct page *p);
/* Writes |text| so that it is text in HTML, in attributes too. */
void page_html_text(FILE *to, const char *text);
/* A series of |h| as SVG, with its greatest and its last value as text. */
void page_plot(FILE *to, const struct history *h, size_t series);
/* "1234", "1.2 MB" of bytes; "-" for HISTORY_NONE. */
void page_number(char out[32], uint64_t value, bool bytes);

extern const char page_style[], page_icon[];

#endif
