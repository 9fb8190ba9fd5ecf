/* report.c - what the daemon knows, as rows. */
#include "report.h"

#include "common/rotate.h"
#include "metrics.h"
#include "process.h"
#include "reach.h"
#include "rules.h"
#include "start.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#define METRICS_ROW 32768 /* bytes of text in one row */

void rec_peer(struct rec *r, const char *name, const qudag_peer_id *id)
{
    char text[QUDAG_PEER_ID_TEXT_MAX];
    if (id->len > 0) {
        qudag_peer_id_text(id, text);
        rec_str(r, name, text);
    }
}

const char *phase_name(qudag_phase p)
{
    static const char *const name[] = {"start",  "dial",  "lookup", "announce",
                                       "relays", "ready", "failed"};
    return (unsigned)p < sizeof(name) / sizeof(name[0]) ? name[p] : "?";
}

/* The value of a counter or gauge of the node; 0: there is none of that name. */
static uint64_t stat_value(const qudag_node *n, const char *name)
{
    qudag_stat stat = QUDAG_INIT(qudag_stat);
    for (size_t it = 0; qudag_node_stat_next(n, &it, &stat);) {
        if (strcmp(stat.name, name) == 0) {
            return stat.value;
        }
    }
    return 0;
}

/* Nanoseconds until the next bootstrap attempt; 0: none is due. */
static int64_t retry_ns(const struct daemon *d)
{
    return (int64_t)stat_value(d->node, "bootstrap_retry_ms") * 1000000;
}

/* Why the last attempt to join failed, as a sentence. */
static void rec_reason(struct rec *r, const struct daemon *d, qudag_err err)
{
    char text[QUDAG_JOIN_TEXT_MAX] = "";
    if (d->node != NULL) {
        qudag_node_join_text(d->node, text, sizeof(text));
    }
    rec_str(r, "reason", text[0] != 0 ? text : qudag_strerror(err));
}

static bool udp_blocked(const struct daemon *d)
{
    qudag_reach reach = QUDAG_INIT(qudag_reach);
    return d->node != NULL && qudag_reach_get(d->node, &reach) == QUDAG_OK && reach.udp_blocked;
}

void report_phase(struct rec *r, const struct daemon *d, const struct phase_note *p)
{
    rec_str(r, "phase", phase_name(p->phase));
    rec_int(r, "have", p->a);
    rec_int(r, "of", p->b);
    rec_int(r, "at_ns", (int64_t)p->at_ns);
    if (p->err != QUDAG_OK) {
        rec_str(r, "error", qudag_err_name(p->err));
        rec_reason(r, d, p->err);
    }
    if (p->phase == QUDAG_PHASE_FAILED && d->node != NULL) {
        rec_int(r, "retry_ns", retry_ns(d));
    }
    if (p->phase == QUDAG_PHASE_READY && udp_blocked(d)) {
        rec_bool(r, "udp_blocked", true);
    }
}

static size_t count_links(const qudag_node *n, size_t *pq)
{
    qudag_link_info info = QUDAG_INIT(qudag_link_info);
    size_t links = 0;
    *pq = 0;
    for (size_t it = 0; qudag_link_next(n, &it, &info);) {
        links += info.state == QUDAG_LINK_UP;
        *pq += info.state == QUDAG_LINK_UP && info.pq_kex && info.pq_auth;
    }
    return links;
}

/* Whether what must outlive the process can be written; if not, the row says what cannot and why. */
static bool status_disk(struct rec *r, struct daemon *d)
{
    char dir[PATH_LEN];
    bool stored = d->conf.v[CONF_DHT_STORE].num == 0 || stat_value(d->node, "store_room") != 0;
    bool saves = state_saves(&d->state);
    if (!saves) {
        rec_strf(r, "disk", "keys, guards and dark addresses are not saved: %.300s", d->state.why);
    }
    if (!stored) {
        rec_strf(r, "disk",
                 "the store of the DHT takes no records (writes that failed: %llu); make room for "
                 "%.300s",
                 (unsigned long long)stat_value(d->node, "store_failures"),
                 store_where(&d->conf, d->state.dir, dir) ? dir : d->state.dir);
    }
    return saves && stored;
}

