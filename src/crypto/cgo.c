/*
 * cgo.c - Counter Galois Onion: what relays and clients do to a cell.
 *
 *   client                     relay 1                relay 2
 *     dec_1(dec_2(X)) ---------> enc_1 --------------> enc_2  = N_2: recognised, Update
 *     = N_2: Update <- dec_2 <- dec_1 <--- enc_1 <----- enc_2(N_2 | payload), Update
 *
 * Relays always encrypt and clients always decrypt, so each change made on the way garbles the whole
 * cell, and by the chained tags (T') every cell after it.
 */
#include "crypto/cgo.h"

#include "base/assert.h"
#include "base/wipe.h"
#include "crypto/cgo_impl.h"

#include <string.h>

_Static_assert((CGO_BODY_MAX - CGO_TAG_LEN) / 16 + CGO_AES256_KEY_MATERIAL / 16 <= 256,
               "both streams must fit under the last byte of the counter");

static const struct cgo_impl *const impls[] = {
#if defined(__x86_64__)
    &cgo_impl_x86_avx512,
    &cgo_impl_x86_avx2,
    &cgo_impl_x86,
#endif
    &cgo_impl_portable,
};

const struct cgo_impl *cgo_impl_at(size_t ix)
{
    return ix < ARRAY_LEN(impls) ? impls[ix] : NULL;
}

static const struct cgo_impl *fastest(void)
{
    size_t ix = 0;
    while (!impls[ix]->usable()) {
        ix++;
        ASSERT(ix < ARRAY_LEN(impls));
    }
    return impls[ix];
}

const char *cgo_implementation(void)
{
    return fastest()->name;
}

size_t cgo_key_material(const struct cgo_params *p)
{
    return 2 * ((size_t)p->key_len + 16) + CGO_TAG_LEN;
}

static size_t blocks(size_t len)
{
    return (len + 15) / 16;
}

/* The and-mask that clears enough bits for |n| counters to follow without a carry. */
static uint8_t counter_mask(size_t n)
{
    unsigned span = 1;
    while (span < n) {
        span *= 2;
    }
    return (uint8_t) ~(span - 1);
}

void cgo_init_impl(struct cgo *c, const struct cgo_params *p, const uint8_t *keys,
                   const struct cgo_impl *impl)
{
    ASSERT(p->key_len == 16 || p->key_len == 32);
    ASSERT(p->body_len >= 32);
    ASSERT(p->body_len <= CGO_BODY_MAX);

    struct cgo_state *s = cgo_state_of(c);
    memset(c, 0, sizeof(*c));
    s->impl = impl;
    s->key_len = p->key_len;
    s->rest_len = (uint16_t)(p->body_len - CGO_TAG_LEN);
    s->rest_blocks = (uint8_t)blocks(s->rest_len);
    /* SPEC: cell-cipher 2.2, enough bits are cleared for both streams. */
    s->counter_keep = counter_mask(s->rest_blocks + blocks(cgo_key_material(p)));
    memcpy(s->n, keys + cgo_key_material(p) - CGO_TAG_LEN, CGO_TAG_LEN);
    s->dead = !impl->set_keys(s, keys);
}

void cgo_init(struct cgo *c, const struct cgo_params *p, const uint8_t *keys)
{
    cgo_init_impl(c, p, keys, fastest());
}

void cgo_fini(struct cgo *c)
{
    struct cgo_state *s = cgo_state_of(c);
    if (s->impl != NULL && s->impl->release != NULL) {
        s->impl->release(s);
    }
    wipe(c, sizeof(*c));
}

/*
 * Counts a cell.  A dead object lets nothing through: neither the plain body nor a tag that could be
 * recognised.
 *
 * SPEC: cell-cipher 3.4, a key serves at most 2^32 - 1 cells.
 */
static bool alive(struct cgo_state *s, uint8_t *body)
{
    s->dead = s->dead || s->cells == UINT32_MAX;
    s->cells += s->dead ? 0 : 1;
    if (s->dead) {
        wipe(body, (size_t)s->rest_len + CGO_TAG_LEN);
    }
    return !s->dead;
}

/* SPEC: cell-cipher 3.2, 3.3, new keys and N from stream 1; the old ones are overwritten. */
static void update(struct cgo_state *s)
{
    uint8_t stream[CGO_KEYS_MAX + CGO_TAG_LEN];
    size_t keys_len = 2 * ((size_t)s->key_len + 16);
    if (!s->dead) {
        s->impl->update_stream(s, stream);
        memcpy(s->n, stream + keys_len, CGO_TAG_LEN);
        s->dead = !s->impl->set_keys(s, stream) || s->dead;
        s->cells = 0;
        wipe(stream, sizeof(stream));
    }
}

