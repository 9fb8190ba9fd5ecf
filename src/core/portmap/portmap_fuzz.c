/*
 * portmap_fuzz.c - ports under answers, gateways and a clock taken from the input.
 *
 * What must hold: what is mapped has an address that is worth something and a time at which it is renewed; who waits
 * has a round; nothing is sent but to the gateway; reports of MAPPED and LOST take turns for each port.
 */
#include "base/assert.h"
#include "base/rd.h"
#include "core/portmap/portmap.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bed {
    struct portmap *p;
    struct acts out;
    tstamp now;
    struct netaddr gateway[2], internal[2];
    bool has[2];
    uint64_t upnp;
    uint8_t nonce[2][2][PCP_NONCE_LEN];
    bool mapped[2][2];
};

static void sent(struct bed *b, const struct portmap_send *s)
{
    ASSERT(netaddr_same_ip(&s->to, &b->gateway[s->to.family == 6]) && s->to.port == PCP_PORT);
    ASSERT(s->len >= 2 && s->len <= PCP_WRITE_MAX);
    if (s->len == 60) {
        memcpy(b->nonce[s->to.family == 6][s->bytes[36] == PCP_TCP], s->bytes + 24, PCP_NONCE_LEN);
    }
}

static void carry_out(struct bed *b)
{
    for (size_t i = 0; i < b->out.n; i++) {
        const struct act *a = &b->out.v[i];
        if (a->kind == PORTMAP_UP_SEND) {
            sent(b, a->ptr);
        } else if (a->kind == PORTMAP_UP_UPNP) {
            b->upnp = ((const struct portmap_upnp *)a->ptr)->id;
        } else if (a->kind != PORTMAP_UP_FAILED) {
            const struct portmap_look *l = a->ptr;
            bool *m = &b->mapped[l->internal.family == 6][l->tcp];
            ASSERT((a->kind == PORTMAP_UP_MAPPED) != *m);
            ASSERT(portmap_rule_external(&l->external) != PORTMAP_USELESS);
            *m = a->kind == PORTMAP_UP_MAPPED;
        }
    }
    b->out.n = b->out.bytes_n = 0;
}

static void sound(const struct bed *b)
{
    struct portmap_look l;

    for (size_t it = 0; portmap_next(b->p, &it, b->now, &l);) {
        ASSERT((l.state == PORTMAP_MAPPED) == (l.external.family != 0));
        ASSERT((l.state == PORTMAP_MAPPED) == (l.method != PORTMAP_NONE));
        ASSERT((l.state == PORTMAP_MAPPED) == b->mapped[l.internal.family == 6][l.tcp]);
        ASSERT(l.life_s <= PORTMAP_LIFE_MAX && l.left_s <= l.life_s);
        ASSERT(l.state == PORTMAP_IDLE || portmap_ops.deadline(b->p) != TSTAMP_NEVER);
        ASSERT(memchr(l.why, 0, sizeof(l.why)) != NULL);
    }
}

/* An answer, most of it from the input; with the nonce that belongs to it when |right|. */
static void receive(struct bed *b, struct rd *r, bool right, bool six, bool tcp)
{
    uint8_t d[72] = {0};
    size_t len = rd_u8(r) % sizeof(d);
    struct netaddr from = b->gateway[six];

    for (size_t i = 0; i < len; i++) {
        d[i] = rd_u8(r);
    }
    if (right) {
        len = len < 60 ? 60 : len;
        d[0] = 2;
        d[1] = 0x81;
        memcpy(d + 24, b->nonce[six][tcp], PCP_NONCE_LEN);
        d[36] = tcp ? PCP_TCP : PCP_UDP;
        d[40] = (uint8_t)(b->internal[six].port >> 8);
        d[41] = (uint8_t)b->internal[six].port;
    }
    from.port = PCP_PORT;
    (void)portmap_recv(b->p, &from, (struct slice){d, len}, b->now, &b->out);
}

static void step(struct bed *b, struct rd *r)
{
    uint8_t what = rd_u8(r), with = rd_u8(r);
    bool six = (with & 1) != 0;
    const bool tcp[4] = {false, true, false, true};
    const struct netaddr internal[4] = {b->internal[0], b->internal[0], b->internal[1],
                                        b->internal[1]};
    struct portmap_upnp_answer a = {.code = (int)(int8_t)with * 6, .external = b->gateway[six]};

    switch (what % 8) {
    case 0:
        b->has[six] = (with & 2) != 0;
        portmap_gateway(b->p, six ? 6 : 4, b->has[six] ? &b->gateway[six] : NULL, &b->internal[six],
                        b->now, &b->out);
        break;
    case 1:
        portmap_want(b->p, internal, tcp, with % 5, b->now, &b->out);
        break;
    case 2:
        b->now += (uint64_t)with * NS_PER_S * (1 + (uint64_t)with % 7);
        break;
    case 3:
        a.code = (with & 2) != 0 ? 0 : with % 5 == 0 ? 725 : with % 5 == 1 ? 718 : a.code;
        a.external.ip[0] = with;
        a.external.port = (uint16_t)(with * 257);
        portmap_upnp_done(b->p, b->upnp, &a, b->now, &b->out);
        break;
    case 4:
        portmap_doubt(b->p, b->now, &b->out);
        break;
    default:
        receive(b, r, what % 8 == 5, six, (with & 2) != 0);
        break;
    }
    carry_out(b);
    if (portmap_ops.deadline(b->p) <= b->now) {
        portmap_ops.tick(b->p, b->now, &b->out);
        carry_out(b);
    }
    sound(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32] = {3};
    static struct act v[128];
    static uint8_t bytes[1 << 16];
    struct rd r = rd_init((struct slice){data, size});
    struct bed b = {.now = 1000 * NS_PER_S};
    struct rng_stream stream;
    struct mem mem;

    mem_init(&mem, NULL, SIZE_MAX / 2);
    rng_stream_init(&stream, seed);
    struct rng rng = rng_of_stream(&stream);
    b.out = (struct acts){.v = v, .cap = ARRAY_LEN(v), .bytes = bytes, .bytes_cap = sizeof(bytes)};
    b.gateway[0] = (struct netaddr){.family = 4, .ip = {192, 168, 1, 1}};
    b.gateway[1] = (struct netaddr){.family = 6, .ip = {0xfe, 0x80, [15] = 1}, .scope = 2};
    b.internal[0] = (struct netaddr){.family = 4, .ip = {192, 168, 1, 2}, .port = 4001};
    b.internal[1] = (struct netaddr){.family = 6, .ip = {0x2a, 0, [15] = 2}, .port = 4001};
    ASSERT(portmap_new(&b.p, &mem, &rng) == QUDAG_OK);
    while (r.left > 0) {
        step(&b, &r);
    }
    portmap_end(b.p, b.now, &b.out);
    carry_out(&b);
    ASSERT(portmap_ops.deadline(b.p) == TSTAMP_NEVER);
    portmap_free(b.p);
    ASSERT(mem.used == 0);
    return 0;
}
