/* metrics.c - see metrics.h.  The formats: prometheus.io/docs/instrumenting/exposition_formats, OpenMetrics 1.0. */
#include "metrics.h"

#include <qudag/version.h>

#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MS "_ms"
#define NAME_MAX_LEN 128
#define PER_S UINT64_C(1000000000)

bool metrics_take(struct metrics *m, const qudag_node *n)
{
    size_t it = 0;
    bool more = true;

    m->n_stats = m->n_histograms = 0;
    while (m->n_stats < METRICS_STATS_MAX && more) {
        m->stat[m->n_stats] = (qudag_stat)QUDAG_INIT(qudag_stat);
        more = qudag_node_stat_next(n, &it, &m->stat[m->n_stats]);
        m->n_stats += more;
    }
    bool all = !more;
    it = 0;
    more = true;
    while (m->n_histograms < METRICS_HISTOGRAMS_MAX && more) {
        m->histogram[m->n_histograms] = (qudag_histogram)QUDAG_INIT(qudag_histogram);
        more = qudag_node_histogram_next(n, &it, &m->histogram[m->n_histograms]);
        m->n_histograms += more;
    }
    return all && !more;
}

static bool is_counter(const qudag_stat *s)
{
    return s->kind == QUDAG_STAT_COUNTER;
}

static bool milliseconds(const qudag_stat *s)
{
    return strcmp(s->unit, "milliseconds") == 0;
}

/* Without "_total": "dgrams" is "qudag_dgrams", "bootstrap_retry_ms" is "qudag_bootstrap_retry_seconds". */
static void name_of(char out[NAME_MAX_LEN], const qudag_stat *s)
{
    size_t len = strlen(s->metric), ms = strlen(MS);
    bool cut = milliseconds(s) && len > ms && strcmp(s->metric + len - ms, MS) == 0;

    (void)snprintf(out, NAME_MAX_LEN, "qudag_%.*s%s", (int)(cut ? len - ms : len), s->metric,
                   milliseconds(s) ? "_seconds" : "");
}

/* A text of HELP, in which a backslash and the end of a line are escaped, in OpenMetrics quotes as well. */
static void help_text(FILE *to, const char *text, enum metrics_form form)
{
    for (; *text != 0; text++) {
        if (*text == '\n') {
            (void)fputs("\\n", to);
        } else if (*text == '\\' || (*text == '"' && form == METRICS_OPENMETRICS)) {
            (void)fprintf(to, "\\%c", *text);
        } else {
            (void)fputc(*text, to);
        }
    }
}

/* The units that a name may end with, which OpenMetrics wants to be told. */
static void unit_line(FILE *to, const char *name, enum metrics_form form)
{
    static const char *const units[] = {"seconds", "bytes"};
    size_t len = strlen(name);

    for (size_t ix = 0; form == METRICS_OPENMETRICS && ix < 2; ix++) {
        size_t n = strlen(units[ix]);
        if (len > n + 1 && strcmp(name + len - n, units[ix]) == 0 && name[len - n - 1] == '_') {
            (void)fprintf(to, "# UNIT %s %s\n", name, units[ix]);
        }
    }
}

/* In the text format the name in HELP and TYPE is that of the samples, in OpenMetrics that of the family. */
static const char *total_of(bool counter, enum metrics_form form)
{
    return counter && form == METRICS_TEXT ? "_total" : "";
}

/* |n| in decimal, at least |digits| of them: what printf does, at a fifth of its price; a scrape has thousands. */
static void number(FILE *to, uint64_t n, size_t digits)
{
    char text[20];
    size_t at = sizeof(text);

    while (n > 0 || sizeof(text) - at < digits) {
        text[--at] = (char)('0' + n % 10);
        n /= 10;
    }
    (void)fwrite(text + at, 1, sizeof(text) - at, to);
}

/* Seconds with as many digits as needed, and one behind the point at least. */
static void seconds(FILE *to, uint64_t ns)
{
    uint64_t rest = ns % PER_S;
    size_t digits = 9;

    while (digits > 1 && rest % 10 == 0) {
        rest /= 10;
        digits--;
    }
    number(to, ns / PER_S, 1);
    (void)fputc('.', to);
    number(to, rest, digits);
}

static void stat_line(FILE *to, const char *name, const qudag_stat *s)
{
    bool labels = s->labels[0] != 0;

    (void)fprintf(to, "%s%s%s%s%s ", name, is_counter(s) ? "_total" : "", labels ? "{" : "",
                  s->labels, labels ? "}" : "");
    if (milliseconds(s)) {
        (void)fprintf(to, "%" PRIu64 ".%03u\n", s->value / 1000, (unsigned)(s->value % 1000));
    } else {
        (void)fprintf(to, "%" PRIu64 "\n", s->value);
    }
}

static bool same_metric(const qudag_stat *a, const qudag_stat *b)
{
    return strcmp(a->metric, b->metric) == 0;
}

/* Values of one metric, by their places in the snapshot. */
struct family {
    size_t at[METRICS_STATS_MAX], n;
};

/* All of the metric of |first|, which are |done| then. */
static void gather(struct family *f, const struct metrics *m, size_t first, bool *done)
{
    f->n = 0;
    for (size_t ix = first; ix < m->n_stats; ix++) {
        if (!done[ix] && same_metric(&m->stat[ix], &m->stat[first])) {
            done[ix] = true;
            f->at[f->n++] = ix;
        }
    }
}

/* Whether one before |ix| has said the help of that one already. */
static bool said(const struct metrics *m, const struct family *f, size_t ix)
{
    for (size_t k = 0; k < ix; k++) {
        if (strcmp(m->stat[f->at[k]].help, m->stat[f->at[ix]].help) == 0) {
            return true;
        }
    }
    return false;
}

