/* kad_msg_fuzz.c - an accepted message is encoded, decoded again and compared. */
#include "base/assert.h"
#include "base/rd.h"
#include "wire/kad_msg.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kad_peer_info closer[2][KAD_PEERS_MAX], providers[2][KAD_PEERS_MAX];
static uint8_t out[2 * KAD_MSG_IN_MAX];

static bool same(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.base, b.base, a.len) == 0);
}

static void peers_compare(const struct kad_peer_info *a, const struct kad_peer_info *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ASSERT(peer_id_eq(&a[i].id, &b[i].id));
        ASSERT(a[i].n_addrs == b[i].n_addrs);
        for (size_t j = 0; j < a[i].n_addrs; j++) {
            ASSERT(multiaddr_eq(&a[i].addr[j], &b[i].addr[j]));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kad_msg m = {.closer = closer[0], .providers = providers[0]};
    struct kad_msg back = {.closer = closer[1], .providers = providers[1]};
    size_t dropped = 0, len = 0;

    if (kad_msg_decode(&m, &dropped, (struct slice){data, size}) != QUDAG_OK) {
        return 0;
    }
    ASSERT(kad_msg_encode(out, sizeof(out), &len, &m) == QUDAG_OK);
    struct rd r = rd_init((struct slice){out, len});
    struct slice body = rd_lp(&r, sizeof(out));
    ASSERT(rd_done(&r));
    ASSERT(kad_msg_decode(&back, &dropped, body) == QUDAG_OK);
    ASSERT(dropped == 0);
    ASSERT(m.type == back.type && m.has_record == back.has_record);
    ASSERT(same(m.key, back.key) && same(m.rec_key, back.rec_key));
    ASSERT(same(m.rec_value, back.rec_value) && same(m.rec_time, back.rec_time));
    ASSERT(m.want_digest == back.want_digest && m.has_digest == back.has_digest);
    ASSERT(!m.has_digest || memcmp(m.digest, back.digest, KAD_DIGEST_LEN) == 0);
    ASSERT(m.n_closer == back.n_closer && m.n_providers == back.n_providers);
    peers_compare(m.closer, back.closer, m.n_closer);
    peers_compare(m.providers, back.providers, m.n_providers);

    /* Whatever room there is, it is not exceeded. */
    size_t cap = size == 0 ? 0 : len * (data[0] % 8u) / 8;
    qudag_err err = kad_msg_encode(out, cap, &len, &m);
    ASSERT(err == QUDAG_ETOOBIG || (err == QUDAG_OK && len <= cap));
    return 0;
}
