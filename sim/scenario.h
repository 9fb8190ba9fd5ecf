/*
 * scenario.h - a scenario: the network, its links, what is asked of it and what befalls it.
 *
 * Read from a small text file (doc/guide/scenarios.md).  Every number has its unit in the file and is
 * kept as an integer here: times in ns, shares in millionths, sizes in bytes, factors in thousandths.
 */
#ifndef QUDAG_SIM_SCENARIO_H
#define QUDAG_SIM_SCENARIO_H

#include "base/types.h"
#include "wire/kad_msg.h"

#define SIM_NODES_MAX 1000000
#define SIM_TRIPS_MAX 3 /* round trips of a dial */
#define SIM_FAULTS_MAX 16
#define SIM_PHASES_MAX 8
#define SIM_NAME_MAX 32           /* with NUL */
#define SIM_ALL UINT64_C(1000000) /* the whole, as a share */
#define SIM_SYBILS_MAX 100000
#define SIM_STATIC_UNTIL (600 * NS_PER_S) /* before the first maintenance of a table */

enum sim_fault_kind {
    FAULT_NONE,
    FAULT_KILL,      /* |share| of the nodes vanish at once */
    FAULT_CHURN,     /* nodes leave after sessions of |median|, others come after |away| */
    FAULT_PARTITION, /* |share| of the nodes and the rest do not reach each other */
    FAULT_LOSS,      /* |share| of packets lost besides */
    FAULT_SLOW,      /* |share| of the nodes take |delay| to answer */
    FAULT_COLLUDE, /* |share| of the nodes work together: name each other, deny and forge values */
    FAULT_HOSTILE, /* |share| of the nodes send what no honest node sends */
    FAULT_STORM,   /* |share| as many new nodes again, all within |over| */
    FAULT_CLOCK_SKEW, /* |share| of those that start while it lasts: clock off by |delay| */
    FAULT_ECLIPSE,    /* as sybil, one key */
    FAULT_SYBIL, /* |per_key| more nodes around each of |keys| targets: as collude, but they forge nothing */
};

enum sim_start { START_JOIN, START_WARM };

struct sim_fault {
    uint64_t kind;
    uint64_t at, lasts; /* ns; lasts 0: to the end */
    uint64_t share, chance;
    uint64_t median, away, delay, over;             /* ns */
    uint64_t keys, per_key, bits, spread, networks; /* attack.c; 0: its defaults */
};

/* Requests begun in [from, to) are counted together; below a minimum the run has failed. */
struct sim_phase {
    char name[SIM_NAME_MAX];
    uint64_t from, to; /* ns */
    uint64_t put_attacked_min, get_attacked_min;
    uint64_t put_min, get_min, find_min, circuit_min; /* share of successes; 0: none asked */
};

struct scenario {
    char name[SIM_NAME_MAX];
    /* [network] */
    uint64_t nodes, bootstrap, contacts, join_over, nat;
    uint64_t memory_max;                         /* bytes of one node */
    uint64_t start, fixed, awake, dead, records; /* enum sim_start; fixed: "static" */
    /* [nat]; 0: as scenarios.md says.  mapping, filter: 1 + enum nat_depends; ports: 1 + enum nat_ports. */
    uint64_t nat_mapping, nat_filter, nat_ports, nat_step, nat_timeout, nat_timeout_new, nat_shared;
    uint64_t nat_per_host, nat_hairpin, nat_rejects, nat_carrier;
    /* [links] */
    uint64_t rtt, spread, jitter, loss, uplink, idle, dial_timeout, standing;
    uint64_t dial_trips; /* 0: as complete nodes need */
    /* [work] */
    uint64_t work_from, put_every, get_every, find_every, value_size, age_max;
    uint64_t read, masked, attacked, value_life;        /* read: enum kad_read */
    uint64_t circuit_every, circuit_size, circuit_last; /* full host */
    /* [run] */
    uint64_t until, quiet_at, settle;
    size_t n_faults, n_phases;
    struct sim_fault fault[SIM_FAULTS_MAX];
    struct sim_phase phase[SIM_PHASES_MAX];
};

/* Where reading stopped and why. */
struct scenario_error {
    unsigned line; /* 0: the file as a whole */
    const char *what;
};

/*
 * QUDAG_EMALFORMED with *error: unknown or repeated words, numbers without unit or out of range, a
 * scenario that makes no sense.  |out| has no defined content then.
 */
QUDAG_MUST_USE qudag_err scenario_parse(struct scenario *out, struct slice text,
                                        struct scenario_error *error);

/* "90 s", "10 min", "0.5 h", "80 ms" to ns; false when it is no such time. */
bool scenario_time(const char *text, uint64_t *ns);

/* It says of which kind its NATs are, which complete nodes alone have. */
static inline bool scenario_nats(const struct scenario *sc)
{
    return (sc->nat_mapping | sc->nat_filter | sc->nat_ports | sc->nat_step | sc->nat_timeout |
            sc->nat_timeout_new | sc->nat_shared | sc->nat_per_host | sc->nat_hairpin |
            sc->nat_rejects | sc->nat_carrier) != 0;
}

/* Keys and the nodes around them are attacked. */
static inline bool scenario_attacks(uint64_t kind)
{
    return kind == FAULT_ECLIPSE || kind == FAULT_SYBIL;
}

#endif
