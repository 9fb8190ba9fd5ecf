/* history.c - see history.h. */
#include "history.h"

#include <string.h>

#define PER_S UINT64_C(1000000000)

const struct history_series history_series[HISTORY_SERIES] = {
    {"links", "Links", false, false},
    {"kad_table", "Contacts in the routing table", false, false},
    {"bytes_in", "Bytes received per second", true, true},
    {"bytes_out", "Bytes sent per second", true, true},
    {"circuits_client", "Circuits of this node", false, false},
    {"circuits_relay", "Circuits relayed for others", false, false},
    {"cells_relayed", "Cells relayed per second", true, false},
    {"memory_bytes", "Memory allocated", false, true},
};

bool history_due(const struct history *h, uint64_t now_ns)
{
    return now_ns >= h->due_ns;
}

static void push(struct history *h, const uint64_t value[HISTORY_SERIES])
{
    for (size_t ix = 0; ix < HISTORY_SERIES; ix++) {
        h->value[ix][h->next] = value == NULL ? HISTORY_NONE : value[ix];
    }
    h->next = (h->next + 1) % HISTORY_VALUES;
    h->n += h->n < HISTORY_VALUES;
}

void history_add(struct history *h, const uint64_t value[HISTORY_SERIES], uint64_t now_ns)
{
    uint64_t missed = h->due_ns == 0 ? 0 : (now_ns - h->due_ns) / HISTORY_EVERY_NS;
    uint64_t from = h->due_ns == 0 ? now_ns : h->due_ns + missed * HISTORY_EVERY_NS;

    for (uint64_t ix = 0; ix < missed && ix < HISTORY_VALUES; ix++) {
        push(h, NULL);
    }
    push(h, value);
    h->due_ns = from + HISTORY_EVERY_NS;
}

uint64_t history_value(const struct history *h, size_t series, size_t ix)
{
    if (series >= HISTORY_SERIES || ix >= h->n) {
        return HISTORY_NONE;
    }
    return h->value[series][(h->next + HISTORY_VALUES - h->n + ix) % HISTORY_VALUES];
}

uint64_t history_shown(const struct history *h, size_t series, size_t ix)
{
    uint64_t value = history_value(h, series, ix);
    uint64_t before = ix == 0 ? HISTORY_NONE : history_value(h, series, ix - 1);

    if (value == HISTORY_NONE || !history_series[series].counter) {
        return value;
    }
    return before == HISTORY_NONE || before > value ? HISTORY_NONE
                                                    : (value - before) / (HISTORY_EVERY_NS / PER_S);
}

void history_take(struct history *h, const qudag_node *n, uint64_t now_ns)
{
    uint64_t value[HISTORY_SERIES];
    qudag_stat stat = QUDAG_INIT(qudag_stat);

    if (!history_due(h, now_ns)) {
        return;
    }
    memset(value, 0xff, sizeof(value)); /* HISTORY_NONE */
    for (size_t it = 0; qudag_node_stat_next(n, &it, &stat);) {
        for (size_t ix = 0; ix < HISTORY_SERIES; ix++) {
            if (strcmp(stat.name, history_series[ix].name) == 0) {
                value[ix] = stat.value;
            }
        }
    }
    history_add(h, value, now_ns);
}
