/*
 * cgo_fuzz.c - bytes become operations on a circuit whose two ends use different implementations.
 *
 * Properties: an untouched circuit recognises every cell at the right hop with its payload and equal
 * acknowledgements; once a cell was harmed on a link, no cell of a hop behind that link is recognised;
 * once the client did not recognise one, it recognises none.
 */
#include "base/assert.h"
#include "base/rng.h"
#include "crypto/cgo.h"
#include "crypto/cgo_impl.h"

#include <string.h>

#define HOPS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One direction of a circuit. */
struct way {
    struct cgo client[HOPS], relay[HOPS];
    size_t intact; /* hops before the first link on which a cell was harmed */
};

struct input {
    const uint8_t *p;
    size_t left;
};

static uint8_t take(struct input *in)
{
    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->p++;
}

static void fill(struct input *in, uint8_t *dst, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        dst[i] = (uint8_t)(take(in) + i);
    }
}

static const struct cgo_impl *pick(uint8_t choice)
{
    const struct cgo_impl *at[8];
    size_t n = 0;
    for (size_t ix = 0; cgo_impl_at(ix) != NULL && n < ARRAY_LEN(at); ix++) {
        if (cgo_impl_at(ix)->usable()) {
            at[n++] = cgo_impl_at(ix);
        }
    }
    return at[choice % n];
}

/* Keys are expanded from seeds, as those of a KDF are: under a zero POLYVAL key no tag depends on T'. */
static void way_init(struct way *w, const struct cgo_params *p, struct input *in)
{
    uint8_t seed[32] = {0};
    struct rng_stream stream;
    for (size_t i = 0; i < HOPS; i++) {
        uint8_t keys[CGO_AES256_KEY_MATERIAL];
        seed[0] = take(in);
        seed[1]++;
        rng_stream_init(&stream, seed);
        rng_stream_fill(&stream, keys, sizeof(keys));
        cgo_init_impl(&w->client[i], p, keys, pick(take(in)));
        cgo_init_impl(&w->relay[i], p, keys, pick(take(in)));
    }
    w->intact = HOPS;
}

static void way_fini(struct way *w)
{
    for (size_t i = 0; i < HOPS; i++) {
        cgo_fini(&w->client[i]);
        cgo_fini(&w->relay[i]);
    }
}

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Over the link that leads to relay |link|: may flip a bit, or lose the cell and return false. */
static bool on_the_wire(struct way *w, size_t link, struct input *in, uint8_t *body, size_t len)
{
    uint8_t what = take(in);
    if (what >= 252) {
        size_t bit = ((size_t)take(in) << 8 | take(in)) % (len * 8);
        body[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    w->intact = what >= 251 ? lesser(w->intact, link) : w->intact;
    return what != 251;
}

static void check_equal(const uint8_t *body, const uint8_t *copy, size_t len, const uint8_t *sent,
                        const uint8_t *got)
{
    ASSERT(memcmp(sent, got, CGO_TAG_LEN) == 0);
    ASSERT(memcmp(body + CGO_TAG_LEN, copy + CGO_TAG_LEN, len - CGO_TAG_LEN) == 0);
}

static void forward(struct way *w, struct input *in, uint8_t *body, size_t len)
{
    uint8_t copy[CGO_BODY_MAX], sent[CGO_TAG_LEN], got[CGO_TAG_LEN], cmd = take(in);
    size_t target = take(in) % HOPS;
    memcpy(copy, body, len);
    cgo_client_originate(w->client, target + 1, cmd, body, sent);
    for (size_t i = 0; i < HOPS; i++) {
        if (!on_the_wire(w, i, in, body, len)) {
            return;
        }
        if (cgo_relay_forward(&w->relay[i], cmd, body, got)) {
            ASSERT(i == target);
            ASSERT(target < w->intact);
            check_equal(body, copy, len, sent, got);
            return;
        }
    }
    ASSERT(target >= w->intact);
}

static void backward(struct way *w, struct input *in, uint8_t *body, size_t len)
{
    uint8_t copy[CGO_BODY_MAX], sent[CGO_TAG_LEN], got[CGO_TAG_LEN], cmd = take(in);
    size_t source = take(in) % HOPS;
    memcpy(copy, body, len);
    cgo_relay_originate(&w->relay[source], cmd, body, sent);
    for (size_t link = source; on_the_wire(w, link, in, body, len); link--) {
        if (link == 0) {
            int at = cgo_client_backward(w->client, HOPS, cmd, body, got);
            ASSERT(at == (source < w->intact ? (int)source : -1));
            if (at >= 0) {
                check_equal(body, copy, len, sent, got);
            } else {
                w->intact = 0;
            }
            return;
        }
        cgo_relay_backward(&w->relay[link - 1], cmd, body);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct way fwd, back;
    uint8_t body[CGO_BODY_MAX];
    struct input in = {data, size};
    uint16_t extra = (uint16_t)(take(&in) << 8 | take(&in));
    struct cgo_params p = {.body_len = (uint16_t)(32 + extra % (CGO_BODY_MAX - 31)),
                           .key_len = extra & 0x8000 ? 16 : 32};
    way_init(&fwd, &p, &in);
    way_init(&back, &p, &in);
    for (unsigned step = 0; step < 64 && in.left > 0; step++) {
        bool outward = take(&in) % 2 == 0;
        fill(&in, body, 40);
        memset(body + 40, body[3], sizeof(body) - 40);
        if (outward) {
            forward(&fwd, &in, body, p.body_len);
        } else {
            backward(&back, &in, body, p.body_len);
        }
    }
    way_fini(&fwd);
    way_fini(&back);
    return 0;
}
