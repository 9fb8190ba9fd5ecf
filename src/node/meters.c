/* meters.c - see meters.h. */
#include "node/meters.h"

void node_meter_dht(struct node_meters *m, enum node_meter_dht kind, qudag_err err, uint64_t took)
{
    if (kind != NODE_DHT_NONE) {
        histogram_add(&m->dht[kind][outcome_in(NODE_DHT_OUTCOMES, err)], HISTOGRAM_WORK, took);
    }
}

void node_meter_circuit(struct node_meters *m, enum node_meter_circuit purpose, qudag_err err,
                        uint64_t took)
{
    histogram_add(&m->circuit[purpose][outcome_in(NODE_CIRCUIT_OUTCOMES, err)], HISTOGRAM_WORK,
                  took);
}

void node_meter_hidden(struct node_meters *m, qudag_err err, uint64_t took)
{
    histogram_add(&m->hidden[outcome_in(NODE_HIDDEN_OUTCOMES, err)], HISTOGRAM_WORK, took);
}