static void family(FILE *to, const struct metrics *m, const struct family *f,
                   enum metrics_form form)
{
    const qudag_stat *s = &m->stat[f->at[0]];
    char name[NAME_MAX_LEN];

    name_of(name, s);
    (void)fprintf(to, "# HELP %s%s ", name, total_of(is_counter(s), form));
    for (size_t ix = 0; ix < f->n; ix++) {
        if (!said(m, f, ix)) {
            (void)fputs(ix == 0 ? "" : "; ", to);
            help_text(to, m->stat[f->at[ix]].help, form);
        }
    }
    (void)fprintf(to, "\n# TYPE %s%s %s\n", name, total_of(is_counter(s), form),
                  is_counter(s) ? "counter" : "gauge");
    unit_line(to, name, form);
    for (size_t ix = 0; ix < f->n; ix++) {
        stat_line(to, name, &m->stat[f->at[ix]]);
    }
}

static void histogram_head(FILE *to, const qudag_histogram *h, enum metrics_form form)
{
    char name[NAME_MAX_LEN];

    (void)snprintf(name, sizeof(name), "qudag_%s_seconds", h->metric);
    (void)fprintf(to, "# HELP %s ", name);
    help_text(to, h->help, form);
    (void)fprintf(to, "\n# TYPE %s histogram\n", name);
    unit_line(to, name, form);
}

static void histogram_lines(FILE *to, const qudag_histogram *h)
{
    const char *comma = h->labels[0] != 0 ? "," : "";
    const char *open = h->labels[0] != 0 ? "{" : "", *close = h->labels[0] != 0 ? "}" : "";
    char head[NAME_MAX_LEN + QUDAG_HISTOGRAM_LABELS_MAX];
    uint64_t n = 0;

    (void)snprintf(head, sizeof(head), "qudag_%s_seconds_bucket{%s%sle=\"", h->metric, h->labels,
                   comma);
    for (uint32_t ix = 0; ix < h->buckets; ix++) {
        n += h->count[ix];
        (void)fputs(head, to);
        if (h->le[ix] == UINT64_MAX) {
            (void)fputs("+Inf", to);
        } else {
            seconds(to, h->le[ix]);
        }
        (void)fputs("\"} ", to);
        number(to, n, 1);
        (void)fputc('\n', to);
    }
    (void)fprintf(to, "qudag_%s_seconds_sum%s%s%s ", h->metric, open, h->labels, close);
    seconds(to, h->sum);
    (void)fprintf(to, "\nqudag_%s_seconds_count%s%s%s %" PRIu64 "\n", h->metric, open, h->labels,
                  close, h->total);
}

void metrics_print(FILE *to, const struct metrics *m, enum metrics_form form)
{
    bool done[METRICS_STATS_MAX] = {false};
    struct family f;

    for (size_t ix = 0; ix < m->n_stats; ix++) {
        if (!done[ix]) {
            gather(&f, m, ix, done);
            family(to, m, &f, form);
        }
    }
    for (size_t ix = 0; ix < m->n_histograms; ix++) {
        if (ix == 0 || strcmp(m->histogram[ix - 1].metric, m->histogram[ix].metric) != 0) {
            histogram_head(to, &m->histogram[ix], form);
        }
        histogram_lines(to, &m->histogram[ix]);
    }
}

/* ---- the process ---- */

static void plain(FILE *to, const char *name, const char *type, const char *help, uint64_t value,
                  enum metrics_form form)
{
    bool counter = strcmp(type, "counter") == 0;

    (void)fprintf(to, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, total_of(counter, form), help, name,
                  total_of(counter, form), type);
    unit_line(to, name, form);
    (void)fprintf(to, "%s%s %" PRIu64 "\n", name, counter ? "_total" : "", value);
}

uint64_t metrics_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t n = 0;

    while (dir != NULL && readdir(dir) != NULL) {
        n++;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return n > 3 ? n - 3 : 0; /* ".", "..", and the folder itself */
}

/* Bytes; 0: the system does not say. */
static uint64_t resident(void)
{
    unsigned long all, pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f != NULL && fscanf(f, "%lu %lu", &all, &pages) != 2) {
        pages = 0;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t of_timeval(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * PER_S + (uint64_t)t->tv_usec * 1000;
}

void metrics_print_process(FILE *to, enum metrics_form form)
{
    static const char cpu[] = "process_cpu_seconds";
    struct rusage use = {.ru_utime = {0, 0}};
    struct rlimit most = {0, 0};

    (void)getrusage(RUSAGE_SELF, &use);
    (void)getrlimit(RLIMIT_NOFILE, &most);
    (void)fprintf(to,
                  "# HELP qudag_build_info The version of this program; always 1\n"
                  "# TYPE qudag_build_info gauge\nqudag_build_info{version=\"%s\"} 1\n",
                  QUDAG_VERSION);
    (void)fprintf(to, "# HELP %s%s Processor time of the process\n# TYPE %s%s counter\n", cpu,
                  total_of(true, form), cpu, total_of(true, form));
    unit_line(to, cpu, form);
    (void)fprintf(to, "%s_total ", cpu);
    seconds(to, of_timeval(&use.ru_utime) + of_timeval(&use.ru_stime));
    (void)fputc('\n', to);
    plain(to, "process_open_fds", "gauge", "Open file descriptors", metrics_open_fds(), form);
    plain(to, "process_max_fds", "gauge", "Most file descriptors allowed", most.rlim_cur, form);
    plain(to, "process_resident_memory_bytes", "gauge", "Memory in use, as the system counts it",
          resident(), form);
}

void metrics_print_end(FILE *to, enum metrics_form form)
{
    if (form == METRICS_OPENMETRICS) {
        (void)fputs("# EOF\n", to);
    }
}
