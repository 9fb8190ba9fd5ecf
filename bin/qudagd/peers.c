/* peers.c - links as the tool shows them, and what the user says of peers: protections and tags. */
#include "peers.h"

#include "reach.h"
#include "report.h"
#include "rules.h"

#include <string.h>

#define TAG_DEFAULT "user" /* of a protection without a name */

/* "user" or "user=50", for each name of |peer|. */
static void rec_tags(struct rec *r, const qudag_node *n, const qudag_peer_id *peer)
{
    qudag_peer_tag_info tag = QUDAG_INIT(qudag_peer_tag_info);
    for (size_t it = 0; qudag_peer_tag_next(n, peer, &it, &tag);) {
        if (tag.protects) {
            rec_str(r, "protected_by", tag.name);
        }
        if (tag.weighs) {
            rec_strf(r, "tags", "%s=%d", tag.name, (int)tag.weight);
        }
    }
}

const char *peers_state_name(qudag_link_state state)
{
    static const char *const names[] = {"?", "connecting", "handshaking", "up", "closing", "down"};
    return names[(unsigned)state < sizeof(names) / sizeof(names[0]) ? state : 0];
}

static void link_row(struct rec *r, const qudag_node *n, const qudag_link_info *info)
{
    static const char *const pins[] = {"none", "first-use", "known"};
    char agent[128], protocols[1024];
    rec_peer(r, "peer", &info->peer);
    rec_str(r, "state", peers_state_name(info->state));
    rec_str(r, "transport", info->transport);
    rec_str(r, "security", info->security);
    rec_str(r, "address", info->remote);
    rec_str(r, "direction", info->inbound ? "in" : "out");
    rec_bool(r, "relayed", info->relayed);
    rec_bool(r, "limited", info->limited);
    if (info->relayed) {
        rec_peer(r, "relay", &info->relay);
    }
    if (info->state == QUDAG_LINK_UP) {
        reach_path(r, n, &info->peer, info);
    }
    rec_str(r, "group", info->group);
    rec_str(r, "cipher", info->cipher);
    rec_str(r, "signature_local", info->sig_local);
    rec_str(r, "signature_remote", info->sig_remote);
    rec_bool(r, "pq_kex", info->pq_kex);
    rec_bool(r, "pq_auth", info->pq_auth);
    rec_bool(r, "pq", info->pq_kex && info->pq_auth);
    rec_str(r, "pin", (unsigned)info->pin < 3 ? pins[info->pin] : "?");
    rec_int(r, "key_changes", info->key_changes);
    rec_str(r, "standing", qudag_standing_name(info->standing));
    rec_int(r, "value", info->value);
    rec_bool(r, "protected", info->standing == QUDAG_STANDING_PROTECTED);
    rec_int(r, "age_ns", (int64_t)info->since);
    rec_int(r, "rtt_ns", (int64_t)info->rtt);
    rec_int(r, "handshake_ns", (int64_t)info->handshake);
    rec_int(r, "bytes_in", (int64_t)info->bytes_in);
    rec_int(r, "bytes_out", (int64_t)info->bytes_out);
    rec_int(r, "streams", info->streams);
    rec_tags(r, n, &info->peer);
    if (qudag_peer_agent(n, &info->peer, agent, sizeof(agent), protocols, sizeof(protocols)) ==
        QUDAG_OK) {
        text_tame(agent); /* a peer chose it */
        rec_str(r, "agent", agent);
    }
}

/* A kept peer without a link. */
static void waiting_row(struct rec *r, const qudag_node *n, const qudag_kept *k)
{
    bool dialled = k->state == QUDAG_KEPT_DIALLED;
    rec_peer(r, "peer", &k->peer);
    rec_str(r, "state", dialled ? "connecting" : "waiting");
    rec_bool(r, "kept", true);
    if (!dialled) {
        rec_int(r, "next_try_ns", (int64_t)k->next_try);
    }
    rec_int(r, "failures", k->failures);
    if (k->err != QUDAG_OK) {
        rec_str(r, "error", qudag_err_name(k->err));
    }
    rec_tags(r, n, &k->peer);
}

