/* report.h - what the daemon knows, as rows. */
#ifndef QUDAG_BIN_REPORT_H
#define QUDAG_BIN_REPORT_H

#include "control.h"

void rec_peer(struct rec *r, const char *name, const qudag_peer_id *id); /* len 0: left out */
void report_circuit(struct rec *r, const qudag_circuit_info *info);
void report_phase(struct rec *r, const struct daemon *d, const struct phase_note *p);
const char *phase_name(qudag_phase p);

void report_status(struct request *rq);
void report_peers(struct request *rq);
void report_relays(struct request *rq);
void report_stats(struct request *rq);
void report_records(struct request *rq);
void report_published(struct request *rq);
void report_store(struct request *rq);
void report_table(struct request *rq);
void report_circuits(struct request *rq);
void report_dark(struct request *rq);
void report_config(struct request *rq);

#endif
