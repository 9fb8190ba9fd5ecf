/*
 * changes.c - the network before this node: how long its state lives, and what is done when it is another, or was not
 * there for a while; see direct.h.
 */
#include "node/internal.h"

uint64_t node_rule_keepalive(const struct node_keepalive_view *v)
{
    uint64_t ns = v->life == 0 ? NODE_KEEPALIVE_FIRST : v->life / 10 * 7;

    if (!v->behind_nat || !v->wanted) {
        return 0;
    }
    ns = ns < NODE_KEEPALIVE_LEAST ? NODE_KEEPALIVE_LEAST : ns;
    return ns > NODE_KEEPALIVE_MOST ? NODE_KEEPALIVE_MOST : ns;
}

void node_keepalive_review(struct node *n)
{
    bool any = false;

    for (unsigned i = 0; i < 2; i++) {
        const struct reach_family *f = i == 1 ? &n->reach.view.ip6 : &n->reach.view.ip4;
        uint8_t family = i == 1 ? 6 : 4;
        struct node_keepalive_view v = {.behind_nat = f->mapping == REACH_NAT_INDEPENDENT ||
                                                      f->mapping == REACH_NAT_DEPENDENT,
                                        .wanted = n->wants.probe,
                                        .life = node_stun_life(n, family)};
        uint64_t ns = node_rule_keepalive(&v);
        quic_set_plain_keepalive(n->quic, family, ns);
        any = any || ns != 0;
    }
    n->direct.keepalive_at = any ? tstamp_after(n->now, NODE_KEEPALIVE_LOOK) : 0;
    if (!any) {
        n->direct.watch_at = 0;
    } else if (n->direct.watch_at == 0) {
        n->direct.watch_at = tstamp_after(n->now, NODE_WATCH);
    }
}

/* A peer that may be met has used this node lately. */
static bool is_used(const struct node *n, tstamp now)
{
    struct swarm_look look;

    for (size_t it = 0; swarm_link_next(n->swarm, &it, &look, now);) {
        if (look.moved != 0 && now < tstamp_after(look.moved, NODE_WATCH_USED) &&
            (look.info.props & LINK_ANON) == 0 && node_may_meet(n, &look.info.peer)) {
            return true;
        }
    }
    return false;
}

void node_watch(struct node *n, tstamp now)
{
    n->direct.watch_at = tstamp_after(now, NODE_WATCH);
    if (is_used(n, now)) {
        quic_ask_oldest(n->quic, now);
    }
}

void node_path_quiet(struct node *n, tstamp now)
{
    n->news |= NODE_NEWS_PATHS;
    if (now < n->direct.doubt_next) {
        return;
    }
    n->direct.doubt_next = tstamp_after(now, NODE_DOUBT_PAUSE);
    quic_ask_all(n->quic, now);
    n->news |= NODE_NEWS_SILENCE; /* the router may have started again */
}

void node_woke(struct node *n, tstamp now)
{
    n->now = now;
    log_plain(&n->cfg.log, LOG_INFO, "node.woke");
    n->news |= NODE_NEWS_MOVED;
}