static void rec_kept(struct request *rq, const qudag_kept *k)
{
    struct rec *r = request_rec(rq, REC_ROW);
    if (k->state == QUDAG_KEPT_LINKED) {
        rec_peer(r, "peer", &k->peer);
        rec_str(r, "state", "up");
        rec_bool(r, "kept", true);
    } else {
        waiting_row(r, rq->d->node, k);
    }
    request_send(rq);
}

void peers_tries(struct request *rq)
{
    qudag_kept kept = QUDAG_INIT(qudag_kept);
    qudag_breaker b = QUDAG_INIT(qudag_breaker);
    for (size_t it = 0; qudag_kept_next(rq->d->node, &it, &kept);) {
        rec_kept(rq, &kept);
    }
    for (size_t it = 0; qudag_breaker_next(rq->d->node, &it, &b);) {
        struct rec *r = request_rec(rq, REC_ROW);
        if (b.network[0] != 0) {
            rec_str(r, "network", b.network);
        } else {
            rec_peer(r, "peer", &b.peer);
        }
        rec_str(r, "state", b.half_open ? "half-open" : "open");
        rec_int(r, "next_try_ns", (int64_t)b.next_try);
        rec_int(r, "failures", b.failures);
        rec_str(r, "error", qudag_err_name(b.err));
        request_send(rq);
    }
    request_end_err(rq, QUDAG_OK, "");
}

void peers_places(struct request *rq)
{
    qudag_place p = QUDAG_INIT(qudag_place);
    for (size_t it = 0; qudag_place_next(rq->d->node, &it, &p);) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_peer(r, "relay", &p.relay);
        rec_str(r, "state", p.left > 0 ? "held" : p.next_try > 0 ? "waiting" : "asked for");
        rec_int(r, "next_try_ns", (int64_t)p.next_try);
        if (p.left > 0) { /* only then is anything known of it */
            rec_str(r, "address", p.addr);
            rec_int(r, "left_ns", (int64_t)p.left);
        }
        if (p.limit_bytes > 0) {
            rec_int(r, "limit_bytes", (int64_t)p.limit_bytes);
        }
        if (p.limit_time > 0) {
            rec_int(r, "limit_ns", (int64_t)p.limit_time);
        }
        rec_bool(r, "chosen", p.chosen);
        if (p.rtt > 0) {
            rec_int(r, "rtt_ns", (int64_t)p.rtt);
        }
        rec_int(r, "circuits", (int64_t)p.circuits);
        rec_int(r, "bytes_in", (int64_t)p.bytes_in);
        rec_int(r, "bytes_out", (int64_t)p.bytes_out);
        rec_int(r, "failures", p.failures);
        if (p.err != QUDAG_OK) {
            rec_str(r, "error", qudag_err_name(p.err));
            rec_str(r, "why", rules_place_why((int)p.err));
        }
        request_send(rq);
    }
    request_end_err(rq, QUDAG_OK, "");
}

const char *peers_relayed_hint(const qudag_node *n, const char *to, qudag_err err)
{
    char relay[QUDAG_ADDR_TEXT_MAX], why[160];
    qudag_multiaddr a = QUDAG_INIT(qudag_multiaddr);
    qudag_link_info l = QUDAG_INIT(qudag_link_info);
    const char *through = to == NULL ? NULL : strstr(to, "/p2p-circuit");
    bool linked = false;
    if (through == NULL || (size_t)(through - to) >= sizeof(relay)) {
        return NULL;
    }
    (void)snprintf(relay, sizeof(relay), "%.*s", (int)(through - to), to);
    if (qudag_multiaddr_parse(&a, relay, QUDAG_ADDR_DIAL, why, sizeof(why)) != QUDAG_OK) {
        return NULL;
    }
    for (size_t it = 0; !linked && qudag_link_next(n, &it, &l);) {
        linked = l.state == QUDAG_LINK_UP && l.peer.len == a.peer.len &&
                 memcmp(l.peer.bytes, a.peer.bytes, a.peer.len) == 0;
    }
    return rules_relayed_hint((int)err, linked);
}

static bool is_linked(const qudag_node *n, const qudag_peer_id *peer)
{
    qudag_link_info info = QUDAG_INIT(qudag_link_info);
    for (size_t it = 0; qudag_link_next(n, &it, &info);) {
        if (info.peer.len == peer->len && memcmp(info.peer.bytes, peer->bytes, peer->len) == 0) {
            return true;
        }
    }
    return false;
}

