/* room.c - see room.h. */
#include "swarm/room.h"

#include "swarm/internal.h"

void swarm_stream_room(const struct swarm *s, struct ref strm, uint64_t queued,
                       struct swarm_stream_room *out)
{
    const struct swarm_stream *st = slots_get(&s->streams, strm);

    *out = (struct swarm_stream_room){0};
    if (st == NULL || st->link->dead) {
        return;
    }
    const struct swarm_link *l = st->link;
    const struct link_ops *ops = l->tp->t->ops;
    out->ease = resources_ease(s->resources, &l->account, RES_BYTES);
    out->left = resources_left(s->resources, &l->account, RES_BYTES);
    out->held =
        ops->held == NULL ? queued : st->reserved + ops->held(l->tp->owner, l->ref, st->sid);
}

qudag_err swarm_stream_reserve(struct swarm *s, struct ref strm, size_t n)
{
    struct swarm_stream *st = slots_get(&s->streams, strm);
    struct res_ask ask = {RES_BYTES, (uint32_t)n, RES_PROTOS, 0};
    struct res_refusal why;

    if (st == NULL || st->link->dead || n > UINT32_MAX - st->reserved) {
        return QUDAG_ESTALE;
    }
    qudag_err err = resources_ask(s->resources, &st->link->account, &ask, &why);
    st->reserved += err == QUDAG_OK ? ask.n : 0;
    return err;
}
