/*
 * run.h - a run of the simulator: a scenario, a seed and a number of nodes in, a report out.
 *
 * Everything that happens follows from scenario, seed and number of nodes; the same three give the
 * same log hash on every machine.
 */
#ifndef QUDAG_SIM_RUN_H
#define QUDAG_SIM_RUN_H

#include "core/kad/kad.h"
#include "crypto/hash.h"
#include "sim/scenario.h"

#include <stdio.h>

#define SIM_KINDS 7   /* put, get, find, join, put and get of attacked keys, circuit */
#define SIM_CIRCUIT 6 /* only complete nodes build any */

struct sim_host;

struct sim_options {
    const struct sim_host *host; /* complete nodes (full.h); NULL: bare cores */
    uint64_t seed;
    uint32_t trace_node;
    FILE *trace;              /* NULL: none */
    uint64_t (*cpu_ns)(void); /* CPU time of the process; NULL: what is measured by it stays 0 */
};

/* What a run cost here; no part of its outcome. */
struct sim_cost {
    uint64_t build_ns, run_ns;         /* time that passed */
    uint64_t run_cpu_ns;               /* of the process, without building */
    uint64_t resident_built, resident; /* bytes, after building and at the end */
};

struct sim_samples {
    uint32_t *us;
    size_t n, cap;
};

/* One kind of request in one phase. */
struct sim_outcome {
    uint64_t asked, right, wrong, absent, unreachable, late, other, left;
    uint64_t rpcs, failures, hops; /* sums over those answered; wrong: of a put, lost since */
    uint64_t recall_sum;           /* find: of the 20 nearest, how many were named */
    struct sim_samples took;       /* of the right ones, microseconds */
};

struct sim_phase_report {
    char name[SIM_NAME_MAX];
    uint64_t from, to;
    uint64_t minimum[SIM_KINDS]; /* share of right answers asked for; 0: none */
    struct sim_outcome of[SIM_KINDS];
    uint64_t rpcs, dials, bytes, messages, node_ns; /* of all nodes in that time */
};

struct sim_report {
    struct sim_phase_report phase[SIM_PHASES_MAX];
    size_t phases;
    uint64_t events, queue_peak, rpcs, dials, bytes, messages;
    uint32_t nodes, online, faults;                  /* faults: bit set of those that struck */
    uint64_t asked;                                  /* requests of all kinds */
    uint32_t cores;                                  /* nodes that have one at the end */
    uint64_t memory_sum, memory_max, memory_refused; /* bytes of these */
    uint64_t memory_shared;         /* bytes kept once for all of them: who peers are and where */
    uint64_t wakes, wake_cpu_ns;    /* cores made for nodes asleep */
    uint64_t table_sum, table_dead; /* entries of all tables; of nodes that are not there */
    uint64_t refused[KAD_REFUSALS]; /* by the nodes online at the end that are not hostile */
    uint64_t violations;
    tstamp violation_at; /* the first */
    uint32_t violation_node;
    const char *violation;
    tstamp now;
    uint8_t hash[BLAKE3_LEN];
};

struct sim;

/* Builds the network.  |sc| and what |opt| points to must outlive it; free it with sim_free(). */
struct sim *sim_new(const struct scenario *sc, const struct sim_options *opt);

/* Frees everything (NULL allowed). */
void sim_free(struct sim *s);

/* Runs to |until| (virtual ns since the beginning) or the end of the scenario; true while there is more. */
bool sim_run(struct sim *s, tstamp until);

/* Virtual time since the beginning of the run, ns. */
tstamp sim_now(const struct sim *s);

/* Nodes online now. */
uint32_t sim_online(const struct sim *s);

/* Events handled so far. */
uint64_t sim_events(const struct sim *s);

/* As it stands now; borrowed, valid until the next call. */
const struct sim_report *sim_report(struct sim *s);

/* Share of right answers in millionths among those that could answer, and its Wilson interval (95 %). */
struct sim_rate {
    uint64_t asked, ppm, low, high;
};

/* The rate of |o|; all 0 when nothing was asked. */
struct sim_rate sim_rate(const struct sim_outcome *o);

/* The value below which |permille| of sorted samples lie (sim_report() sorts them); 0 without any. */
uint32_t sim_quantile(const struct sim_samples *s, unsigned permille);

/* Sorts the samples in place, as sim_quantile() needs them. */
void sim_sort(struct sim_samples *s);

/* Whether every phase reached its minimum and nothing was violated. */
bool sim_passed(const struct sim_report *r);

/* "put", "get" and so on, static; "?" from SIM_KINDS on. */
const char *sim_kind_name(size_t kind);

/* The report for people. */
void sim_print_text(FILE *f, const struct sim_report *r);

/* What the run cost here, in a few lines; no part of what is the same on every machine. */
void sim_print_cost(FILE *f, const struct sim_report *r, const struct sim_cost *c);

/* |c| NULL: without its line. */
void sim_print_json(FILE *f, const struct sim_report *r, const struct scenario *sc, uint64_t seed,
                    const struct sim_cost *c);
/* Cumulative distribution of the time right answers took, a line per phase. */
void sim_print_svg(FILE *f, const struct sim_report *r, size_t kind);

#endif