/* Why the last attempt to join failed, also while the next one dials; QUDAG_OK: it did not. */
static qudag_err last_failure(const struct daemon *d)
{
    for (size_t ix = d->n_phases; d->failing && ix > 0; ix--) {
        if (d->phases[ix - 1].phase == QUDAG_PHASE_FAILED) {
            return d->phases[ix - 1].err;
        }
    }
    return QUDAG_OK;
}

/* A transport that carries circuits must end its packets where cells do, which TCP does not. */
#define NO_UDP                                                                                     \
    "this network lets no UDP through: links go over TCP, which carries the DHT and what is sent " \
    "to peers, but no circuits: nothing at dark addresses works; let UDP out, to any port, or "    \
    "use "                                                                                         \
    "another network"

static void status_health(struct rec *r, struct daemon *d)
{
    qudag_phase phase = qudag_node_phase(d->node);
    rec_str(r, "phase", phase_name(phase));
    rec_str(r, "health",
            rules_health((int)phase, d->failing, stat_value(d->node, "links"),
                         d->conf.v[CONF_BOOTSTRAP].n, status_disk(r, d), udp_blocked(d)));
    rec_int(r, "bootstrap_peers", (int64_t)d->conf.v[CONF_BOOTSTRAP].n);
    const struct phase_note *last = d->n_phases > 0 ? &d->phases[d->n_phases - 1] : NULL;
    qudag_err failure = last_failure(d);
    if (failure != QUDAG_OK) {
        rec_reason(r, d, failure);
    } else if (udp_blocked(d)) {
        rec_str(r, "reason", NO_UDP);
    } else if (last != NULL && last->phase == phase && last->err != QUDAG_OK) {
        rec_reason(r, d, last->err);
    } else if (last != NULL && phase == QUDAG_PHASE_RELAYS) {
        rec_strf(r, "reason",
                 "circuits need %u known relays%s, and %u are known; more nodes must join", last->b,
                 last->a >= last->b ? " of different networks" : "", last->a);
    }
    if (phase == QUDAG_PHASE_FAILED) {
        rec_int(r, "retry_ns", retry_ns(d));
    }
}

/* What an operator should know of the addresses, if anything. */
static void status_note(struct rec *r, const struct daemon *d)
{
    qudag_reach reach = QUDAG_INIT(qudag_reach);
    char addr[QUDAG_ADDR_TEXT_MAX];
    size_t it = 0;
    if (qudag_node_announced_next(d->node, &it, addr)) {
        return;
    }
    if (qudag_reach_get(d->node, &reach) == QUDAG_OK && reach.places > 0) {
        rec_str(
            r, "note",
            "nobody can dial this node: peers reach it by its peer id, through the circuit relays "
            "that keep places for it (qudag peers --places), and then directly where a path is "
            "found; it cannot be a relay");
        return;
    }
    it = 0;
    rec_str(r, "note",
            qudag_node_addr_next(d->node, &it, addr)
                ? "this node announces no address, as none of its own can be reached from the "
                  "Internet (private ones, such as 192.168.1.2, cannot) and peers of four networks "
                  "have not dialled one: others reach it only where they are given one, and it "
                  "cannot be a relay; "
                  "a test network on private addresses is a lab (qudag up --lab)"
                : "this machine has no address that others could reach; [node] listen names "
                  "where to listen");
}

static void status_relay(struct rec *r, const struct daemon *d)
{
    char text[128], addr[QUDAG_ADDR_TEXT_MAX];
    size_t it = 0;
    rules_relay(text, sizeof(text), d->conf.v[CONF_RELAY].num != 0,
                qudag_node_announced_next(d->node, &it, addr),
                stat_value(d->node, "descriptor_stored"));
    rec_str(r, "relay", text);
}

