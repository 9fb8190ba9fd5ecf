/*
 * metrics.h - what the node counts and measures, as Prometheus reads it: its text format 0.0.4, or OpenMetrics 1.0.
 *
 *   the loop: metrics_take() ─ copies, allocates nothing ─▶ snapshot ─▶ any thread: metrics_print()
 *
 * Names follow the conventions: qudag_ before each, _total after counters, seconds and bytes as units.
 */
#ifndef QUDAG_BIN_METRICS_H
#define QUDAG_BIN_METRICS_H

#include <qudag/stats.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define METRICS_STATS_MAX 448
#define METRICS_HISTOGRAMS_MAX 192

enum metrics_form { METRICS_TEXT, METRICS_OPENMETRICS };

/* All values of one instant; texts are static. */
struct metrics {
    qudag_stat stat[METRICS_STATS_MAX];
    qudag_histogram histogram[METRICS_HISTOGRAMS_MAX];
    size_t n_stats, n_histograms;
};

/* Copies all of |n|, on its thread.  False: there is more than fits, which is left out. */
bool metrics_take(struct metrics *m, const qudag_node *n);

/*
 * Writes all of |m| to |to|.  Values of one metric that differ in labels come together, in the order of their first
 * one, under one HELP and one TYPE.  Milliseconds and nanoseconds become seconds.  Errors of |to| are the caller's to
 * check, with ferror().
 */
void metrics_print(FILE *to, const struct metrics *m, enum metrics_form form);
/* The version, and what the system says of this process, by the names every exporter has; from any thread. */
void metrics_print_process(FILE *to, enum metrics_form form);
/* Descriptors that this process has open; 0: unknown. */
uint64_t metrics_open_fds(void);
/* What ends a text of |form|. */
void metrics_print_end(FILE *to, enum metrics_form form);

#endif
