/*
 * rekey.c - another ML-DSA key for a node that runs (spec/succession.md).
 *
 *   node_rekey() ─▶ statement: to be told to whoever asks        from here on nothing fails
 *               ─▶ sec: certificates of the new key               handshakes under way end with the old one
 *               ─▶ onion: CREATE by either key is answered        for six days, as after a restart
 *               ─▶ swarm: links made anew, a few in a second ─▶ peers ask on them and follow
 *               ─▶ descriptor, records of dark addresses: by the next drain
 *
 * The descriptor names the key to those who have never met us, the links tell those who have.
 */
#include "node/rekey.h"

#include "node/internal.h"
#include "swarm/rekey.h"

#include <string.h>

bool node_rule_rekey(const struct succession *s, const struct identity *now,
                     const struct identity *next, uint64_t newest)
{
    struct peer_id self;

    peer_id_from_ed25519(&self, now->ed_pk);
    return peer_id_eq(&s->peer, &self) &&
           memcmp(now->ed_pk, next->ed_pk, sizeof(now->ed_pk)) == 0 &&
           memcmp(s->from, now->pq_hash, sizeof(s->from)) == 0 &&
           memcmp(s->to, next->pq_hash, sizeof(s->to)) == 0 && s->seq > newest;
}

static qudag_err check(const struct node *n, const struct identity *next, struct slice statement,
                       struct succession *s)
{
    qudag_err err = succession_check(s, statement, node_wall(n, n->now));

    if (err != QUDAG_OK) {
        return err;
    }
    return node_rule_rekey(s, n->cfg.identity, next, successions_newest(&n->successions))
               ? QUDAG_OK
               : QUDAG_EAUTH;
}

qudag_err node_rekey(struct node *n, const struct identity *next, struct slice statement,
                     tstamp now)
{
    struct succession s;

    if (n->closing || n->ending.state != NODE_RUNS) {
        return QUDAG_ESTATE;
    }
    n->now = now;
    qudag_err err = check(n, next, statement, &s);
    if (err == QUDAG_OK) { /* told too early it does no harm: nobody asks who is not in doubt */
        err = successions_own(&n->successions, &s, statement);
    }
    if (err == QUDAG_OK) {
        err = sec_set_identity(n->sec, next, now);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    n->cfg.identity = next;
    relay_links_set_identity(n->through.links, next);
    if (n->tcp != NULL) {
        tcp_set_identity(n->tcp, next);
    }
    if (n->hop != NULL) {
        hop_set_key(n->hop, &next->ed_sk);
    }
    onion_rekey(n->onion, next->pq_hash);
    swarm_rekey(n->swarm, now);
    n->news |= NODE_NEWS_IDENTITY;
    log_event(&n->cfg.log, LOG_INFO, "node.key_replaced", LOG_NUM("sequence", (int64_t)s.seq),
              LOG_NUM("links", swarm_links_old_key(n->swarm)));
    return QUDAG_OK;
}
