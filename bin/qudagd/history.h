/*
 * history.h - the last hour of a few counters and gauges, in memory of a fixed size.
 *
 * One value of each series every HISTORY_EVERY_NS; the oldest goes for the newest.  Pure: time is given.
 */
#ifndef QUDAG_BIN_HISTORY_H
#define QUDAG_BIN_HISTORY_H

#include <qudag/stats.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_VALUES 360
#define HISTORY_EVERY_NS UINT64_C(10000000000)
#define HISTORY_SERIES 8
#define HISTORY_NONE                                                                               \
    UINT64_MAX /* there is no value of that time: the machine slept, or the node was not there */

struct history_series {
    const char *name;  /* of the library's counter or gauge */
    const char *title; /* for people */
    bool counter;      /* what it grew by is of interest */
    bool bytes;
};
extern const struct history_series history_series[HISTORY_SERIES];

/* All zero: empty. */
struct history {
    uint64_t value[HISTORY_SERIES][HISTORY_VALUES]; /* a ring */
    size_t n, next;                                 /* values in use; where the next goes */
    uint64_t due_ns;                                /* when it is due; 0: at once */
};

/* Whether values are due. */
bool history_due(const struct history *h, uint64_t now_ns);
/* Values of |now_ns|; for each full interval that was missed since they were due, one that is not there. */
void history_add(struct history *h, const uint64_t value[HISTORY_SERIES], uint64_t now_ns);
/* Value |ix| of |series|, the oldest is 0; HISTORY_NONE: there is none. */
uint64_t history_value(const struct history *h, size_t series, size_t ix);
/* What the series shows there: its value, or of a counter what it grew by per second, since the value before. */
uint64_t history_shown(const struct history *h, size_t series, size_t ix);
/* Takes the values of |n| if they are due, on its thread; allocates nothing. */
void history_take(struct history *h, const qudag_node *n, uint64_t now_ns);

#endif