void peers_report(struct request *rq)
{
    qudag_link_info info = QUDAG_INIT(qudag_link_info);
    qudag_kept kept = QUDAG_INIT(qudag_kept);
    for (size_t it = 0; qudag_link_next(rq->d->node, &it, &info);) {
        link_row(request_rec(rq, REC_ROW), rq->d->node, &info);
        request_send(rq);
    }
    for (size_t it = 0; qudag_kept_next(rq->d->node, &it, &kept);) {
        if (!is_linked(rq->d->node, &kept.peer)) { /* its dials are rows of their own */
            waiting_row(request_rec(rq, REC_ROW), rq->d->node, &kept);
            request_send(rq);
        }
    }
    request_end_err(rq, QUDAG_OK, "");
}

static void end(struct request *rq, qudag_err err, const char *name)
{
    char message[240];
    switch (err) {
    case QUDAG_OK: {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_peer(r, "peer", &rq->peer);
        rec_tags(r, rq->d->node, &rq->peer);
        request_send(rq);
        request_end_err(rq, err, "");
        return;
    }
    case QUDAG_EINVAL:
        (void)snprintf(message, sizeof(message),
                       "a name has 1 to 31 printable characters without spaces, a weight is "
                       "-%d to %d; this is %.60s",
                       QUDAG_TAG_WEIGHT_MAX, QUDAG_TAG_WEIGHT_MAX, name);
        break;
    case QUDAG_ELIMIT:
        (void)snprintf(message, sizeof(message),
                       "a peer has at most 16 names, and 1024 peers have some");
        break;
    case QUDAG_ENOTFOUND:
        (void)snprintf(message, sizeof(message), "the peer has nothing named %.60s", name);
        break;
    default:
        request_end_err(rq, err, name);
        return;
    }
    request_end(rq, exit_of(err), qudag_err_name(err), message,
                "qudag peers --json shows the names of linked peers; qudag help peer");
}

static const char *name_of(const struct request *rq)
{
    const char *name = rec_get_str(&rq->args, "name");
    return name == NULL ? TAG_DEFAULT : name;
}

void peers_protect(struct request *rq)
{
    const char *name = name_of(rq);
    if (request_peer(rq, rec_get_str(&rq->args, "peer"))) {
        end(rq, qudag_peer_protect(rq->d->node, &rq->peer, name), name);
    }
}

void peers_unprotect(struct request *rq)
{
    const char *name = name_of(rq);
    if (request_peer(rq, rec_get_str(&rq->args, "peer"))) {
        end(rq, qudag_peer_unprotect(rq->d->node, &rq->peer, name), name);
    }
}

void peers_tag(struct request *rq)
{
    const char *name = name_of(rq);
    int64_t weight = rec_get_int(&rq->args, "weight", 0);
    if (request_peer(rq, rec_get_str(&rq->args, "peer"))) {
        bool fits = weight >= -QUDAG_TAG_WEIGHT_MAX && weight <= QUDAG_TAG_WEIGHT_MAX;
        end(rq, fits ? qudag_peer_tag(rq->d->node, &rq->peer, name, (int32_t)weight) : QUDAG_EINVAL,
            name);
    }
}

void peers_untag(struct request *rq)
{
    const char *name = name_of(rq);
    if (request_peer(rq, rec_get_str(&rq->args, "peer"))) {
        end(rq, qudag_peer_untag(rq->d->node, &rq->peer, name), name);
    }
}

static void end_keep(struct request *rq, qudag_err err)
{
    switch (err) {
    case QUDAG_OK: {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_peer(r, "peer", &rq->peer);
        request_send(rq);
        request_end_err(rq, err, "");
        return;
    }
    case QUDAG_EINVAL:
        request_end(rq, exit_of(err), qudag_err_name(err), "this is the peer id of the node itself",
                    "");
        return;
    case QUDAG_ELIMIT:
        request_end(rq, exit_of(err), qudag_err_name(err), "as many peers as can be are kept",
                    "qudag peers --tries lists them; qudag peer release PEER lets one go");
        return;
    case QUDAG_EUNSUPPORTED: /* request_peer() took it: a relayed address */
        request_end(rq, TOOL_USAGE, qudag_err_name(err),
                    "an address through a circuit relay keeps no peer and no place",
                    "give the peer id, or an address of the peer itself");
        return;
    case QUDAG_ENOTFOUND:
        request_end(rq, exit_of(err), qudag_err_name(err), "this peer is not kept",
                    "qudag peers --tries lists those that are");
        return;
    default:
        request_end_err(rq, err, "");
        return;
    }
}

