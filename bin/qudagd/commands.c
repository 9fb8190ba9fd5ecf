/* commands.c - what the tool may ask for and the library answers later. */
#include "report.h"

#include "transfer.h"

#include <stdlib.h>
#include <string.h>

#define RUN(name) static void run_##name(struct request *rq)
#define DONE(name)                                                                                 \
    static void done_##name(struct request *rq, qudag_err err, const qudag_result *res)

static void usage(struct request *rq, const char *message)
{
    request_end(rq, TOOL_USAGE, "QUDAG_EINVAL", message, "qudag help shows an example");
}

/* Waits for rq->op, or ends if it could not begin. */
static void wait_op(struct request *rq, qudag_err err, const char *what)
{
    if (err != QUDAG_OK) {
        request_end_err(rq, err, what);
    }
}

static qudag_slice slice_of(const char *text)
{
    return (qudag_slice){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

/* Keys that do not name a namespace are in "app". */
static bool full_key(char out[160], const char *key)
{
    int n = key == NULL ? -1 : snprintf(out, 160, "%s%s", key[0] == '/' ? "" : "/app/", key);
    return n > 0 && n < 160 && key[0] != 0;
}

/* ------------------------------------------------------------------ ping */

DONE(ping)
{
    if (err == QUDAG_OK && rq->step == 1) { /* the connection stands; now the ping itself */
        rq->step = 2;
        rq->since_ns = mono_ns();
        wait_op(rq, qudag_ping(rq->d->node, &rq->peer, &rq->op), "ping");
        return;
    }
    if (err == QUDAG_OK) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_peer(r, "peer", &rq->peer);
        rec_int(r, "rtt_ns", (int64_t)res->rtt);
        request_send(rq);
    }
    request_end_err(rq, err, err == QUDAG_OK ? "" : "no answer to the ping");
}

RUN(ping)
{
    const char *to = rec_get_str(&rq->args, "to");
    char id[QUDAG_ADDR_TEXT_MAX];
    if (to == NULL) {
        usage(rq, "ping needs a peer id or a multiaddr");
        return;
    }
    if (to[0] != '/') {
        qudag_err err = qudag_peer_id_parse(&rq->peer, to);
        if (err == QUDAG_OK) {
            err = qudag_ping(rq->d->node, &rq->peer, &rq->op);
        }
        wait_op(rq, err, to);
        return;
    }
    const char *p2p = strstr(to, "/p2p/");
    if (p2p == NULL || strlen(p2p + 5) >= sizeof(id)) {
        usage(rq, "a multiaddr to ping must end in /p2p/PEER-ID");
        return;
    }
    memcpy(id, p2p + 5, strlen(p2p + 5) + 1);
    id[strcspn(id, "/#")] = 0;
    qudag_err err = qudag_peer_id_parse(&rq->peer, id);
    if (err == QUDAG_OK) {
        rq->step = 1;
        err = qudag_connect(rq->d->node, to, &rq->op);
    }
    wait_op(rq, err, to);
}

/* ------------------------------------------------------------------ dht */

RUN(dht_put)
{
    char key[160];
    struct rec_field value;
    qudag_dht_options o = {.size = sizeof(o),
                           .republish = !rec_get_bool(&rq->args, "once"),
                           .quorum = (uint32_t)rec_get_int(&rq->args, "quorum", 0)};
    if (!full_key(key, rec_get_str(&rq->args, "key")) ||
        !rec_find(&rq->args, "value", REC_BYTES, &value)) {
        usage(rq, "put needs a key of at most 128 bytes and a value");
        return;
    }
    wait_op(rq,
            qudag_dht_put_with(rq->d->node, slice_of(key), (qudag_slice){value.bytes, value.len},
                               &o, &rq->op),
            key);
}

static void cost_row(struct request *rq, const qudag_result *res)
{
    char key[160];
    struct rec *r = request_rec(rq, REC_ROW);
    if (full_key(key, rec_get_str(&rq->args, "key"))) {
        rec_str(r, "key", key);
    }
    rec_int(r, "nodes", res->count);
    rec_int(r, "rpcs", res->rpcs);
    rec_int(r, "took_ns", (int64_t)res->took);
    for (size_t ix = 0; ix < res->peers_n; ix++) {
        rec_peer(r, "peers", &res->peers[ix]);
    }
}

/* Why a put or get ended, where the error alone does not say enough. */
static const char *dht_why(qudag_err err, const char *otherwise)
{
    switch (err) {
    case QUDAG_OK:
        return "";
    case QUDAG_EINVAL:
        return "this node has no rules for that key or value: keys begin with /pk/, /qudag/relay/, "
               "/qudag/dark/ or a name of open_namespaces (/app/ by default); values have limits";
    case QUDAG_ENOTFOUND:
        return "no value was found: those near the key have answered and have none";
    case QUDAG_EUNREACHABLE:
        return "too few of those near the key answered to say anything";
    default:
        return otherwise;
    }
}

DONE(dht_put)
{
    if (err == QUDAG_OK) {
        cost_row(rq, res);
        request_send(rq);
    }
    request_end_err(rq, err, dht_why(err, "the value was not stored"));
}

/* One of the words of qudag dht get --read; false: another one. */
static bool read_word(const char *word, qudag_dht_read *out)
{
    static const char *const words[] = {"default", "first", "confirmed", "quorum", "paths"};
    *out = QUDAG_READ_DEFAULT;
    for (size_t ix = 0; word != NULL && ix < sizeof(words) / sizeof(words[0]); ix++) {
        if (strcmp(words[ix], word) == 0) {
            *out = (qudag_dht_read)ix;
            return true;
        }
    }
    return word == NULL;
}

RUN(dht_get)
{
    char key[160];
    qudag_dht_options o = {.size = sizeof(o), .masked = rec_get_bool(&rq->args, "masked")};
    if (!full_key(key, rec_get_str(&rq->args, "key"))) {
        usage(rq, "get needs a key of at most 128 bytes");
        return;
    }
    if (!read_word(rec_get_str(&rq->args, "read"), &o.read)) {
        usage(rq, "--read is one of default, first, confirmed, quorum, paths");
        return;
    }
    wait_op(rq, qudag_dht_get_with(rq->d->node, slice_of(key), &o, &rq->op), key);
}

RUN(dht_forget)
{
    char key[160];
    if (!full_key(key, rec_get_str(&rq->args, "key"))) {
        usage(rq, "forget needs a key of at most 128 bytes");
        return;
    }
    wait_op(rq, qudag_dht_forget(rq->d->node, slice_of(key), &rq->op), key);
}

DONE(dht_forget)
{
    (void)res;
    request_end_err(rq, err, err == QUDAG_OK ? "" : "this node does not publish that key");
}

RUN(dht_unprovide)
{
    const char *content = rec_get_str(&rq->args, "key");
    wait_op(rq, qudag_dht_unprovide(rq->d->node, slice_of(content), &rq->op), "unprovide");
}

DONE(dht_get)
{
    if (err == QUDAG_OK) {
        cost_row(rq, res);
        rec_bytes(rq->d->rec, "value", res->value.base, res->value.len);
        request_send(rq);
    }
    request_end_err(rq, err, dht_why(err, "no value was found"));
}

RUN(dht_find)
{
    const char *to = rec_get_str(&rq->args, "peer");
    qudag_err err = to == NULL ? QUDAG_EINVAL : qudag_peer_id_parse(&rq->peer, to);
    if (err == QUDAG_OK) {
        err = qudag_dht_find_peer(rq->d->node, &rq->peer, &rq->op);
    }
    wait_op(rq, err, to == NULL ? "find" : to);
}

DONE(dht_find)
{
    if (err == QUDAG_OK) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_peer(r, "peer", &rq->peer);
        for (size_t ix = 0; ix < res->addrs_n; ix++) {
            rec_str(r, "addresses", res->addrs[ix]);
        }
        rec_int(r, "rpcs", res->rpcs);
        rec_int(r, "took_ns", (int64_t)res->took);
        request_send(rq);
    }
    request_end_err(rq, err, err == QUDAG_OK ? "" : "the peer was not found");
}

