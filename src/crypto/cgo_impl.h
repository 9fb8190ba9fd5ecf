/*
 * cgo_impl.h - what stands between the cell cipher (cgo.c) and the ways to compute it.
 *
 *   cgo.c              who does what to a cell: N, T', recognition, key update
 *     |  struct cgo_impl
 *     +-- cgo_portable.c     EVP AES, masked-multiplication POLYVAL; any machine
 *     +-- cgo_x86.c          AES-NI and PCLMULQDQ, eight blocks at a time
 *     +-- cgo_x86_avx2.c     VAES and VPCLMULQDQ, sixteen blocks at a time, in registers of two
 *     +-- cgo_x86_avx512.c   the same in registers of four
 *
 * Names (ET, PRF, UIV+, KB, KU, K, B, N, T') are those of spec/cell-cipher.md.
 */
#ifndef QUDAG_SRC_CRYPTO_CGO_IMPL_H
#define QUDAG_SRC_CRYPTO_CGO_IMPL_H

#include "crypto/cgo.h"

#define CGO_ENGINE_LEN 832 /* bytes; each implementation asserts that its keys fit */
#define CGO_KEYS_MAX (2 * (32 + 16))

/* What is inside struct cgo. */
struct cgo_state {
    uint8_t engine[CGO_ENGINE_LEN]; /* first, for its alignment; the implementation's own */
    const struct cgo_impl *impl;
    uint32_t cells;       /* served by the present keys */
    uint16_t rest_len;    /* bytes of X_R */
    uint8_t key_len;      /* AES key bytes */
    uint8_t rest_blocks;  /* blocks of stream t = 0, where stream t = 1 starts */
    uint8_t counter_keep; /* and-mask for the last byte of a counter */
    bool dead;            /* see struct cgo */
    uint8_t n[CGO_TAG_LEN];
    uint8_t t_prime[CGO_TAG_LEN];
};

_Static_assert(sizeof(struct cgo_state) <= sizeof(struct cgo), "struct cgo is too small");

/* All functions are constant time in everything but lengths. */
struct cgo_impl {
    const char *name;
    bool (*usable)(void); /* on this machine */

    /* Takes KB | KU | K | B; engine is zero, or holds the keys these replace.  False: no memory. */
    bool (*set_keys)(struct cgo_state *s, const uint8_t *keys);

    /* UIV+ on |body| under the tweak (T', cmd). */
    void (*enc)(struct cgo_state *s, uint8_t cmd, uint8_t *body);
    void (*dec)(struct cgo_state *s, uint8_t cmd, uint8_t *body);

    /* PRF_1(N): as many bytes as cgo_key_material() says. */
    void (*update_stream)(struct cgo_state *s, uint8_t *out);

    void (*release)(struct cgo_state *s); /* what engine points to; NULL when it points nowhere */
};

extern const struct cgo_impl cgo_impl_portable;
#if defined(__x86_64__)
extern const struct cgo_impl cgo_impl_x86;
extern const struct cgo_impl cgo_impl_x86_avx2;
extern const struct cgo_impl cgo_impl_x86_avx512;
#endif

/* All that were compiled in, fastest first; NULL past the end.  Not each is usable here. */
const struct cgo_impl *cgo_impl_at(size_t ix);

/* cgo_init with the implementation forced; |impl| must be usable. */
void cgo_init_impl(struct cgo *c, const struct cgo_params *p, const uint8_t *keys,
                   const struct cgo_impl *impl);

static inline struct cgo_state *cgo_state_of(struct cgo *c)
{
    return (struct cgo_state *)(void *)c->opaque;
}

#endif
