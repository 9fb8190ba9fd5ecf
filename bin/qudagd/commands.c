/* commands.c - what the tool may ask for and the library answers later. */
#include "report.h"

#include "clients.h"
#include "logctl.h"
#include "peers.h"
#include "proxy.h"
#include "reach.h"
#include "rules.h"
#include "services.h"
#include "share.h"
#include "stop.h"
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

/* With a multiaddr, QUDAG_EAUTH means that somebody else answered there, or another key. */
void request_end_peer(struct request *rq, qudag_err err, const qudag_result *res, const char *what)
{
    const char *to = rec_get_str(&rq->args, "to");
    char message[600], found[QUDAG_PEER_ID_TEXT_MAX];
    bool named = to != NULL && strncmp(to, "/dns", 4) == 0; /* the text tells what of the name */
    const char *hint = peers_relayed_hint(rq->d->node, to, err);
    if (hint != NULL) {
        (void)snprintf(message, sizeof(message), "%s: %s", what,
                       res->text[0] != 0 ? res->text : qudag_strerror(err));
        request_end(rq, exit_of(err), qudag_err_name(err), message, hint);
        return;
    }
    if (err != QUDAG_OK && err != QUDAG_EAUTH && (named || strstr(res->text, "next try") != NULL)) {
        (void)snprintf(message, sizeof(message), "%s: %s", what, res->text);
        request_end_said(rq, err, message);
        return;
    }
    if (err != QUDAG_EAUTH || to == NULL || to[0] != '/') {
        request_end_err(rq, err, what);
        return;
    }
    if (res->peers_n == 1) {
        qudag_peer_id_text(&res->peers[0], found);
        (void)snprintf(message, sizeof(message),
                       "at %.200s another peer answers than this address names: %s", to, found);
    } else {
        (void)snprintf(message, sizeof(message), "%.200s: %s", to, res->text);
    }
    request_end(rq, TOOL_REFUSED, qudag_err_name(err), message,
                "compare it with the line \"bootstrap\" of that node's status");
}

bool request_peer(struct request *rq, const char *text)
{
    qudag_multiaddr addr = QUDAG_INIT(qudag_multiaddr);
    char message[320];
    qudag_err err = QUDAG_EINVAL;
    if (text == NULL) {
        usage(rq, "which peer?");
        return false;
    }
    if (text[0] == '/') {
        err = qudag_multiaddr_parse(&addr, text, QUDAG_ADDR_DIAL, message, sizeof(message));
        if (err == QUDAG_OK && addr.peer.len == 0) { /* that of a peer, which this use demands */
            err = qudag_multiaddr_parse(NULL, text, QUDAG_ADDR_BOOTSTRAP, message, sizeof(message));
        }
        rq->peer = addr.peer;
    } else {
        err = qudag_peer_id_parse(&rq->peer, text);
        (void)snprintf(message, sizeof(message),
                       "%.100s is neither a peer id nor a multiaddr such as "
                       "/ip4/192.0.2.7/udp/4433/quic-v1/p2p/12D3Koo...; " QUDAG_PEER_ID_FORM,
                       text);
    }
    qudag_peer_id self;
    qudag_node_peer_id(rq->d->node, &self);
    if (err == QUDAG_OK && rq->peer.len == self.len &&
        memcmp(rq->peer.bytes, self.bytes, self.len) == 0) {
        err = QUDAG_EINVAL;
        (void)snprintf(message, sizeof(message), "%.200s is this node itself", text);
    }
    if (err == QUDAG_OK) {
        return true;
    }
    request_end(rq, TOOL_USAGE, qudag_err_name(err), message,
                "qudag peers lists peer ids; a node's status shows its multiaddr as \"bootstrap\"");
    return false;
}

/* ------------------------------------------------------------------ dht */