RUN(dht_closest)
{
    char key[160];
    if (!full_key(key, rec_get_str(&rq->args, "key"))) {
        usage(rq, "closest needs a key");
        return;
    }
    wait_op(rq, qudag_dht_closest(rq->d->node, slice_of(key), &rq->op), key);
}

static void done_peers(struct request *rq, qudag_err err, const qudag_result *res)
{
    for (size_t ix = 0; err == QUDAG_OK && ix < res->peers_n; ix++) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_peer(r, "peer", &res->peers[ix]);
        request_send(rq);
    }
    request_end_err(rq, err, err == QUDAG_OK ? "" : "the lookup failed");
}

RUN(dht_provide)
{
    const char *content = rec_get_str(&rq->args, "key");
    wait_op(rq, qudag_dht_provide(rq->d->node, slice_of(content), &rq->op), "provide");
}

RUN(dht_providers)
{
    const char *content = rec_get_str(&rq->args, "key");
    wait_op(rq, qudag_dht_providers(rq->d->node, slice_of(content), &rq->op), "providers");
}

/* ------------------------------------------------------------------ circuits */

RUN(circuit_build)
{
    int64_t hops = rec_get_int(&rq->args, "hops", 0);
    if (hops < 0 || hops >= QUDAG_HOPS_MAX) {
        usage(rq, "a circuit has 1 to 7 relays");
        return;
    }
    wait_op(rq, qudag_circuit_build(rq->d->node, (uint8_t)hops, &rq->op), "circuit build");
}

