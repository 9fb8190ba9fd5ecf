/* metrics.c - see metrics.h.  The format: prometheus.io/docs/instrumenting/exposition_formats. */
#include "metrics.h"

#include <inttypes.h>
#include <string.h>

#define MS "_ms"
#define NAME_MAX_LEN 128

static bool milliseconds(const struct metric *m)
{
    return strcmp(m->unit, "milliseconds") == 0;
}

/* "dgrams" is "qudag_dgrams_total", "bootstrap_retry_ms" is "qudag_bootstrap_retry_seconds". */
static void name_of(char out[NAME_MAX_LEN], const struct metric *m)
{
    size_t len = strlen(m->metric), ms = strlen(MS);
    bool cut = milliseconds(m) && len > ms && strcmp(m->metric + len - ms, MS) == 0;

    (void)snprintf(out, NAME_MAX_LEN, "qudag_%.*s%s%s", (int)(cut ? len - ms : len), m->metric,
                   milliseconds(m) ? "_seconds" : "", m->counter ? "_total" : "");
}

/* A text of HELP, in which a backslash and the end of a line are escaped. */
static void help_text(FILE *to, const char *text)
{
    for (; *text != 0; text++) {
        if (*text == '\\' || *text == '\n') {
            (void)fputs(*text == '\\' ? "\\\\" : "\\n", to);
        } else {
            (void)fputc(*text, to);
        }
    }
}

static void value_line(FILE *to, const char *name, const struct metric *m)
{
    bool labels = m->labels[0] != 0;

    (void)fprintf(to, "%s%s%s%s ", name, labels ? "{" : "", m->labels, labels ? "}" : "");
    if (milliseconds(m)) {
        (void)fprintf(to, "%" PRIu64 ".%03u\n", m->value / 1000, (unsigned)(m->value % 1000));
    } else {
        (void)fprintf(to, "%" PRIu64 "\n", m->value);
    }
}

/* All of |m| from |first| on that belong to it. */
static void family(FILE *to, const struct metric *m, size_t n, size_t first)
{
    char name[NAME_MAX_LEN];

    name_of(name, &m[first]);
    (void)fprintf(to, "# HELP %s ", name);
    for (size_t ix = first; ix < n; ix++) {
        if (strcmp(m[ix].metric, m[first].metric) == 0) {
            (void)fputs(ix == first ? "" : "; ", to);
            help_text(to, m[ix].help);
        }
    }
    (void)fprintf(to, "\n# TYPE %s %s\n", name, m[first].counter ? "counter" : "gauge");
    for (size_t ix = first; ix < n; ix++) {
        if (strcmp(m[ix].metric, m[first].metric) == 0) {
            value_line(to, name, &m[ix]);
        }
    }
}

void metrics_print(FILE *to, const struct metric *m, size_t n)
{
    for (size_t ix = 0; ix < n; ix++) {
        size_t first = 0;
        while (strcmp(m[first].metric, m[ix].metric) != 0) {
            first++;
        }
        if (first == ix) {
            family(to, m, n, ix);
        }
    }
}