static void status_counts(struct rec *r, const qudag_node *n)
{
    size_t pq, links = count_links(n, &pq), table = 0, relays = 0, circuits = 0, records = 0;
    qudag_peer_id peer;
    bool guard;
    qudag_circuit_info circuit = QUDAG_INIT(qudag_circuit_info);
    qudag_dht_record record = QUDAG_INIT(qudag_dht_record);
    for (size_t it = 0; qudag_dht_table_next(n, &it, &peer);) {
        table++;
    }
    for (size_t it = 0; qudag_relay_next(n, &it, &peer, &guard);) {
        relays++;
    }
    for (size_t it = 0; qudag_circuit_next(n, &it, &circuit);) {
        circuits++;
    }
    for (size_t it = 0; qudag_dht_record_next(n, &it, &record);) {
        records++;
    }
    rec_int(r, "links", (int64_t)links);
    rec_int(r, "links_pq", (int64_t)pq);
    rec_int(r, "table", (int64_t)table);
    rec_int(r, "relays", (int64_t)relays);
    rec_int(r, "circuits", (int64_t)circuits);
    rec_int(r, "records", (int64_t)records);
}

void rec_diversity(struct rec *r, const qudag_node *n)
{
    qudag_diversity d = QUDAG_INIT(qudag_diversity);
    if (!qudag_node_diversity(n, &d)) {
        return;
    }
    rec_int(r, "relays_drawn", d.relays);
    rec_int(r, "networks_drawn", d.networks);
    rec_bool(r, "small_network", d.small);
    rec_bool(r, "small_network_accepted", d.accepted);
    rec_strf(r, "drawn", "from %u relays of %u networks%s", d.relays, d.networks,
             !d.small     ? ""
             : d.accepted ? ", too few to hide anybody: used all the same"
                          : ", too few to hide anybody");
}

static void status_anonymity(struct rec *r, const struct daemon *d)
{
    qudag_anonymity a = QUDAG_INIT(qudag_anonymity);
    char text[128];
    if (udp_blocked(d)) {
        rec_str(r, "anonymity", "no: no circuits can be built, as no UDP comes through");
    } else if (qudag_node_anonymity(d->node, &a)) {
        rules_anonymity(text, sizeof(text), (int)a.state, a.lookups, a.lookups_min);
        rec_str(r, "anonymity", text);
    }
}

void end_small_network(struct request *rq, const char *what)
{
    qudag_diversity d = QUDAG_INIT(qudag_diversity);
    char message[480];
    (void)qudag_node_diversity(rq->d->node, &d);
    (void)snprintf(
        message, sizeof(message),
        "%s%s%s: %u relays of %u networks are known, and with fewer than %u of %u, whoever "
        "runs some of them or watches their networks can see who talks to whom",
        what, what[0] == 0 ? "" : ": ", qudag_strerror(QUDAG_ESMALLNET), d.relays, d.networks,
        d.relays_min, d.networks_min);
    request_end(rq, TOOL_REFUSED, qudag_err_name(QUDAG_ESMALLNET), message,
                "wait until more relays have joined; or add --small-network to use it all the same "
                "(remembered: [onion] small_network)");
}

void report_accept_small_network(struct request *rq)
{
    qudag_node_accept_small_network(rq->d->node, true);
    struct daemon *d = rq->d;
    const char *file = d->conf_file;
    char beside[PATH_LEN], why[CONF_WHY_LEN] = "", said[CONF_WHY_LEN + 160];
    d->conf.v[CONF_SMALL_NETWORK].num = 1;
    if (file[0] == 0) { /* there was none at the start; qudag up writes one then */
        file = path_join(beside, d->state.dir, "qudag.conf") ? beside : "";
    }
    if (!conf_remember(file, CONF_SMALL_NETWORK, "yes", why)) {
        (void)snprintf(said, sizeof(said), "%s%s", why, process_denied(d, errno));
        rec_str(request_rec(rq, REC_ROW), "not_remembered", said);
        request_send(rq);
    }
    request_end_err(rq, QUDAG_OK, "");
}

void report_state(struct rec *r, struct daemon *d)
{
    rec_str(r, "version", QUDAG_VERSION);
    status_health(r, d);
    status_note(r, d);
    rec_int(r, "uptime_ns", (int64_t)(mono_ns() - d->since_ns));
    rec_bool(r, "copied", d->state.copied);
    rec_bool(r, "lab", d->conf.v[CONF_LAB].num != 0);
    status_relay(r, d);
    status_anonymity(r, d);
    rec_diversity(r, d->node);
}

