/* reach.c - how this node and its peers are reached, as rows; ping, which shows the path. */
#include "reach.h"

#include "reach_text.h"
#include "report.h"

#include <string.h>

/* ------------------------------------------------------------------ this node */

static void count(struct reach_votes *v, const qudag_reach_addr *a)
{
    bool six = strncmp(a->addr, "/ip6/", 5) == 0;
    uint32_t *yes = six ? &v->yes6 : &v->yes4, *no = six ? &v->no6 : &v->no4;

    *yes = a->confirmed > *yes ? a->confirmed : *yes;
    *no = a->refuted > *no ? a->refuted : *no;
}

static void rec_addrs(struct rec *r, const qudag_node *n, struct reach_votes *v)
{
    qudag_reach_addr a = QUDAG_INIT(qudag_reach_addr);
    char text[REACH_TEXT_LEN];

    for (size_t it = 0; qudag_reach_addr_next(n, &it, &a);) {
        count(v, &a);
        if (!reach_text_shows(&a)) {
            continue;
        }
        reach_text_addr(text, sizeof(text), &a);
        rec_str(r, "evidence", text);
    }
}

static void rec_ports(struct rec *r, const qudag_node *n)
{
    qudag_port p = QUDAG_INIT(qudag_port);
    char text[REACH_TEXT_LEN];
    bool told = false;

    for (size_t it = 0; qudag_port_next(n, &it, &p);) {
        reach_text_port(text, sizeof(text), &p);
        rec_str(r, "ports", text);
        if (p.external[0] == 0 && p.why[0] != 0 && !told) {
            rec_str(r, "port_why", p.why);
            told = true;
        }
    }
}

void reach_status(struct rec *r, const qudag_node *n)
{
    qudag_reach now = QUDAG_INIT(qudag_reach);
    struct reach_votes votes = {0};
    char text[REACH_TEXT_LEN];

    if (qudag_reach_get(n, &now) != QUDAG_OK) {
        return;
    }
    rec_addrs(r, n, &votes);
    reach_text(text, sizeof(text), &now, &votes);
    rec_str(r, "reachability", text);
    rec_bool(r, "reach_wanted", now.wanted);
    rec_str(r, "reach4", qudag_reach_state_name(now.ip4));
    rec_str(r, "reach6", qudag_reach_state_name(now.ip6));
    reach_text_nat(text, sizeof(text), &now, &votes);
    if (text[0] != 0) {
        rec_str(r, "nat", text);
    }
    rec_str(r, "mapping4", qudag_nat_kind_name(now.mapping4));
    rec_str(r, "mapping6", qudag_nat_kind_name(now.mapping6));
    rec_str(r, "filter4", qudag_nat_kind_name(now.filter4));
    rec_str(r, "filter6", qudag_nat_kind_name(now.filter6));
    rec_bool(r, "double_nat", now.double_nat);
    rec_bool(r, "udp_blocked", now.udp_blocked);
    rec_str(r, "port_mapping", qudag_portmap_name(now.port_mapping));
    rec_ports(r, n);
    rec_int(r, "places", now.places);
    rec_bool(r, "places_needed", now.needs_places);
    rec_bool(r, "looked_for", now.named);
}

/* ------------------------------------------------------------------ a peer */

void reach_path(struct rec *r, const qudag_node *n, const qudag_peer_id *peer,
                const qudag_link_info *link)
{
    static const char *const rounds[] = {"plain", "fresh-port", "prediction", "birthday"};
    qudag_path p = QUDAG_INIT(qudag_path);

    if (qudag_path_get(n, peer, &p) != QUDAG_OK) {
        return;
    }
    if (link != NULL && link->relayed && p.kind == QUDAG_PATH_DIRECT) {
        p.kind = QUDAG_PATH_RELAYED; /* it stays beside the direct one for a while */
        p.relay = link->relay;
    }
    if (link != NULL && !link->relayed && p.kind == QUDAG_PATH_RELAYED) {
        rec_str(r, "path_kind", "direct, quiet"); /* what is opened now takes the relay */
        return;
    }
    rec_str(r, "path_kind", reach_path_word(&p));
    if (p.relay.len > 0) {
        rec_peer(r, "through", &p.relay);
    }
    if (p.why[0] != 0) {
        rec_str(r, "path_why", p.why);
    }
    if (p.by == QUDAG_PATH_BY_NOTHING) {
        return;
    }
    rec_str(r, "met_by", p.by == QUDAG_PATH_BY_DCUTR ? "dcutr" : "meeting");
    rec_bool(r, "met_first", p.initiator);
    rec_str(r, "met_round", p.round < 4 ? rounds[p.round] : "?");
    rec_int(r, "met_sent", p.sent);
    rec_int(r, "met_received", p.received);
    rec_int(r, "met_ours", p.ours);
    rec_int(r, "met_theirs", p.theirs);
    if (p.took != 0) {
        rec_int(r, "met_ns", (int64_t)p.took);
    }
    if (p.next_try != 0) {
        rec_int(r, "meet_next_ns", (int64_t)p.next_try);
    }
}

