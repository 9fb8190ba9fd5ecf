/* link.c - streams of a link as the swarm knows them (core/link.h). */
#include "core/codes.h"
#include "upgrade/upgrade_int.h"

/* A link that is up and stays so, or a dial that is proven; else NULL. */
static struct upgrade_link *standing(void *owner, struct ref link)
{
    const struct upgrade *u = owner;
    struct upgrade_link *l = upgrade_find(u, link);

    return l != NULL && l->stage == STAGE_STREAMS && (l->up || l->proven) ? l : NULL;
}

static void changed(struct upgrade_link *l)
{
    upgrade_account_sync(l);
    if (yamux_has_output(l->yamux)) {
        upgrade_mark_work(l);
    }
}

static qudag_err op_open(void *owner, struct ref link, uint64_t user, const char *proto,
                         int64_t *sid)
{
    struct upgrade_link *l = standing(owner, link);
    uint32_t id;

    (void)proto;
    if (l == NULL || l->closing) {
        return QUDAG_ESTALE;
    }
    qudag_err err = yamux_open(l->yamux, user, &id);
    if (err == QUDAG_OK) {
        *sid = id;
        upgrade_mark_work(l);
    }
    return err == QUDAG_ECLOSED ? QUDAG_ESTALE : err;
}

static void op_set_user(void *owner, struct ref link, int64_t sid, uint64_t user)
{
    struct upgrade_link *l = standing(owner, link);

    if (l != NULL) {
        yamux_set_user(l->yamux, (uint32_t)sid, user);
    }
}

static qudag_err op_write(void *owner, struct ref link, int64_t sid, struct slice data)
{
    struct upgrade_link *l = standing(owner, link);

    if (l == NULL || l->closing) {
        return QUDAG_ESTALE;
    }
    qudag_err err = upgrade_account_ask(l, RES_BYTES, data.len);
    if (err == QUDAG_OK) {
        err = yamux_write(l->yamux, (uint32_t)sid, data);
    }
    changed(l);
    return err;
}

static void op_consume(void *owner, struct ref link, int64_t sid, size_t n)
{
    struct upgrade_link *l = standing(owner, link);

    if (l != NULL) {
        yamux_consume(l->yamux, (uint32_t)sid, n);
        changed(l);
    }
}

static void op_fin(void *owner, struct ref link, int64_t sid)
{
    struct upgrade_link *l = standing(owner, link);

    if (l != NULL) {
        yamux_fin(l->yamux, (uint32_t)sid);
        changed(l);
    }
}

static void op_reset(void *owner, struct ref link, int64_t sid, qudag_err err)
{
    struct upgrade_link *l = standing(owner, link);

    if (l != NULL) {
        yamux_reset(l->yamux, (uint32_t)sid, (uint32_t)link_code(err));
        changed(l);
        upgrade_mark_busy(l); /* the last stream of one that the peer has left */
    }
}

static void op_close(void *owner, struct ref link, qudag_err err)
{
    const struct upgrade *u = owner;
    struct upgrade_link *l = upgrade_find(u, link);

    if (l != NULL) {
        upgrade_end(l, err == QUDAG_OK ? QUDAG_ECLOSED : err, "closed by this side");
    }
}

const struct link_ops upgrade_link_ops = {
    .open = op_open,
    .set_user = op_set_user,
    .write = op_write,
    .consume = op_consume,
    .fin = op_fin,
    .reset = op_reset,
    .close = op_close,
};