void report_status(struct request *rq)
{
    struct daemon *d = rq->d;
    struct rec *r = request_rec(rq, REC_ROW);
    qudag_peer_id self;
    char addr[QUDAG_ADDR_TEXT_MAX], hex[2 * QUDAG_PQ_HASH_LEN + 1];
    uint8_t hash[QUDAG_PQ_HASH_LEN];
    qudag_node_peer_id(d->node, &self);
    qudag_identity_pq_hash(d->identity, hash);
    text_hex(hex, hash, sizeof(hash));
    rec_int(r, "pid", getpid());
    rec_str(r, "dir", d->state.dir);
    rec_peer(r, "peer", &self);
    rec_str(r, "pq_hash", hex);
    for (size_t it = 0; qudag_node_addr_next(d->node, &it, addr);) {
        rec_str(r, "addresses", addr);
        rec_strf(r, "bootstrap", "%s#%s", addr, hex);
    }
    for (size_t it = 0; qudag_node_announced_next(d->node, &it, addr);) {
        rec_str(r, "announced", addr);
    }
    rec_str(r, "metrics", d->scrape_at[0] != 0 ? d->scrape_at : NULL);
    rec_str(r, "web", d->web_at[0] != 0 ? d->web_at : NULL);
    report_state(r, d);
    reach_status(r, d->node);
    status_counts(r, d->node);
    request_send(rq);
    request_end_err(rq, QUDAG_OK, "");
}

void report_relays(struct request *rq)
{
    qudag_peer_id peer;
    bool guard;
    for (size_t it = 0; qudag_relay_next(rq->d->node, &it, &peer, &guard);) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_peer(r, "peer", &peer);
        rec_bool(r, "guard", guard);
        request_send(rq);
    }
    request_end_err(rq, QUDAG_OK, "");
}

/* "p50_ns" and "p95_ns" only where something was measured. */
static void histogram_row(struct request *rq, const qudag_histogram *h)
{
    struct rec *r = request_rec(rq, REC_ROW);
    bool labels = h->labels[0] != 0;

    rec_strf(r, "name", "%s%s%s%s", h->metric, labels ? "{" : "", h->labels, labels ? "}" : "");
    rec_int(r, "value", (int64_t)h->total);
    rec_str(r, "unit", "");
    rec_str(r, "kind", "histogram");
    rec_str(r, "metric", h->metric);
    rec_str(r, "labels", h->labels);
    rec_str(r, "help", h->help);
    rec_int(r, "sum_ns", (int64_t)h->sum);
    if (h->total > 0) {
        rec_int(r, "p50_ns", (int64_t)h->p50);
        rec_int(r, "p95_ns", (int64_t)h->p95);
    }
    request_send(rq);
}

void report_stats(struct request *rq)
{
    static const char *const kinds[] = {"?", "counter", "gauge"};
    qudag_stat stat = QUDAG_INIT(qudag_stat);
    for (size_t it = 0; qudag_node_stat_next(rq->d->node, &it, &stat);) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_str(r, "name", stat.name);
        rec_int(r, "value", (int64_t)stat.value);
        rec_str(r, "unit", stat.unit);
        rec_str(r, "kind", kinds[(unsigned)stat.kind <= QUDAG_STAT_GAUGE ? stat.kind : 0]);
        rec_str(r, "metric", stat.metric);
        rec_str(r, "labels", stat.labels);
        rec_str(r, "help", stat.help);
        request_send(rq);
    }
    qudag_histogram h = QUDAG_INIT(qudag_histogram);
    for (size_t it = 0; qudag_node_histogram_next(rq->d->node, &it, &h);) {
        histogram_row(rq, &h);
    }
    request_end_err(rq, QUDAG_OK, "");
}

