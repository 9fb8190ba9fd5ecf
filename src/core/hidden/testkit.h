/*
 * testkit.h - callers and services under a test that plays their node.  For tests of this folder only.
 *
 * Reports are copied out of the action list as they come; a test answers them when and how it wants.
 */
#ifndef QUDAG_SRC_CORE_HIDDEN_TESTKIT_H
#define QUDAG_SRC_CORE_HIDDEN_TESTKIT_H

#include "core/hidden/service_impl.h"

#include "base/wipe.h"
#include "crypto/init.h"

#include <stdlib.h>
#include <string.h>

#define START INT64_C(1800000000) /* eight in the morning */
#define UPS_MAX 1024
#define SECOND NS_PER_S
#define HOUR (3600 * NS_PER_S)

/* A report; what it is about as well. */
struct up {
    uint16_t kind;
    qudag_err err;
    uint64_t cookie, id;
    struct ref obj;
    bool told; /* it has a |ptr| or |data| */
    union {
        struct hidden_avoid avoid;
        struct hidden_point point;
        struct hidden_introduction introduction;
        struct rend_work_task task;
        struct hidden_need_point need;
        struct hidden_limits limits;
        struct hidden_target target;
        struct hidden_meet meet;
        struct onion_hop relay;
        uint8_t cookie[REND_COOKIE_LEN];
    } is;
};

struct bed {
    struct mem mem;
    struct rng_stream stream;
    struct rng rng;
    struct hidden_calls *calls;
    struct hidden_services *services;
    struct acts acts, sacts; /* of calls, and of services */
    size_t n_up, n_sup;
    uint32_t refs;
    uint8_t addr[REND_ADDR_LEN];
    uint32_t effort;       /* that it asks for; 0: its record has no seed, else |addr| */
    struct rend_keys keys; /* of a service that is only called */
    uint8_t intro[HIDDEN_POINTS][ED25519_PK_LEN];
    tstamp now;
    struct up up[UPS_MAX], sup[UPS_MAX]; /* last: they are large, and not cleared for each case */
};

static struct bed *spare_bed;

static inline void acts_start(struct acts *a)
{
    free(a->v);
    free(a->bytes);
    *a = (struct acts){.v = calloc(ACTS_ROOM, sizeof(struct act)),
                       .cap = ACTS_ROOM,
                       .bytes = malloc(ACTS_BYTES_ROOM),
                       .bytes_cap = ACTS_BYTES_ROOM};
    assert_non_null(a->v);
    assert_non_null(a->bytes);
}

static inline size_t about_len(const struct act *a, bool call)
{
    if (call) {
        return a->kind == HIDDEN_CALL_NEED_R      ? sizeof(struct hidden_avoid)
               : a->kind == HIDDEN_CALL_NEED_I    ? sizeof(struct hidden_point)
               : a->kind == HIDDEN_CALL_INTRODUCE ? sizeof(struct hidden_introduction)
               : a->kind == HIDDEN_CALL_SOLVE     ? sizeof(struct rend_work_task)
                                                  : 0;
    }
    switch (a->kind) {
    case HIDDEN_SERVE_NEED_POINT:
        return sizeof(struct hidden_need_point);
    case HIDDEN_SERVE_ESTABLISH:
        return sizeof(struct hidden_limits);
    case HIDDEN_SERVE_TARGET:
        return sizeof(struct hidden_target);
    case HIDDEN_SERVE_NEED_R:
        return sizeof(struct onion_hop);
    case HIDDEN_SERVE_MEET:
        return sizeof(struct hidden_meet);
    default:
        return 0;
    }
}

static inline void take_list(struct acts *acts, bool call, struct up *up, size_t *n)
{
    assert_false(acts->overflow);
    for (size_t i = 0; i < acts->n; i++) {
        const struct act *a = &acts->v[i];
        assert_true(*n < UPS_MAX);
        assert_int_equal(a->type, ACT_UP);
        struct up *u = &up[(*n)++];
        memset(u, 0, sizeof *u);
        *u = (struct up){
            .kind = a->kind, .err = a->err, .cookie = a->cookie, .id = a->n, .obj = a->obj};
        size_t len = about_len(a, call);
        assert_int_equal(a->ptr != NULL, len > 0);
        u->told = len > 0 || a->data.len > 0;
        if (len > 0) {
            memcpy(&u->is, a->ptr, len);
        } else if (a->data.len > 0) {
            assert_int_equal(a->data.len, REND_COOKIE_LEN);
            memcpy(u->is.cookie, a->data.base, a->data.len);
        }
    }
    acts->n = 0;
    acts->bytes_n = 0;
}

