/* testkit.h - one core of this folder under a test that plays its host.  For tests only. */
#ifndef QUDAG_SRC_CORE_REND_TESTKIT_H
#define QUDAG_SRC_CORE_REND_TESTKIT_H

#include "core/rend/table.h"

#include <stdlib.h>
#include <string.h>

static const struct ref circuit = {7, 3}; /* of ours */

struct bed {
    struct mem mem;
    struct rng_stream stream;
    const struct core_ops *ops;
    struct acts acts;
    struct act act_v[ACTS_ROOM];
    uint8_t bytes[ACTS_BYTES_ROOM];
    tstamp now;
};

/* Where a stream of another comes from. */
struct from {
    uint64_t net, via, link;
};

static inline void acts_clear(struct bed *b)
{
    assert_false(b->acts.overflow);
    b->acts = (struct acts){
        .v = b->act_v, .cap = ARRAY_LEN(b->act_v), .bytes = b->bytes, .bytes_cap = sizeof b->bytes};
}

static inline void bed_init(struct bed *b, const struct core_ops *ops)
{
    uint8_t seed[32] = {3};

    memset(b, 0, sizeof *b);
    mem_init(&b->mem, NULL, 0);
    rng_stream_init(&b->stream, seed);
    b->ops = ops;
    acts_clear(b);
}

/* A stream of another, from a circuit of its own unless |from| says which. */
static inline void open_in(struct bed *b, void *core, struct ref strm, const struct from *from)
{
    struct ev ev = {.type = EV_STREAM_OPEN,
                    .inbound = true,
                    .strm = strm,
                    .link = ref_to_u64(strm),
                    .props = LINK_ANON};

    if (from != NULL) {
        ev.net = from->net;
        ev.via = from->via;
        ev.link = from->link;
    }
    b->ops->event(core, &ev, b->now, &b->acts);
}

static inline void data_in(struct bed *b, void *core, struct ref strm, const void *p, size_t len)
{
    struct ev ev = {.type = EV_DATA, .strm = strm, .data = {p, len}};

    b->ops->event(core, &ev, b->now, &b->acts);
}

static inline void event_in(struct bed *b, void *core, enum ev_type type, struct ref strm)
{
    struct ev ev = {.type = type, .strm = strm};

    b->ops->event(core, &ev, b->now, &b->acts);
}

static inline void sent(struct bed *b, void *core, struct ref strm, size_t n)
{
    struct ev ev = {.type = EV_WRITABLE, .strm = strm, .n = n};

    b->ops->event(core, &ev, b->now, &b->acts);
}

/* Our stream that the acts ask for is open; what it writes stands in the acts. */
static inline void open_ours(struct bed *b, void *core, struct ref strm)
{
    assert_int_equal(b->acts.n, 1);
    assert_int_equal(b->act_v[0].type, ACT_OPEN);
    assert_true(ref_eq(b->act_v[0].obj, circuit));
    assert_int_equal(b->act_v[0].need, LINK_ANON);
    struct ev ev = {.type = EV_STREAM_OPEN, .strm = strm, .cookie = b->act_v[0].cookie};
    acts_clear(b);
    b->ops->event(core, &ev, b->now, &b->acts);
}

static const struct act no_act = {.type = ACT_UP};

/* The first act of that type on the stream; &no_act: none. */
static inline const struct act *act_of(const struct bed *b, enum act_type type, struct ref strm)
{
    for (size_t i = 0; i < b->acts.n; i++) {
        const struct act *a = &b->act_v[i];
        if (a->type == type && ref_eq(a->strm, strm)) {
            return a;
        }
    }
    return &no_act;
}

static inline bool has_act(const struct bed *b, enum act_type type, struct ref strm)
{
    return act_of(b, type, strm) != &no_act;
}

static inline bool was_reset(const struct bed *b, struct ref strm, qudag_err why)
{
    const struct act *a = act_of(b, ACT_RESET, strm);

    return a != &no_act && a->err == why;
}

/* The first report of that kind; &no_act, whose kind is 0: none. */
static inline const struct act *report_of(const struct bed *b, uint16_t kind)
{
    for (size_t i = 0; i < b->acts.n; i++) {
        if (b->act_v[i].type == ACT_UP && b->act_v[i].kind == kind) {
            return &b->act_v[i];
        }
    }
    return &no_act;
}

/* Whether the stream got that status; with |fin|: and FIN behind it. */
static inline bool answered(const struct bed *b, struct ref strm, uint8_t status, bool fin)
{
    const struct act *a = act_of(b, ACT_WRITE, strm);

    return a->data.len == 1 && a->data.base[0] == status && has_act(b, ACT_FIN, strm) == fin &&
           !has_act(b, ACT_RESET, strm);
}

/*
 * What came out, as one letter: '-' nothing, 'r' reset, 'u' a report, 'b' reset and report, 'w' bytes, 'f' bytes and
 * FIN, 'e' FIN alone, 'E' FIN and report, 'm' more than that.
 */
static inline char outcome(const struct bed *b)
{
    const struct act *a = b->act_v;

    if (b->acts.n == 0) {
        return '-';
    }
    if (b->acts.n == 1) {
        return a->type == ACT_RESET   ? 'r'
               : a->type == ACT_UP    ? 'u'
               : a->type == ACT_WRITE ? 'w'
               : a->type == ACT_FIN   ? 'e'
                                      : 'm';
    }
    if (b->acts.n == 2 && a[1].type == ACT_UP) {
        return a[0].type == ACT_RESET ? 'b' : a[0].type == ACT_FIN ? 'E' : 'm';
    }
    return b->acts.n == 2 && a[0].type == ACT_WRITE && a[1].type == ACT_FIN ? 'f' : 'm';
}

#endif