DONE(circuit_build)
{
    qudag_circuit_info info = QUDAG_INIT(qudag_circuit_info);
    for (size_t it = 0; err == QUDAG_OK && qudag_circuit_next(rq->d->node, &it, &info);) {
        if (info.circuit.id == res->circuit.id) {
            report_circuit(request_rec(rq, REC_ROW), &info);
            request_send(rq);
        }
    }
    request_end_err(rq, err, err == QUDAG_OK ? "" : "no circuit could be built");
}

RUN(circuit_close)
{
    const char *text = rec_get_str(&rq->args, "circuit");
    char *end = NULL;
    uint64_t id = text == NULL ? 0 : strtoull(text, &end, 16);
    if (id == 0 || *end != 0) {
        usage(rq, "close needs the id that circuit list shows");
        return;
    }
    request_end_err(rq, qudag_circuit_close(rq->d->node, (qudag_circuit){id}), text);
}

/* ------------------------------------------------------------------ dark addresses */

RUN(dark_new)
{
    const char *label = rec_get_str(&rq->args, "label");
    char addr[QUDAG_DARK_TEXT_MAX];
    label = label == NULL ? "" : label;
    if (strlen(label) > QUDAG_DARK_LABEL_MAX) {
        usage(rq, "a label has at most 32 bytes");
        return;
    }
    qudag_err err = qudag_dark_create(rq->d->node, label, addr);
    if (err == QUDAG_OK) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_str(r, "address", addr);
        rec_str(r, "label", label);
        request_send(rq);
    }
    request_end_err(rq, err, err == QUDAG_OK ? "" : "no dark address could be made");
}

/* The address itself, or the own one of that label. */
static const char *dark_of(struct request *rq, char out[QUDAG_DARK_TEXT_MAX])
{
    const char *text = rec_get_str(&rq->args, "address");
    qudag_dark_info info = QUDAG_INIT(qudag_dark_info);
    for (size_t it = 0; text != NULL && qudag_dark_next(rq->d->node, &it, &info);) {
        if (info.label[0] != 0 && strcmp(info.label, text) == 0) {
            memcpy(out, info.addr, QUDAG_DARK_TEXT_MAX);
            return out;
        }
    }
    return text == NULL ? "" : text;
}

RUN(dark_publish)
{
    char own[QUDAG_DARK_TEXT_MAX];
    const char *addr = dark_of(rq, own);
    wait_op(rq, qudag_dark_publish(rq->d->node, addr, &rq->op), addr);
}

DONE(dark_publish)
{
    if (err == QUDAG_OK) {
        cost_row(rq, res);
        request_send(rq);
    }
    request_end_err(rq, err, err == QUDAG_OK ? "" : "the address was not published");
}

RUN(dark_forget)
{
    char own[QUDAG_DARK_TEXT_MAX];
    const char *addr = dark_of(rq, own);
    wait_op(rq, qudag_dark_forget(rq->d->node, addr, &rq->op), addr);
}

DONE(dark_forget)
{
    if (err == QUDAG_OK) {
        cost_row(rq, res);
        request_send(rq);
    }
    request_end_err(rq, err, err == QUDAG_OK ? "" : "the record was not withdrawn");
}

