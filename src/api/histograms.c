/*
 * histograms.c - the measured times of a node: one table of families, walked series by series.
 *
 * A family has at most three labels; each lists its values, so that every series is there from the beginning, at 0,
 * and none can name a peer, an address or a user.
 */
#include "api/internal.h"
#include "node/meters.h"

#include <stdio.h>

/* What a label says: |name| of value |ix|, NULL: the family lacks that value. */
struct label {
    const char *name;
    const char *(*value)(const struct node *n, size_t ix);
    size_t n;
};

struct family {
    const char *metric, *help;
    enum histogram_scale scale;
    unsigned outcomes; /* of the last label */
    struct label label[3];
    const struct histogram *(*get)(const qudag_node *n, const size_t ix[3]);
};

static const char *outcome(const struct node *n, size_t ix)
{
    (void)n;
    return outcome_name((enum outcome)ix);
}

static const char *direction(const struct node *n, size_t ix)
{
    static const char *const names[SWARM_DIRECTIONS] = {[SWARM_IN] = "in", [SWARM_OUT] = "out"};
    (void)n;
    return names[ix];
}

/* Those that dial. */
static const char *transport(const struct node *n, size_t ix)
{
    return swarm_transport_dials(node_swarm(n), (unsigned)ix);
}

static const char *operation(const struct node *n, size_t ix)
{
    static const char *const names[NODE_DHT_KINDS] = {
        [NODE_DHT_FIND] = "find",
        [NODE_DHT_GET] = "get",
        [NODE_DHT_PUT] = "put",
        [NODE_DHT_PROVIDE] = "provide",
        [NODE_DHT_PROVIDERS] = "providers",
    };
    (void)n;
    return names[ix];
}

static const char *purpose(const struct node *n, size_t ix)
{
    static const char *const names[NODE_CIRCUIT_PURPOSES] = {
        [NODE_CIRCUIT_OTHER] = "other",
        [NODE_CIRCUIT_GENERAL] = "general",
        [NODE_CIRCUIT_CLEAN] = "clean",
        [NODE_CIRCUIT_LOOKUP] = "lookup",
        [NODE_CIRCUIT_DARK] = "dark",
        [NODE_CIRCUIT_RENDEZVOUS] = "rendezvous",
        [NODE_CIRCUIT_INTRODUCE] = "introduce",
        [NODE_CIRCUIT_SERVICE_INTRODUCE] = "service_introduce",
        [NODE_CIRCUIT_SERVICE_RENDEZVOUS] = "service_rendezvous",
    };
    (void)n;
    return names[ix];
}

static const struct swarm_meters *of_swarm(const qudag_node *n)
{
    return swarm_meters(node_swarm(n->node));
}

static const struct histogram *link_setup(const qudag_node *n, const size_t ix[3])
{
    return &of_swarm(n)->setup[ix[0]][ix[1]][ix[2]];
}

static const struct histogram *link_rtt(const qudag_node *n, const size_t ix[3])
{
    (void)ix;
    return &of_swarm(n)->rtt;
}

static const struct histogram *link_life(const qudag_node *n, const size_t ix[3])
{
    return &of_swarm(n)->life[ix[0]];
}

static const struct histogram *stream_open(const qudag_node *n, const size_t ix[3])
{
    return &of_swarm(n)->open[ix[0]];
}

static const struct histogram *ping_rtt(const qudag_node *n, const size_t ix[3])
{
    (void)ix;
    return &node_meters(n->node)->ping;
}

static const struct histogram *dht(const qudag_node *n, const size_t ix[3])
{
    return &node_meters(n->node)->dht[ix[0]][ix[1]];
}

static const struct histogram *circuit(const qudag_node *n, const size_t ix[3])
{
    return &node_meters(n->node)->circuit[ix[0]][ix[1]];
}

static const struct histogram *hidden(const qudag_node *n, const size_t ix[3])
{
    return &node_meters(n->node)->hidden[ix[0]];
}

static const struct histogram *loop_lag(const qudag_node *n, const size_t ix[3])
{
    (void)ix;
    return io_lag(n->io);
}

static const char *stage(const struct node *n, size_t ix)
{
    static const char *const names[IO_WORKS] = {
        [IO_WORK_RECEIVE] = "receive", [IO_WORK_TURN] = "turn"};
    (void)n;
    return names[ix];
}

static const struct histogram *loop_work(const qudag_node *n, const size_t ix[3])
{
    return io_worked(n->io, (enum io_work)ix[0]);
}

#define OF_OUTCOME                                                                                 \
    {                                                                                              \
        "outcome", outcome, OUTCOMES                                                               \
    }

