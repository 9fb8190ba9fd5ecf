/* retry.c - see retry.h. */
#include "quic/retry.h"

#include "base/map.h"
#include "base/wipe.h"

#include <string.h>

#define HEAD 6
#define TAG 16

void quic_retry_keys_make(struct quic_retry_keys *keys, const struct rng *rng)
{
    rng_fill(rng, keys->k, sizeof keys->k);
    rng_fill(rng, &keys->second, sizeof keys->second);
}

static uint32_t second_of(const struct quic_retry_keys *keys, tstamp now)
{
    return (uint32_t)(now / NS_PER_S) + keys->second;
}

/* |bound|: the head and the id, as in the token. */
static void tag_of(const struct quic_retry_keys *keys, uint8_t out[TAG], struct slice bound,
                   const struct netaddr *a, struct slice scid)
{
    uint8_t all[HEAD + QUIC_RETRY_ID_MAX + 1 + QUIC_RETRY_ID_MAX + 1 + sizeof a->ip + 6] = {0};
    size_t n = bound.len;
    uint64_t tag[2];

    memcpy(all, bound.base, bound.len);
    all[n++] = (uint8_t)scid.len;
    if (scid.len > 0) {
        memcpy(all + n, scid.base, scid.len);
    }
    n += scid.len;
    all[n++] = a->family;
    memcpy(all + n, a->ip, sizeof a->ip);
    n += sizeof a->ip;
    memcpy(all + n, &a->port, 2);
    memcpy(all + n + 2, &a->scope, 4);
    n += 6;
    tag[0] = siphash24(keys->k[0], keys->k[1], (struct slice){all, n});
    tag[1] = siphash24(keys->k[2], keys->k[3], (struct slice){all, n});
    memcpy(out, tag, TAG);
}

size_t quic_retry_seal(const struct quic_retry_keys *keys, uint8_t out[QUIC_RETRY_TOKEN_MAX],
                       const struct netaddr *to, struct slice odcid, struct slice scid, tstamp now)
{
    uint32_t second = second_of(keys, now);

    if (odcid.len > QUIC_RETRY_ID_MAX || scid.len > QUIC_RETRY_ID_MAX) {
        return 0;
    }
    out[0] = QUIC_RETRY_MAGIC;
    memcpy(out + 1, &second, 4);
    out[5] = (uint8_t)odcid.len;
    if (odcid.len > 0) {
        memcpy(out + HEAD, odcid.base, odcid.len);
    }
    tag_of(keys, out + HEAD + odcid.len, (struct slice){out, HEAD + odcid.len}, to, scid);
    return HEAD + odcid.len + TAG;
}

bool quic_retry_open(const struct quic_retry_keys *keys, struct slice token,
                     const struct netaddr *from, struct slice scid, tstamp now, struct slice *odcid)
{
    uint8_t tag[TAG];
    uint32_t second;
    size_t len;

    if (token.len < HEAD + TAG || token.base[0] != QUIC_RETRY_MAGIC ||
        scid.len > QUIC_RETRY_ID_MAX) {
        return false;
    }
    len = token.base[5];
    if (len > QUIC_RETRY_ID_MAX || token.len != HEAD + len + TAG) {
        return false;
    }
    tag_of(keys, tag, (struct slice){token.base, HEAD + len}, from, scid);
    memcpy(&second, token.base + 1, 4);
    if (!ct_equal(tag, token.base + HEAD + len, TAG) ||
        second_of(keys, now) - second > QUIC_RETRY_LIFE_S) {
        return false;
    }
    *odcid = (struct slice){token.base + HEAD, len};
    return true;
}