void report_metrics(struct request *rq)
{
    struct metrics *m = malloc(sizeof(*m));
    char *text = NULL;
    size_t len = 0;
    FILE *to = m == NULL ? NULL : open_memstream(&text, &len);
    bool good = to != NULL && metrics_take(m, rq->d->node);

    if (to != NULL) {
        metrics_print(to, m, METRICS_TEXT);
        metrics_print_process(to, METRICS_TEXT);
        good = fclose(to) == 0 && good;
    }
    for (size_t at = 0; good && at < len; at += METRICS_ROW) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_bytes(r, "text", text + at, len - at < METRICS_ROW ? len - at : METRICS_ROW);
        request_send(rq);
    }
    free(text);
    free(m);
    request_end_err(rq, good ? QUDAG_OK : QUDAG_ENOMEM, good ? "" : "out of memory");
}

void report_keys(struct request *rq)
{
    uint8_t hash[QUDAG_PQ_HASH_LEN];
    char hex[2 * QUDAG_PQ_HASH_LEN + 1], time[32];
    qudag_onion_key key = QUDAG_INIT(qudag_onion_key);
    qudag_peer_id self;
    struct rec *r = request_rec(rq, REC_ROW);
    qudag_node_peer_id(rq->d->node, &self);
    qudag_identity_pq_hash(rq->d->identity, hash);
    text_hex(hex, hash, sizeof(hash));
    rec_peer(r, "peer", &self);
    rec_str(r, "pq", hex);
    rec_bool(r, "encrypted", rq->d->state.vault.keys != NULL);
    request_send(rq);
    for (size_t it = 0; qudag_onion_key_next(rq->d->node, &it, &key);) {
        r = request_rec(rq, REC_ROW);
        text_hex(hex, key.id, sizeof(key.id));
        rec_str(r, "id", hex);
        rec_str(r, "state", key.current ? "current" : "the one before");
        text_time(time, key.made * 1000);
        rec_str(r, "made", time);
        text_time(time, key.until * 1000);
        rec_str(r, "until", time);
        request_send(rq);
    }
    request_end_err(rq, QUDAG_OK, "");
}

/* Another ML-DSA key: into the folder first, so that each start from now on has it, then into the node. */
static void rotate_ml_dsa(struct request *rq)
{
    struct daemon *d = rq->d;
    struct rotate_state st = {0};
    struct rotate_made made;
    uint8_t hash[QUDAG_PQ_HASH_LEN];
    char hex[2 * QUDAG_PQ_HASH_LEN + 1];
    qudag_identity_pq_hash(d->identity, hash);
    if (!rotate_running(&d->state.vault, hash, &st, &made)) {
        request_end(rq, TOOL_FAILED, "KEYS", d->state.vault.why,
                    "the daemon goes on with its key; the folder has the old key or the new one");
        return;
    }
    qudag_err err = qudag_node_rekey(d->node, made.next, made.statement);
    if (err != QUDAG_OK) {
        qudag_identity_free(made.next);
        request_end(rq, TOOL_FAILED, qudag_err_name(err),
                    "the folder has the new key, but the daemon goes on with the old one",
                    "give the command again, or start the daemon anew: it takes the new key");
        return;
    }
    qudag_identity_free(d->identity);
    d->identity = made.next;
    struct rec *r = request_rec(rq, REC_ROW);
    qudag_identity_pq_hash(d->identity, hash);
    text_hex(hex, hash, sizeof(hash));
    rec_str(r, "rotated", "identity");
    rec_int(r, "sequence", (int64_t)st.sequence);
    rec_str(r, "pq", hex);
    request_send(rq);
    request_end_err(rq, QUDAG_OK, "");
}

void report_rotate(struct request *rq)
{
    const char *what = rec_get_str(&rq->args, "what");
    if (what != NULL && strcmp(what, "identity") == 0) {
        rotate_ml_dsa(rq);
        return;
    }
    qudag_err err = qudag_onion_key_rotate(rq->d->node, rec_get_bool(&rq->args, "force"));
    if (err == QUDAG_ESTATE) {
        request_end(rq, TOOL_REFUSED, qudag_err_name(err),
                    "the key before the current one is still in use: a third would end it, and "
                    "circuits of those who know an older descriptor of this relay would fail",
                    "qudag key show says until when; --force replaces both now, for keys that "
                    "somebody may have seen");
    } else if (err == QUDAG_EUNSUPPORTED) {
        request_end(rq, TOOL_REFUSED, qudag_err_name(err),
                    "this node is no relay: it has no onion key", "relay = yes under [onion]");
    } else {
        request_end_err(rq, err, "the onion key was not replaced");
    }
}