RUN(dht_put)
{
    char key[160], message[120];
    struct rec_field value;
    qudag_dht_options o = {.size = sizeof(o),
                           .republish = !rec_get_bool(&rq->args, "once"),
                           .quorum = (uint32_t)rec_get_int(&rq->args, "quorum", 0)};
    if (!full_key(key, rec_get_str(&rq->args, "key")) ||
        !rec_find(&rq->args, "value", REC_BYTES, &value)) {
        usage(rq, "put needs a key of at most 128 bytes and a value");
        return;
    }
    if (value.len > QUDAG_DHT_OPEN_VALUE_MAX) { /* the daemon has open namespaces only */
        (void)snprintf(message, sizeof(message), "a value has at most %d bytes; this one has %zu",
                       QUDAG_DHT_OPEN_VALUE_MAX, value.len);
        request_end(rq, TOOL_USAGE, "QUDAG_ETOOBIG", message,
                    "a file of any size can be sent to a dark address: qudag help send");
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

/* "name" of "/name/...". */
static void namespace_of(char out[40], const char *key)
{
    (void)snprintf(out, 40, "%.*s", (int)strcspn(key + 1, "/"), key + 1);
}

/* Ends a put or get that failed, with more than the error alone says. */
static void dht_end(struct request *rq, qudag_err err, const char *otherwise)
{
    char key[160] = "/", ns[40], message[256];
    switch (err) {
    case QUDAG_EINVAL:
        (void)full_key(key, rec_get_str(&rq->args, "key"));
        namespace_of(ns, key);
        (void)snprintf(message, sizeof(message),
                       "namespace \"%s\" is not open on this node, or its rules refuse this value",
                       ns);
        request_end(rq, TOOL_USAGE, qudag_err_name(err), message,
                    "keys are /app/...; [dht] open_namespaces in qudag.conf adds namespaces");
        return;
    case QUDAG_ENOTFOUND:
        if (daemon_clock_suspect(rq->d)) {
            request_end_err(rq, err, otherwise);
            return;
        }
        request_end(rq, TOOL_NOT_FOUND, qudag_err_name(err),
                    "the nodes closest to the key replied; none has a value",
                    "it may have expired or never existed; check the spelling");
        return;
    case QUDAG_EUNREACHABLE:
        request_end(rq, TOOL_UNREACHABLE, qudag_err_name(err),
                    "too few of the nodes closest to the key replied",
                    "qudag status shows whether this node has links; try again in a moment");
        return;
    default:
        request_end_err(rq, err, err == QUDAG_OK ? "" : otherwise);
        return;
    }
}

DONE(dht_put)
{
    if (err == QUDAG_OK) {
        cost_row(rq, res);
        request_send(rq);
    }
    dht_end(rq, err, "the value was not stored");
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
    if (err == QUDAG_ENOTFOUND) {
        request_end(rq, TOOL_NOT_FOUND, qudag_err_name(err), "this node does not publish that",
                    "qudag dht published lists what it publishes");
        return;
    }
    request_end_err(rq, err, err == QUDAG_OK ? "" : "it is still published");
}

typedef qudag_err content_fn(qudag_node *, qudag_slice, qudag_op *);

/* A request about content, which the argument names. */
static void run_content(struct request *rq, content_fn *fn, const char *what)
{
    const char *content = rec_get_str(&rq->args, "key");
    if (content == NULL || content[0] == 0) {
        usage(rq, "which content?");
        return;
    }
    wait_op(rq, fn(rq->d->node, slice_of(content), &rq->op), what);
}

RUN(dht_unprovide)
{
    run_content(rq, qudag_dht_unprovide, "unprovide");
}

DONE(dht_get)
{
    if (err == QUDAG_OK) {
        cost_row(rq, res);
        rec_bytes(rq->d->rec, "value", res->value.base, res->value.len);
        request_send(rq);
    }
    dht_end(rq, err, "no value was found");
}

RUN(dht_find)
{
    const char *to = rec_get_str(&rq->args, "peer");
    if (request_peer(rq, to)) {
        wait_op(rq, qudag_dht_find_peer(rq->d->node, &rq->peer, &rq->op), to);
    }
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
    run_content(rq, qudag_dht_provide, "provide");
}

RUN(dht_providers)
{
    run_content(rq, qudag_dht_providers, "providers");
}

/* ------------------------------------------------------------------ circuits */

/* The library's rule, in its words; false: the request has ended with them. */
static bool hops_fit(struct request *rq, uint8_t hops)
{
    qudag_settings s;
    char why[CONF_WHY_LEN];
    QUDAG_SETTINGS_INIT(&s);
    conf_settings(&rq->d->conf, &s);
    s.identity = rq->d->identity;
    s.hops = hops == 0 ? s.hops : hops;
    if (qudag_node_check(&s, why, sizeof(why)) == QUDAG_OK) {
        return true;
    }
    usage(rq, why);
    return false;
}

RUN(circuit_build)
{
    int64_t hops = rec_get_int(&rq->args, "hops", 0);
    if (hops < 0 || hops >= QUDAG_HOPS_MAX) {
        usage(rq, "a circuit has 1 to 7 relays");
        return;
    }
    if (!hops_fit(rq, (uint8_t)hops)) {
        return;
    }
    wait_op(rq, qudag_circuit_build(rq->d->node, (uint8_t)hops, &rq->op), "circuit build");
}

DONE(circuit_build)
{
    qudag_circuit_info info = QUDAG_INIT(qudag_circuit_info);
    for (size_t it = 0; err == QUDAG_OK && qudag_circuit_next(rq->d->node, &it, &info);) {
        if (info.circuit.id == res->circuit.id) {
            struct rec *r = request_rec(rq, REC_ROW);
            report_circuit(r, &info);
            rec_diversity(r, rq->d->node);
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
        usage(rq, "circuit close needs a circuit as qudag circuit list shows it");
        return;
    }
    qudag_err err = qudag_circuit_close(rq->d->node, (qudag_circuit){id});
    if (err == QUDAG_ESTALE || err == QUDAG_ENOTFOUND) {
        char message[64];
        (void)snprintf(message, sizeof(message), "there is no circuit %.20s", text);
        request_end(rq, TOOL_NOT_FOUND, qudag_err_name(err), message,
                    "qudag circuit list shows the open ones");
        return;
    }
    request_end_err(rq, err, text);
}

/* ------------------------------------------------------------------ dark addresses */

/* The own address of that label. */
static bool dark_labelled(const qudag_node *n, const char *label, char out[QUDAG_DARK_TEXT_MAX])
{
    qudag_dark_info info = QUDAG_INIT(qudag_dark_info);
    for (size_t it = 0; qudag_dark_next(n, &it, &info);) {
        if (info.label[0] != 0 && strcmp(info.label, label) == 0) {
            memcpy(out, info.addr, QUDAG_DARK_TEXT_MAX);
            return true;
        }
    }
    return false;
}

/* The network that |word| names; without a word that of this node. */
static bool dark_network(const struct request *rq, const char *word, qudag_dark_network *out)
{
    static const char *const words[] = {"main", "test", "lab"};
    *out = rq->d->conf.v[CONF_LAB].num != 0 ? QUDAG_DARK_LAB : QUDAG_DARK_MAIN;
    for (unsigned ix = 0; word != NULL && ix < 3; ix++) {
        if (strcmp(word, words[ix]) == 0) {
            *out = (qudag_dark_network)ix;
            return true;
        }
    }
    return word == NULL;
}

RUN(dark_new)
{
    const char *label = rec_get_str(&rq->args, "label");
    qudag_dark_wish wish = {.size = sizeof(wish), .choose_network = true};
    char addr[QUDAG_DARK_TEXT_MAX], message[120];
    label = label == NULL ? "" : label;
    wish.label = label;
    wish.kind = rec_get_bool(&rq->args, "direct") ? QUDAG_DARK_DIRECT : QUDAG_DARK_HIDDEN;
    if (strlen(label) > QUDAG_DARK_LABEL_MAX) {
        usage(rq, "a label has at most 32 bytes");
        return;
    }
    if (rules_share_label(label)) {
        usage(rq, "that label is one of those of qudag share, whose keys are destroyed");
        return;
    }
    if (label[0] != 0 && dark_labelled(rq->d->node, label, addr)) {
        (void)snprintf(message, sizeof(message), "this node has an address labelled %s already",
                       label);
        request_end(rq, TOOL_USAGE, "QUDAG_EEXISTS", message,
                    "choose another label; qudag dark list shows those in use");
        return;
    }
    if (!dark_network(rq, rec_get_str(&rq->args, "network"), &wish.network)) {
        usage(rq, "the network of an address is main, test or lab");
        return;
    }
    qudag_err err = qudag_dark_create_with(rq->d->node, &wish, addr);
    if (err == QUDAG_OK) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_str(r, "address", addr);
        rec_str(r, "label", label);
        rec_str(r, "kind", report_dark_kind(wish.kind));
        request_send(rq);
    }
    if (err == QUDAG_EINVAL) {
        bool lab = rq->d->conf.v[CONF_LAB].num != 0;
        bool elsewhere = wish.network == (lab ? QUDAG_DARK_MAIN : QUDAG_DARK_LAB);
        usage(rq, !elsewhere ? "a label is printable UTF-8 text"
                  : lab      ? "in a lab, addresses are of the network lab or test"
                             : "outside a lab, addresses are of the network main or test");
        return;
    }
    request_end_err(rq, err, err == QUDAG_OK ? "" : "cannot create a dark address");
}

const char *command_address(struct request *rq, char out[QUDAG_DARK_TEXT_MAX])
{
    const char *text = rec_get_str(&rq->args, "address");
    char message[256];
    text = text == NULL ? "" : text;
    if (text[0] != 0 && dark_labelled(rq->d->node, text, out)) {
        return out;
    }
    text = proxy_address(rq, text);
    if (text == NULL) {
        return NULL;
    }
    qudag_err err = qudag_dark_check(text);
    if (err == QUDAG_OK || err == QUDAG_EUNSUPPORTED) {
        return text;
    }
    if (err == QUDAG_ECHECKSUM) {
        request_end_err(rq, err, text);
        return NULL;
    }
    (void)snprintf(message, sizeof(message),
                   "%.100s is neither a dark address nor a label of an address of this node", text);
    request_end(rq, TOOL_USAGE, qudag_err_name(err), message,
                "qudag dark list shows addresses and labels");
    return NULL;
}

RUN(dark_list)
{
    report_dark(rq, NULL);
}

RUN(dark_show)
{
    char own[QUDAG_DARK_TEXT_MAX];
    const char *addr = command_address(rq, own);
    if (addr != NULL && !report_dark(rq, addr)) {
        request_end(rq, TOOL_NOT_FOUND, "QUDAG_ENOTFOUND", "this node does not own that address",
                    "qudag dark list shows those it owns");
    }
}

/* An address that is well formed and yet not supported belongs to another network. */
static void dark_end(struct request *rq, qudag_err err, const char *what)
{
    const char *text = rec_get_str(&rq->args, "address");
    if (err == QUDAG_EUNSUPPORTED && text != NULL && qudag_dark_check(text) == QUDAG_OK) {
        request_end(rq, TOOL_USAGE, qudag_err_name(err), DARK_OTHER_NETWORK,
                    DARK_OTHER_NETWORK_HINT);
        return;
    }
    if (err == QUDAG_ENOTFOUND && strcmp(rq->cmd->name, "dark.resolve") != 0) {
        request_end(rq, TOOL_NOT_FOUND, qudag_err_name(err), "this node does not own that address",
                    "qudag dark list shows those it owns");
        return;
    }
    request_end_err(rq, err, what);
}

RUN(dark_publish)
{
    char own[QUDAG_DARK_TEXT_MAX];
    const char *addr = command_address(rq, own);
    qudag_err err = addr == NULL ? QUDAG_OK : qudag_dark_publish(rq->d->node, addr, &rq->op);
    if (err != QUDAG_OK) {
        dark_end(rq, err, addr);
    }
}

static bool announces(const qudag_node *n)
{
    char addr[QUDAG_ADDR_TEXT_MAX];
    size_t it = 0;
    return qudag_node_announced_next(n, &it, addr);
}

/* Whether |text|, an own address or its label, is of kind direct. */
static bool dark_is_direct(const qudag_node *n, const char *text)
{
    qudag_dark_info info = QUDAG_INIT(qudag_dark_info);
    for (size_t it = 0; qudag_dark_next(n, &it, &info);) {
        if (text != NULL && (strcmp(info.addr, text) == 0 || strcmp(info.label, text) == 0)) {
            return info.kind == QUDAG_DARK_DIRECT;
        }
    }
    return false;
}

DONE(dark_publish)
{
    if (err == QUDAG_OK) {
        cost_row(rq, res);
        request_send(rq);
    } else if (err == QUDAG_EUNREACHABLE && !announces(rq->d->node) &&
               dark_is_direct(rq->d->node, rec_get_str(&rq->args, "address"))) {
        request_end(
            rq, TOOL_REFUSED, qudag_err_name(err),
            "the address was not published: this node has no address that others can reach, "
            "so nobody could call it",
            "[node] announce names one, as of a forwarded port; publish it again then; a test "
            "network on private addresses is a lab: qudag up --lab; an address of the hidden kind "
            "needs none");
        return;
    }
    request_end_err(rq, err, err == QUDAG_OK ? "" : "the address was not published");
}

RUN(dark_forget)
{
    char own[QUDAG_DARK_TEXT_MAX];
    const char *addr = command_address(rq, own);
    qudag_err err = addr == NULL ? QUDAG_OK : qudag_dark_forget(rq->d->node, addr, &rq->op);
    if (err != QUDAG_OK) {
        dark_end(rq, err, addr);
    }
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
    char own[QUDAG_DARK_TEXT_MAX];
    const char *addr = command_address(rq, own);
    qudag_err err = addr == NULL ? QUDAG_OK : qudag_dark_resolve(rq->d->node, addr, &rq->op);
    if (err != QUDAG_OK) {
        dark_end(rq, err, addr);
    }
}

DONE(dark_resolve)
{
    if (err == QUDAG_OK) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_str(r, "address", rec_get_str(&rq->args, "address"));
        rec_str(r, "kind", report_dark_kind(res->hidden ? QUDAG_DARK_HIDDEN : QUDAG_DARK_DIRECT));
        rec_str(r, "service", res->addrs_n > 0 ? res->addrs[0] : NULL);
        rec_bool(r, "cached", res->cached);
        rec_int(r, "took_ns", (int64_t)res->took);
        request_send(rq);
    }
    if (err == QUDAG_EUNSUPPORTED) { /* not of the address: of its record */
        request_end(rq, exit_of(err), qudag_err_name(err), res->text, "");
        return;
    }
    dark_end(rq, err, err == QUDAG_OK ? "" : "the address was not resolved");
}

static bool ends_watch(struct request *rq, qudag_phase p)
{
    bool patient =
        rec_get_bool(&rq->args, "until_ready"); /* a failed attempt is followed by others */
    return p == QUDAG_PHASE_READY || (p == QUDAG_PHASE_FAILED && !patient) ||
           (p == QUDAG_PHASE_START && rq->d->conf.v[CONF_BOOTSTRAP].n == 0);
}

static void phase_row(struct request *rq, const struct phase_note *p)
{
    report_phase(request_rec(rq, REC_PROGRESS), rq->d, p);
    request_send(rq);
}

static void end_watch(struct request *rq, const struct phase_note *p)
{
    rq->watching = false;
    if (p->phase == QUDAG_PHASE_FAILED) {
        request_end(rq, TOOL_UNREACHABLE, qudag_err_name(p->err), qudag_strerror(p->err),
                    "check [node] bootstrap and that UDP gets through; the daemon keeps trying");
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
    {"status", report_status, NULL, false},
    {"small-network", report_accept_small_network, NULL, false},
    {"peers", peers_report, NULL, false},
    {"peer.protect", peers_protect, NULL, false},
    {"peer.unprotect", peers_unprotect, NULL, false},
    {"peer.tag", peers_tag, NULL, false},
    {"peer.untag", peers_untag, NULL, false},
    {"peer.keep", peers_keep, NULL, false},
    {"peer.release", peers_release, NULL, false},
    {"peer.retry", peers_retry, NULL, false},
    {"peers.tries", peers_tries, NULL, false},
    {"peer.reserve", peers_reserve, NULL, false},
    {"peer.unreserve", peers_unreserve, NULL, false},
    {"peers.places", peers_places, NULL, false},
    {"peer.allow", peers_allow, NULL, false},
    {"peer.disallow", peers_disallow, NULL, false},
    {"peers.allowed", peers_allowed, NULL, false},
    {"relays", report_relays, NULL, false},
    {"stats", report_stats, NULL, false},
    {"metrics", report_metrics, NULL, false},
    {"connect", reach_connect, reach_connect_done, true},
    {"ping", reach_ping, reach_ping_done, true},
    {"config", report_config, NULL, false},
    {"limits", report_limits, NULL, false},
    {"log", logctl_list, NULL, false},
    {"log.level", logctl_level, NULL, false},
    {"keys", report_keys, NULL, false},
    {"key.rotate", report_rotate, NULL, false},
    {"dht.put", run_dht_put, done_dht_put, true},
    {"dht.get", run_dht_get, done_dht_get, true},
    {"dht.forget", run_dht_forget, done_dht_forget, true},
    {"dht.unprovide", run_dht_unprovide, done_dht_forget, true},
    {"dht.published", report_published, NULL, false},
    {"dht.store", report_store, NULL, false},
    {"dht.find", run_dht_find, done_dht_find, true},
    {"dht.closest", run_dht_closest, done_peers, true},
    {"dht.provide", run_dht_provide, done_dht_put, true},
    {"dht.providers", run_dht_providers, done_peers, true},
    {"dht.records", report_records, NULL, false},
    {"dht.table", report_table, NULL, false},
    {"circuit.build", run_circuit_build, done_circuit_build, true},
    {"circuit.list", report_circuits, NULL, false},
    {"circuit.close", run_circuit_close, NULL, false},
    {"dark.new", run_dark_new, NULL, false},
    {"dark.list", run_dark_list, NULL, false},
    {"dark.show", run_dark_show, NULL, false},
    {"dark.publish", run_dark_publish, done_dark_publish, true},
    {"dark.forget", run_dark_forget, done_dark_forget, true},
    {"dark.resolve", run_dark_resolve, done_dark_resolve, true},
    {"dark.client.add", clients_add, NULL, false},
    {"dark.client.list", clients_list, NULL, false},
    {"dark.client.remove", clients_remove, NULL, false},
    {"dark.authorize", clients_authorize, NULL, false},
    {"expose.start", services_start, NULL, false},
    {"expose.list", services_list, NULL, false},
    {"expose.status", services_status, NULL, false},
    {"expose.remove", services_remove, NULL, false},
    {"share", share_start, NULL, false},
    {"proxy", proxy_report, NULL, false},
    {"name.add", proxy_name_add, NULL, false},
    {"name.list", proxy_name_list, NULL, false},
    {"name.remove", proxy_name_remove, NULL, false},
    {"send", transfer_send, NULL, true},
    {"inbox", transfer_inbox, NULL, false},
    {"watch", run_watch, NULL, true},
    {"stop", stop_run, NULL, false},
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