/* SPEC: cell-cipher 4.1, encrypt under T', then chain. */
void cgo_relay_backward(struct cgo *c, uint8_t cmd, uint8_t *body)
{
    struct cgo_state *s = cgo_state_of(c);
    if (!alive(s, body)) {
        return;
    }
    s->impl->enc(s, cmd, body);
    memcpy(s->t_prime, body, CGO_TAG_LEN);
}

/* SPEC: cell-cipher 4.2, recognised when the tag is N. */
bool cgo_relay_forward(struct cgo *c, uint8_t cmd, uint8_t *body, uint8_t ack[CGO_TAG_LEN])
{
    struct cgo_state *s = cgo_state_of(c);
    uint8_t t[CGO_TAG_LEN];
    memcpy(t, body, CGO_TAG_LEN);
    cgo_relay_backward(c, cmd, body);
    if (s->dead || !ct_equal(body, s->n, CGO_TAG_LEN)) {
        memset(ack, 0, CGO_TAG_LEN);
        return false;
    }
    memcpy(ack, t, CGO_TAG_LEN);
    update(s);
    return true;
}

/* SPEC: cell-cipher 4.3, the own tag goes in and the sent one becomes N. */
void cgo_relay_originate(struct cgo *c, uint8_t cmd, uint8_t *body, uint8_t ack[CGO_TAG_LEN])
{
    struct cgo_state *s = cgo_state_of(c);
    memcpy(body, s->n, CGO_TAG_LEN);
    cgo_relay_backward(c, cmd, body);
    memcpy(s->n, body, CGO_TAG_LEN);
    memcpy(ack, body, CGO_TAG_LEN);
    update(s);
}

/* SPEC: cell-cipher 5.1, chains on the tag before its own transformation. */
static void client_peel(struct cgo_state *s, uint8_t cmd, uint8_t *body)
{
    uint8_t t[CGO_TAG_LEN];
    if (!alive(s, body)) {
        return;
    }
    memcpy(t, body, CGO_TAG_LEN);
    s->impl->dec(s, cmd, body);
    memcpy(s->t_prime, t, CGO_TAG_LEN);
}

/* SPEC: cell-cipher 5.2, sealed for the last hop, then wrapped for those before it. */
void cgo_client_originate(struct cgo *fwd, size_t n_hops, uint8_t cmd, uint8_t *body,
                          uint8_t ack[CGO_TAG_LEN])
{
    ASSERT(n_hops > 0);
    struct cgo_state *last = cgo_state_of(&fwd[n_hops - 1]);
    memcpy(body, last->n, CGO_TAG_LEN);
    client_peel(last, cmd, body);
    memcpy(ack, body, CGO_TAG_LEN);
    update(last);
    cgo_client_wrap(fwd, n_hops - 1, cmd, body);
}

/* SPEC: cell-cipher 5.1, through each hop from the last one to the first. */
void cgo_client_wrap(struct cgo *fwd, size_t n_hops, uint8_t cmd, uint8_t *body)
{
    for (size_t ix = n_hops; ix-- > 0;) {
        client_peel(cgo_state_of(&fwd[ix]), cmd, body);
    }
}

/* SPEC: cell-cipher 5.3, peeled until a hop recognises its tag. */
int cgo_client_unwrap(struct cgo *back, size_t n_hops, uint8_t cmd, uint8_t *body,
                      uint8_t ack[CGO_TAG_LEN])
{
    for (size_t ix = 0; ix < n_hops; ix++) {
        struct cgo_state *s = cgo_state_of(&back[ix]);
        client_peel(s, cmd, body);
        if (!s->dead && ct_equal(body, s->n, CGO_TAG_LEN)) {
            /* T' is now the tag this hop's layer arrived with */
            memcpy(s->n, s->t_prime, CGO_TAG_LEN);
            memcpy(ack, s->t_prime, CGO_TAG_LEN);
            update(s);
            return (int)ix;
        }
    }
    memset(ack, 0, CGO_TAG_LEN);
    return -1;
}

/* SPEC: cell-cipher 5.4, if no hop recognises a cell, none does ever again. */
int cgo_client_backward(struct cgo *back, size_t n_hops, uint8_t cmd, uint8_t *body,
                        uint8_t ack[CGO_TAG_LEN])
{
    int hop = cgo_client_unwrap(back, n_hops, cmd, body, ack);

    if (hop >= 0) {
        return hop;
    }
    /* T' of a hop is the tag last received, so hops could fall into step again: never let them */
    for (size_t ix = 0; ix < n_hops; ix++) {
        cgo_state_of(&back[ix])->dead = true;
    }
    return -1;
}