/* Keys are bytes: as text where they are text without spaces, and always as bytes. */
static void rec_key(struct rec *r, qudag_slice key)
{
    char text[2 * 128 + 1];
    size_t plain = 0;
    uint32_t cp;
    while (plain < key.len) {
        size_t n = qudag_utf8_next(key.base + plain, key.len - plain, &cp);
        if (cp == ' ' || !qudag_utf8_printable(cp)) {
            break;
        }
        plain += n;
    }
    if (plain == key.len && key.len < sizeof(text)) {
        memcpy(text, key.base, key.len);
        text[key.len] = 0;
        rec_str(r, "key", text);
    }
    rec_bytes(r, "key_bytes", key.base, key.len);
}

void report_records(struct request *rq)
{
    qudag_dht_record record = QUDAG_INIT(qudag_dht_record);
    for (size_t it = 0; qudag_dht_record_next(rq->d->node, &it, &record);) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_key(r, record.key);
        rec_int(r, "size", (int64_t)record.value.len);
        rec_int(r, "expires", record.expires);
        request_send(rq);
    }
    request_end_err(rq, QUDAG_OK, "");
}

void report_published(struct request *rq)
{
    qudag_dht_publication p = QUDAG_INIT(qudag_dht_publication);
    for (size_t it = 0; qudag_dht_publication_next(rq->d->node, &it, &p);) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_key(r, p.key);
        rec_bool(r, "provides", p.provides);
        rec_int(r, "due", p.due);
        request_send(rq);
    }
    request_end_err(rq, QUDAG_OK, "");
}

/* Counters whose names begin so belong to the store. */
void report_store(struct request *rq)
{
    static const char *const about[] = {"kad_records",   "kad_record_bytes", "kad_providers",
                                        "kad_published", "kad_evicted",      "store_"};
    struct rec *r = request_rec(rq, REC_ROW);
    char dir[PATH_LEN];
    qudag_stat stat = QUDAG_INIT(qudag_stat);
    rec_str(r, "folder", store_where(&rq->d->conf, rq->d->state.dir, dir) ? dir : "");
    for (size_t it = 0; qudag_node_stat_next(rq->d->node, &it, &stat);) {
        for (size_t ix = 0; ix < sizeof(about) / sizeof(about[0]); ix++) {
            bool all = about[ix][strlen(about[ix]) - 1] != '_';
            if (all ? strcmp(stat.name, about[ix]) == 0
                    : strncmp(stat.name, about[ix], strlen(about[ix])) == 0) {
                rec_int(r, stat.name, (int64_t)stat.value);
            }
        }
    }
    request_send(rq);
    request_end_err(rq, QUDAG_OK, "");
}

/* The configuration in force: file, options and defaults together. */
void report_config(struct request *rq)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    if (to != NULL) {
        conf_print(&rq->d->conf, to);
        (void)fclose(to);
    }
    if (text == NULL) {
        request_end_err(rq, QUDAG_ENOMEM, "");
        return;
    }
    rec_str(request_rec(rq, REC_ROW), "text", text);
    request_send(rq);
    free(text);
    request_end_err(rq, QUDAG_OK, "");
}

/* From where a value came, for people. */
static const char *source_name(enum conf_source source)
{
    static const char *const names[] = {
        [CONF_UNSET] = "the default",
        [CONF_MACHINE] = "this machine's memory",
        [CONF_FILE] = "the configuration",
        [CONF_OPTION] = "an option",
    };

    return names[source];
}