RUN(dark_resolve)
{
    const char *addr = rec_get_str(&rq->args, "address");
    addr = addr == NULL ? "" : addr;
    wait_op(rq, qudag_dark_resolve(rq->d->node, addr, &rq->op), addr);
}

DONE(dark_resolve)
{
    if (err == QUDAG_OK) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_str(r, "address", rec_get_str(&rq->args, "address"));
        rec_str(r, "service", res->addrs_n > 0 ? res->addrs[0] : NULL);
        rec_bool(r, "cached", res->cached);
        rec_int(r, "took_ns", (int64_t)res->took);
        request_send(rq);
    }
    request_end_err(rq, err, err == QUDAG_OK ? "" : "the address was not resolved");
}

/* ------------------------------------------------------------------ the daemon itself */

RUN(stop)
{
    struct daemon *d = rq->d;
    request_end_err(rq, QUDAG_OK, "");
    daemon_stop(d);
}

static bool ends_watch(struct request *rq, qudag_phase p)
{
    return p == QUDAG_PHASE_READY || p == QUDAG_PHASE_FAILED ||
           (p == QUDAG_PHASE_START && rq->d->conf.v[CONF_BOOTSTRAP].n == 0);
}

static void phase_row(struct request *rq, const struct phase_note *p)
{
    report_phase(request_rec(rq, REC_PROGRESS), p);
    request_send(rq);
}

static void end_watch(struct request *rq, const struct phase_note *p)
{
    rq->watching = false;
    if (p->phase == QUDAG_PHASE_FAILED) {
        request_end(rq, TOOL_UNREACHABLE,
                    p->err == QUDAG_EBOOTSTRAP ? "BootstrapFailed" : qudag_err_name(p->err),
                    qudag_strerror(p->err),
                    "check [node] bootstrap and that UDP gets through; the daemon goes on trying");
        return;
    }
    request_end_err(rq, QUDAG_OK, "");
}

void watch_phase(struct request *rq, const struct phase_note *p)
{
    phase_row(rq, p);
    if (ends_watch(rq, p->phase)) {
        end_watch(rq, p);
    }
}

RUN(watch)
{
    const struct daemon *d = rq->d;
    for (size_t ix = 0; ix < d->n_phases; ix++) {
        phase_row(rq, &d->phases[ix]);
    }
    if (d->n_phases > 0 && ends_watch(rq, d->phases[d->n_phases - 1].phase)) {
        end_watch(rq, &d->phases[d->n_phases - 1]);
        return;
    }
    rq->watching = true;
}

static const struct command commands[] = {
    {"status", report_status, NULL},
    {"peers", report_peers, NULL},
    {"relays", report_relays, NULL},
    {"stats", report_stats, NULL},
    {"ping", run_ping, done_ping},
    {"dht.put", run_dht_put, done_dht_put},
    {"dht.get", run_dht_get, done_dht_get},
    {"dht.forget", run_dht_forget, done_dht_forget},
    {"dht.unprovide", run_dht_unprovide, done_dht_forget},
    {"dht.published", report_published, NULL},
    {"dht.store", report_store, NULL},
    {"dht.find", run_dht_find, done_dht_find},
    {"dht.closest", run_dht_closest, done_peers},
    {"dht.provide", run_dht_provide, done_dht_put},
    {"dht.providers", run_dht_providers, done_peers},
    {"dht.records", report_records, NULL},
    {"dht.table", report_table, NULL},
    {"circuit.build", run_circuit_build, done_circuit_build},
    {"circuit.list", report_circuits, NULL},
    {"circuit.close", run_circuit_close, NULL},
    {"dark.new", run_dark_new, NULL},
    {"dark.list", report_dark, NULL},
    {"dark.publish", run_dark_publish, done_dark_publish},
    {"dark.forget", run_dark_forget, done_dark_forget},
    {"dark.resolve", run_dark_resolve, done_dark_resolve},
    {"send", transfer_send, NULL},
    {"inbox", transfer_inbox, NULL},
    {"watch", run_watch, NULL},
    {"stop", run_stop, NULL},
};

const struct command *command_find(const char *name)
{
    for (size_t ix = 0; ix < sizeof(commands) / sizeof(commands[0]); ix++) {
        if (strcmp(commands[ix].name, name) == 0) {
            return &commands[ix];
        }
    }
    return NULL;
}