/* ------------------------------------------------------------------ ping, connect */

/* UNKNOWN: as PINGING, but the DHT knows no address of the peer. */
enum { CONNECTING = 1, PINGING, LOOKING, UNKNOWN };

static void wait_for(struct request *rq, qudag_err err, const char *what)
{
    if (err != QUDAG_OK) {
        request_end_err(rq, err, what);
    }
}

static void begin(struct request *rq)
{
    const char *to = rec_get_str(&rq->args, "to");

    if (!request_peer(rq, to)) {
        return;
    }
    rq->step = to[0] == '/' ? CONNECTING : 0;
    wait_for(rq,
             rq->step == CONNECTING ? qudag_connect(rq->d->node, to, &rq->op)
                                    : qudag_ping(rq->d->node, &rq->peer, &rq->op),
             to);
}

/* Whether another step follows on the one that ended. */
static bool goes_on(struct request *rq, qudag_err err, const qudag_result *res)
{
    bool lost = err == QUDAG_EUNREACHABLE && rq->step == 0;

    if (lost && qudag_dht_find_peer(rq->d->node, &rq->peer, &rq->op) == QUDAG_OK) {
        rq->step = LOOKING; /* no address of it is known that leads there: the DHT may know one */
        return true;
    }
    if (rq->step != LOOKING && (err != QUDAG_OK || rq->step != CONNECTING)) {
        return false;
    }
    bool found = rq->step != LOOKING || (err == QUDAG_OK && res->addrs_n > 0);
    rq->step = found ? PINGING : UNKNOWN;
    wait_for(rq, qudag_ping(rq->d->node, &rq->peer, &rq->op), "ping");
    return true;
}

/* Ends with what failed; of a peer that is not found, with what makes it be found. */
static void end(struct request *rq, qudag_err err, const qudag_result *res, const char *what)
{
    const char *to = rec_get_str(&rq->args, "to");
    char message[240];

    if (err != QUDAG_EUNREACHABLE || rq->step != UNKNOWN ||
        qudag_node_phase(rq->d->node) < QUDAG_PHASE_ANNOUNCE) {
        request_end_peer(rq, err, res, what);
        return;
    }
    (void)snprintf(message, sizeof(message), "%.100s is not found: no address of it is known", to);
    request_end(rq, TOOL_UNREACHABLE, qudag_err_name(err), message, REACH_FOUND_HINT);
}

void reach_ping(struct request *rq)
{
    begin(rq);
}

void reach_ping_done(struct request *rq, qudag_err err, const qudag_result *res)
{
    if (goes_on(rq, err, res)) {
        return;
    }
    if (err == QUDAG_OK) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_peer(r, "peer", &rq->peer);
        rec_int(r, "rtt_ns", (int64_t)res->rtt);
        reach_path(r, rq->d->node, &rq->peer, NULL);
        request_send(rq);
    }
    end(rq, err, res, err == QUDAG_OK ? "" : "no answer to the ping");
}

void reach_connect(struct request *rq)
{
    const char *to = rec_get_str(&rq->args, "to");
    qudag_peer_id peer;

    if (to == NULL || to[0] == '/') {
        if (request_peer(rq, to)) {
            wait_for(rq, qudag_connect(rq->d->node, to, &rq->op), to);
        }
        return;
    }
    if (qudag_peer_id_parse(&peer, to) == QUDAG_OK &&
        qudag_peer_retry(rq->d->node, &peer) != QUDAG_OK) { /* now, as with a multiaddr */
        request_end_err(rq, QUDAG_EINVAL, to);
        return;
    }
    begin(rq); /* a ping needs a link, wherever the peer is found */
}

void reach_connect_done(struct request *rq, qudag_err err, const qudag_result *res)
{
    const char *to = rec_get_str(&rq->args, "to");
    char message[256] = "";

    if (to[0] != '/' && goes_on(rq, err, res)) {
        return;
    }
    if (err == QUDAG_OK) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_peer(r, "peer", &rq->peer);
        rec_int(r, "took_ns", (int64_t)(mono_ns() - rq->since_ns));
        reach_path(r, rq->d->node, &rq->peer, NULL);
        request_send(rq);
    } else {
        (void)snprintf(message, sizeof(message), "%.200s", to);
    }
    end(rq, err, res, message);
}