void report_limits(struct request *rq)
{
    struct daemon *d = rq->d;
    struct rec *r = request_rec(rq, REC_ROW);
    struct rlimit files = {0};
    (void)getrlimit(RLIMIT_NOFILE, &files);
    rec_bool(r, "clock_suspect", daemon_clock_suspect(d));
    rec_bool(r, "relay", d->conf.v[CONF_RELAY].num != 0);
    rec_int(r, "links_max", d->conf.v[CONF_LINKS_MAX].num);
    rec_str(r, "links_max_from", source_name(d->conf.v[CONF_LINKS_MAX].source));
    rec_int(r, "memory_max", d->conf.v[CONF_MEMORY_MAX].num);
    rec_str(r, "memory_max_from", source_name(d->conf.v[CONF_MEMORY_MAX].source));
    rec_int(r, "circuits_max", d->conf.v[CONF_CIRCUITS_MAX].num);
    rec_int(r, "files", (int64_t)metrics_open_fds());
    rec_int(r, "files_max", (int64_t)(files.rlim_cur < INT64_MAX ? files.rlim_cur : 0));
    rec_int(r, "descriptor_stored", (int64_t)stat_value(d->node, "descriptor_stored"));
    request_send(rq);
    request_end_err(rq, QUDAG_OK, "");
}

void report_table(struct request *rq)
{
    qudag_peer_id peer;
    for (size_t it = 0; qudag_dht_table_next(rq->d->node, &it, &peer);) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_peer(r, "peer", &peer);
        request_send(rq);
    }
    request_end_err(rq, QUDAG_OK, "");
}

void report_circuit(struct rec *r, const qudag_circuit_info *info)
{
    static const char *const roles[] = {"client", "relay", "end"};
    rec_strf(r, "circuit", "%llx", (unsigned long long)info->circuit.id);
    rec_str(r, "role", (unsigned)info->role < 3 ? roles[info->role] : "?");
    rec_str(r, "state", info->state);
    rec_str(r, "purpose", info->purpose);
    rec_int(r, "hops", info->hops);
    rec_int(r, "hops_wanted", info->hops_wanted);
    for (size_t ix = 0; ix < info->hops_wanted && ix < QUDAG_HOPS_MAX; ix++) {
        rec_peer(r, "path", &info->path[ix]);
    }
    if (info->carrier.id != 0) {
        rec_strf(r, "carrier", "%llx", (unsigned long long)info->carrier.id);
    }
    rec_peer(r, "prev", &info->prev);
    rec_peer(r, "next", &info->next);
    rec_int(r, "age_ns", (int64_t)info->age);
    rec_int(r, "build_ns", (int64_t)info->build_time);
    rec_int(r, "cells_forward", (int64_t)info->cells_forward);
    rec_int(r, "cells_backward", (int64_t)info->cells_backward);
    rec_int(r, "streams", info->streams);
}

void report_circuits(struct request *rq)
{
    qudag_circuit_info info = QUDAG_INIT(qudag_circuit_info);
    for (size_t it = 0; qudag_circuit_next(rq->d->node, &it, &info);) {
        report_circuit(request_rec(rq, REC_ROW), &info);
        request_send(rq);
    }
    request_end_err(rq, QUDAG_OK, "");
}

const char *report_dark_kind(qudag_dark_kind kind)
{
    return kind == QUDAG_DARK_HIDDEN ? "hidden" : "direct";
}

static void dark_row(struct request *rq, const qudag_dark_info *info)
{
    static const char *const networks[] = {"main", "test", "lab"};
    struct rec *r = request_rec(rq, REC_ROW);
    rec_str(r, "address", info->addr);
    rec_str(r, "label", info->label);
    rec_str(r, "kind", report_dark_kind(info->kind));
    rec_str(r, "network", networks[info->network]);
    rec_bool(r, "clients_only", info->clients_only);
    rec_bool(r, "published", info->published);
    rec_int(r, "created", info->created);
    rec_int(r, "until", info->until);
    rec_int(r, "last_used", info->last_used);
    rec_int(r, "callers", (int64_t)info->callers);
    rec_int(r, "resolutions", (int64_t)info->resolutions);
    request_send(rq);
}

bool report_dark(struct request *rq, const char *addr)
{
    qudag_dark_info info = QUDAG_INIT(qudag_dark_info);
    bool any = addr == NULL;
    for (size_t it = 0; qudag_dark_next(rq->d->node, &it, &info);) {
        if (addr == NULL || strcasecmp(info.addr, addr) == 0) {
            dark_row(rq, &info);
            any = true;
        }
    }
    if (any) {
        request_end_err(rq, QUDAG_OK, "");
    }
    return any;
}