static const struct family families[] = {
    {"link_setup",
     "Time from a dial, or an inbound handshake's first packet, until the link stands or is "
     "given up",
     HISTOGRAM_SETUP,
     SWARM_SETUP_OUTCOMES,
     {{"transport", transport, SWARM_METER_TRANSPORTS},
      {"direction", direction, SWARM_DIRECTIONS},
      OF_OUTCOME},
     link_setup},
    {"link_rtt", "Round trip time of links when they came up", HISTOGRAM_RTT, 0, {{0}}, link_rtt},
    {"link_duration",
     "How long links that have ended were up",
     HISTOGRAM_LIFE,
     0,
     {{"direction", direction, SWARM_DIRECTIONS}},
     link_life},
    {"stream_open",
     "Time until a stream to a peer was open, waiting for a link included, or was given up",
     HISTOGRAM_SETUP,
     SWARM_STREAM_OUTCOMES,
     {OF_OUTCOME},
     stream_open},
    {"ping_rtt", "Round trip time of pings that were answered", HISTOGRAM_RTT, 0, {{0}}, ping_rtt},
    {"dht_operation",
     "Time of operations of the DHT, this node's own and those for others",
     HISTOGRAM_WORK,
     NODE_DHT_OUTCOMES,
     {{"operation", operation, NODE_DHT_KINDS}, OF_OUTCOME},
     dht},
    {"circuit_build",
     "Time until a circuit of this node was built, with all tries, or was given up",
     HISTOGRAM_WORK,
     NODE_CIRCUIT_OUTCOMES,
     {{"purpose", purpose, NODE_CIRCUIT_PURPOSES}, OF_OUTCOME},
     circuit},
    {"hidden_connect",
     "Time from the record of a hidden service until it was reached, or was given up",
     HISTOGRAM_WORK,
     NODE_HIDDEN_OUTCOMES,
     {OF_OUTCOME},
     hidden},
    {"loop_lag", "How late the event loop came to its timer", HISTOGRAM_LAG, 0, {{0}}, loop_lag},
    {"loop_work",
     "How long the event loop worked at once, cryptography included",
     HISTOGRAM_LAG,
     0,
     {{"stage", stage, IO_WORKS}},
     loop_work},
};

API_NO_TAIL(qudag_histogram, labels);
_Static_assert(HISTOGRAM_BUCKETS <= QUDAG_HISTOGRAM_BUCKETS, "all buckets fit");

static size_t values_of(const struct family *f, size_t at)
{
    return f->label[at].name == NULL ? 1 : f->label[at].n;
}

/* The labels of one series as text; false: the family lacks it. */
static bool labels_of(const struct node *n, const struct family *f, const size_t ix[3],
                      char out[QUDAG_HISTOGRAM_LABELS_MAX])
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t at = 0; at < 3 && f->label[at].name != NULL; at++) {
        const struct label *l = &f->label[at];
        const char *value = l->value(n, ix[at]);
        if (value == NULL || (l->value == outcome && (f->outcomes & (1u << ix[at])) == 0)) {
            return false;
        }
        int n_put = snprintf(out + len, QUDAG_HISTOGRAM_LABELS_MAX - len, "%s%s=\"%s\"",
                             at == 0 ? "" : ",", l->name, value);
        len += n_put > 0 ? (size_t)n_put : 0;
        if (len >= QUDAG_HISTOGRAM_LABELS_MAX) {
            return false;
        }
    }
    return true;
}

void api_histogram_fill(qudag_histogram *out, enum histogram_scale scale, const struct histogram *h)
{
    size_t n;
    const uint64_t *bounds = histogram_bounds(scale, &n);

    out->buckets = (uint32_t)n + 1;
    out->total = histogram_total(h);
    out->sum = h->sum_ns;
    out->p50 = histogram_quantile(h, scale, 500);
    out->p95 = histogram_quantile(h, scale, 950);
    for (size_t i = 0; i <= n; i++) {
        out->count[i] = h->count[i];
        out->le[i] = i < n ? bounds[i] : UINT64_MAX;
    }
}

/* |*at|, counted through all series of all families, becomes the family and its values; false: behind the last. */
static bool locate(size_t at, const struct family **f, size_t ix[3])
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        size_t n[3] = {values_of(&families[i], 0), values_of(&families[i], 1),
                       values_of(&families[i], 2)};
        if (at < n[0] * n[1] * n[2]) {
            *f = &families[i];
            ix[2] = at % n[2];
            ix[1] = at / n[2] % n[1];
            ix[0] = at / n[2] / n[1];
            return true;
        }
        at -= n[0] * n[1] * n[2];
    }
    return false;
}

bool qudag_node_histogram_next(const qudag_node *n, size_t *it, qudag_histogram *out)
{
    const struct family *f;
    size_t ix[3];

    if (n == NULL || it == NULL || out == NULL) {
        return false;
    }
    for (size_t at = *it; locate(at, &f, ix); at++) {
        qudag_histogram full = {.size = sizeof(full)};
        if (!labels_of(n->node, f, ix, full.labels)) {
            continue;
        }
        full.metric = f->metric;
        full.help = f->help;
        api_histogram_fill(&full, f->scale, f->get(n, ix));
        *it = at + 1;
        return api_sized_out(out, &full, sizeof(full));
    }
    return false;
}
