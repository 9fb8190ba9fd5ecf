/*
 * metrics.h - counters and gauges as the text format of Prometheus, version 0.0.4.
 *
 * Names follow its conventions: qudag_ before each, _total after counters, seconds and bytes as units.
 */
#ifndef QUDAG_BIN_METRICS_H
#define QUDAG_BIN_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define METRICS_MAX 256 /* of one text */

/* One value, as qudag_stat has it; texts are borrowed. */
struct metric {
    const char *metric, *labels, *unit, *help; /* labels: reason="rate", or "" */
    bool counter;
    uint64_t value;
};

/*
 * Writes the |n| values at |m| to |to|.  Values of one metric that differ in labels come together, in the order of
 * their first one, under one HELP and one TYPE.  Milliseconds become seconds.  Errors of |to| are the caller's to
 * check, with ferror().
 */
void metrics_print(FILE *to, const struct metric *m, size_t n);

#endif
