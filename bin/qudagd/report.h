/* report.h - what the daemon knows, as rows. */
#ifndef QUDAG_BIN_REPORT_H
#define QUDAG_BIN_REPORT_H

#include "control.h"

void rec_peer(struct rec *r, const char *name, const qudag_peer_id *id); /* len 0: left out */

/* Adds the fields that describe a circuit to |r|. */
void report_circuit(struct rec *r, const qudag_circuit_info *info);

/* Adds the fields of a phase, with the reason and the time of the next attempt where it failed. */
void report_phase(struct rec *r, const struct daemon *d, const struct phase_note *p);

/* Adds of how many relays and networks paths are drawn now, and whether they are too few. */
void rec_diversity(struct rec *r, const qudag_node *n);
/* Ends |rq| with QUDAG_ESMALLNET: the numbers, the risk, and what to do. */
void end_small_network(struct request *rq, const char *what);

/* "start", "dial", "lookup", "announce", "relays", "ready" or "failed"; static. */
const char *phase_name(qudag_phase p);

/* Adds how the node as a whole is; allocates nothing. */
void report_state(struct rec *r, struct daemon *d);

/* Commands (struct command): each sends its rows and ends |rq|.  Here: one row on the node as a whole. */
void report_status(struct request *rq);

/* The small network is accepted, until the daemon stops. */
void report_accept_small_network(struct request *rq);

/* A row for each relay known. */
void report_relays(struct request *rq);

/* A row for each counter, gauge and histogram. */
void report_stats(struct request *rq);

/* The same as the text that Prometheus reads, cut into rows anywhere. */
void report_metrics(struct request *rq);

/* One row on the identity and memory, and one for each onion key. */
void report_keys(struct request *rq);
/* Replaces the onion key; "force": the one before it, too. */
void report_rotate(struct request *rq);

/* A row for each DHT record held for others. */
void report_records(struct request *rq);

/* A row for each key that we republish: a record or a provider record. */
void report_published(struct request *rq);

/* One row on the store of DHT records: its folder, and the counters that concern it. */
void report_store(struct request *rq);

/* A row for each contact of the routing table. */
void report_table(struct request *rq);

/* A row for each circuit. */
void report_circuits(struct request *rq);

/* "direct" or "hidden". */
const char *report_dark_kind(qudag_dark_kind kind);

/* The addresses of this node, or the one that is |addr|; false: it is none of them, and |rq| goes on. */
bool report_dark(struct request *rq, const char *addr);

/* One row with the text of a configuration file that sets the same. */
void report_config(struct request *rq);

/* Limits of the node and of the process, against what is used. */
void report_limits(struct request *rq);

#endif