/* Takes over what was reported since. */
static inline void take(struct bed *b)
{
    take_list(&b->acts, true, b->up, &b->n_up);
    take_list(&b->sacts, false, b->sup, &b->n_sup);
}

static inline void forget(struct bed *b)
{
    take(b);
    b->n_up = b->n_sup = 0;
}

static inline uint32_t count_in(const struct up *up, size_t n, uint16_t kind)
{
    uint32_t found = 0;

    for (size_t i = 0; i < n; i++) {
        found += up[i].kind == kind ? 1 : 0;
    }
    return found;
}

/* How many such reports of calls, or of services, came since the last forget(). */
static inline uint32_t n_calls(struct bed *b, enum hidden_call_up kind)
{
    take(b);
    return count_in(b->up, b->n_up, (uint16_t)kind);
}

static inline uint32_t n_serves(struct bed *b, enum hidden_serve_up kind)
{
    take(b);
    return count_in(b->sup, b->n_sup, (uint16_t)kind);
}

static inline struct up last_in(const struct up *up, size_t n, uint16_t kind)
{
    struct up none;

    for (size_t i = n; i > 0; i--) {
        if (up[i - 1].kind == kind) {
            return up[i - 1];
        }
    }
    fail_msg("no report %u", kind);
    memset(&none, 0, sizeof none);
    return none;
}

/* The last one of that kind. */
static inline struct up call_up(struct bed *b, enum hidden_call_up kind)
{
    take(b);
    return last_in(b->up, b->n_up, (uint16_t)kind);
}

static inline struct up serve_up(struct bed *b, enum hidden_serve_up kind)
{
    take(b);
    return last_in(b->sup, b->n_sup, (uint16_t)kind);
}

static inline struct ref new_circuit(struct bed *b)
{
    return (struct ref){++b->refs, 7};
}

/* A relay of that number, with keys that are some. */
static inline void relay_set(struct bed *b, struct onion_hop *h, uint8_t number)
{
    uint8_t pk[32] = {number, 1};

    memset(h, 0, sizeof *h);
    peer_id_from_ed25519(&h->peer, pk);
    h->pq_hash[0] = number;
    memcpy(h->x, b->keys.x, sizeof h->x);
    memcpy(h->k, b->keys.k, sizeof h->k);
}

static inline struct bed *bed_new(uint8_t seed)
{
    struct bed *b = spare_bed != NULL ? spare_bed : malloc(sizeof *b);
    uint8_t s[32] = {seed};

    assert_non_null(b);
    spare_bed = NULL;
    memset(b, 0, offsetof(struct bed, up));
    mem_init(&b->mem, NULL, 0);
    rng_stream_init(&b->stream, s);
    b->rng = rng_of_stream(&b->stream);
    acts_start(&b->acts);
    acts_start(&b->sacts);
    b->now = SECOND;
    const struct hidden_calls_config calls = {&b->mem, b->rng, HIDDEN_WORK_MAX};
    assert_int_equal(hidden_calls_new(&b->calls, &calls), QUDAG_OK);
    const struct hidden_services_config services = {
        .mem = &b->mem, .rng = b->rng, .clock = {.base = START, .at = 0}};
    assert_int_equal(hidden_services_new(&b->services, &services), QUDAG_OK);
    assert_int_equal(rend_keys_make(&b->keys, &b->rng), QUDAG_OK);
    rng_fill(&b->rng, b->addr, sizeof b->addr);
    for (size_t i = 0; i < HIDDEN_POINTS; i++) {
        rng_fill(&b->rng, b->intro[i], sizeof b->intro[i]);
    }
    return b;
}

static inline void bed_free(struct bed *b)
{
    take(b);
    hidden_calls_free(b->calls);
    hidden_services_free(b->services);
    assert_int_equal(b->mem.used, 0);
    rend_keys_fini(&b->keys);
    free(b->acts.v);
    free(b->acts.bytes);
    free(b->sacts.v);
    free(b->sacts.bytes);
    free(spare_bed);
    spare_bed = b;
}

#endif
