/* carrier.c - operations on upgraded links, by the owner of their carrier. */
#include "upgrade/carrier.h"

#define DROP_CHUNK 1024

static struct upgrade *of(void *owner)
{
    return ((struct upgrade_carrier *)owner)->up;
}

static qudag_err op_open(void *owner, struct ref link, uint64_t user, const char *proto,
                         int64_t *sid)
{
    return upgrade_link_ops.open(of(owner), link, user, proto, sid);
}

static void op_set_user(void *owner, struct ref link, int64_t sid, uint64_t user)
{
    upgrade_link_ops.set_user(of(owner), link, sid, user);
}

static qudag_err op_write(void *owner, struct ref link, int64_t sid, struct slice data)
{
    return upgrade_link_ops.write(of(owner), link, sid, data);
}

static void op_consume(void *owner, struct ref link, int64_t sid, size_t n)
{
    upgrade_link_ops.consume(of(owner), link, sid, n);
}

static void op_fin(void *owner, struct ref link, int64_t sid)
{
    upgrade_link_ops.fin(of(owner), link, sid);
}

static void op_reset(void *owner, struct ref link, int64_t sid, qudag_err err)
{
    upgrade_link_ops.reset(of(owner), link, sid, err);
}

static void op_close(void *owner, struct ref link, qudag_err err)
{
    upgrade_link_ops.close(of(owner), link, err);
}

const struct link_ops upgrade_carrier_ops = {.open = op_open,
                                             .set_user = op_set_user,
                                             .write = op_write,
                                             .consume = op_consume,
                                             .fin = op_fin,
                                             .reset = op_reset,
                                             .close = op_close};

bool upgrade_carrier_cancel(void *owner, struct ref link)
{
    return upgrade_cancel(of(owner), link);
}

void upgrade_carrier_probe(void *owner, struct ref link, tstamp now)
{
    upgrade_probe(of(owner), link, now);
}

void upgrade_carrier_drop(struct upgrade *u, struct ref link, tstamp now)
{
    uint8_t nowhere[DROP_CHUNK];

    while (upgrade_output(u, link, nowhere, sizeof(nowhere), now) > 0) {
    }
}