void peers_keep(struct request *rq)
{
    const char *text = rec_get_str(&rq->args, "peer");
    if (request_peer(rq, text)) {
        end_keep(rq, qudag_peer_keep(rq->d->node, text));
    }
}

void peers_release(struct request *rq)
{
    if (request_peer(rq, rec_get_str(&rq->args, "peer"))) {
        end_keep(rq, qudag_peer_release(rq->d->node, &rq->peer));
    }
}

void peers_retry(struct request *rq)
{
    const char *text = rec_get_str(&rq->args, "peer");
    if (text == NULL) {
        request_end_err(rq, qudag_peer_retry(rq->d->node, NULL), "");
    } else if (request_peer(rq, text)) {
        end_keep(rq, qudag_peer_retry(rq->d->node, &rq->peer));
    }
}

static void end_place(struct request *rq, qudag_err err)
{
    if (err == QUDAG_ELIMIT || err == QUDAG_ENOTFOUND) {
        request_end(rq, exit_of(err), qudag_err_name(err),
                    err == QUDAG_ELIMIT ? "places are kept at as many relays as can be"
                                        : "no place is kept there",
                    "qudag peers --places lists them");
    } else {
        end_keep(rq, err);
    }
}

void peers_reserve(struct request *rq)
{
    const char *text = rec_get_str(&rq->args, "peer");
    if (request_peer(rq, text)) {
        end_place(rq, qudag_relay_reserve(rq->d->node, text));
    }
}

void peers_unreserve(struct request *rq)
{
    if (request_peer(rq, rec_get_str(&rq->args, "peer"))) {
        end_place(rq, qudag_relay_release(rq->d->node, &rq->peer));
    }
}

/* What came of saying that |rq|'s peer may send. */
static void end_allow(struct request *rq, qudag_err err)
{
    if (err == QUDAG_EINVAL) {
        request_end(rq, TOOL_USAGE, qudag_err_name(err), "this is the peer id of the node itself",
                    "");
    } else if (err == QUDAG_ELIMIT || err == QUDAG_ENOTFOUND) {
        request_end(rq, exit_of(err), qudag_err_name(err),
                    err == QUDAG_ELIMIT ? "as many peers as can be are allowed"
                                        : "this peer is not allowed",
                    "qudag peers --allowed lists those that are");
    } else if (err == QUDAG_OK) {
        rec_peer(request_rec(rq, REC_ROW), "peer", &rq->peer);
        request_send(rq);
        request_end_err(rq, err, "");
    } else {
        request_end_err(rq, err, "the list of allowed peers");
    }
}

void peers_allow(struct request *rq)
{
    if (request_peer(rq, rec_get_str(&rq->args, "peer"))) {
        end_allow(rq, qudag_inbox_allow(rq->d->node, &rq->peer));
    }
}

void peers_disallow(struct request *rq)
{
    if (request_peer(rq, rec_get_str(&rq->args, "peer"))) {
        end_allow(rq, qudag_inbox_disallow(rq->d->node, &rq->peer));
    }
}

/* Whether [inbox] from names it: then it is allowed again at each start. */
static bool is_set(const struct daemon *d, const qudag_peer_id *peer)
{
    const struct conf_value *v = &d->conf.v[CONF_INBOX_FROM];
    qudag_peer_id id;
    for (size_t ix = 0; ix < v->n; ix++) {
        if (qudag_peer_id_parse(&id, v->list[ix]) == QUDAG_OK && id.len == peer->len &&
            memcmp(id.bytes, peer->bytes, id.len) == 0) {
            return true;
        }
    }
    return false;
}

void peers_allowed(struct request *rq)
{
    qudag_peer_id peer;
    for (size_t it = 0; qudag_inbox_allowed_next(rq->d->node, &it, &peer);) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_peer(r, "peer", &peer);
        rec_bool(r, "linked", is_linked(rq->d->node, &peer));
        rec_bool(r, "set", is_set(rq->d, &peer));
        request_send(rq);
    }
    request_end_err(rq, QUDAG_OK, "");
}
