/*
 * token.c - address tokens and keys of servers we had links to, for the next dial to them.
 *
 *   handshake completed ... entry: the ML-DSA key the server has proven (or none)
 *   NEW_TOKEN ............. the entry has a token
 *   dial .................. both leave the table: each token is used once
 *
 * A server that gets back a token of a post-quantum link presents the short form of its certificate
 * (spec/link.md 2.6), so a token must not outlive the key: both are in one entry.
 */
#include "crypto/hash.h"
#include "quic/quic_int.h"

#include <string.h>

_Static_assert(sizeof(struct quic_token_entry) <= 2400, "the bound stated in quic.h");

static void key_of(uint8_t out[BLAKE3_LEN], const struct netaddr *remote,
                   const struct peer_id *peer)
{
    uint8_t both[24 + PEER_ID_MAX];
    size_t len = quic_addr_key(both, remote);

    memcpy(both + len, peer->b, peer->len);
    blake3(out, (struct slice){both, len + peer->len});
}

static void drop(struct quic *q, struct quic_token_entry *e)
{
    (void)map_del(&q->tokens_by_peer, (struct slice){e->key, sizeof e->key});
    list_del(&e->node);
    q->tokens_n--;
    mem_free(q->mem, e);
}

static struct quic_token_entry *find(const struct quic *q, const struct netaddr *remote,
                                     const struct peer_id *peer)
{
    uint8_t key[BLAKE3_LEN];

    key_of(key, remote, peer);
    return map_get(&q->tokens_by_peer, (struct slice){key, sizeof key});
}

void quic_token_learn(struct quic *q, const struct netaddr *remote, const struct peer_id *peer,
                      const struct sec_known *known)
{
    struct quic_token_entry *e = find(q, remote, peer);

    if (e != NULL) {
        drop(q, e); /* a token from before may be for another key */
    }
    if (q->tokens_n == TOKENS_MAX) {
        drop(q, LIST_ENTRY(q->tokens.next, struct quic_token_entry, node));
    }
    e = mem_alloc(q->mem, sizeof *e);
    if (e == NULL) {
        return;
    }
    key_of(e->key, remote, peer);
    if (map_put(&q->tokens_by_peer, (struct slice){e->key, sizeof e->key}, e) != QUDAG_OK) {
        mem_free(q->mem, e);
        return;
    }
    if (known != NULL) {
        e->known = *known;
    }
    list_push_back(&q->tokens, &e->node);
    q->tokens_n++;
}

void quic_token_store(struct quic *q, const struct netaddr *remote, const struct peer_id *peer,
                      struct slice token)
{
    struct quic_token_entry *e = find(q, remote, peer);

    if (e != NULL && token.len > 0 && token.len <= TOKEN_MAX) {
        e->len = (uint16_t)token.len;
        memcpy(e->data, token.base, token.len);
    }
}

size_t quic_token_take(struct quic *q, const struct netaddr *remote, const struct peer_id *peer,
                       struct sec_known *known, uint8_t out[TOKEN_MAX])
{
    struct quic_token_entry *e = find(q, remote, peer);
    size_t len;

    if (e == NULL || e->len == 0) {
        return 0;
    }
    len = e->len;
    memcpy(out, e->data, len);
    if (known != NULL) {
        *known = e->known;
    } else if (e->known.has) {
        len = 0; /* nowhere to check a short certificate with */
    }
    drop(q, e); /* used once, so that dials cannot be linked by it */
    return len;
}

#define TOKEN_LIFE_NS (UINT64_C(24) * 3600 * NS_PER_S)

uint64_t quic_token_life(const struct quic *q)
{
    uint64_t since = q->now - q->spent_floor;

    return q->spent_floor > 0 && since < TOKEN_LIFE_NS ? since : TOKEN_LIFE_NS;
}

/* What the older generation held is forgotten, so that tokens of its time are no longer valid. */
static void next_generation(struct quic *q)
{
    map_fini(&q->spent[1]);
    q->spent[1] = q->spent[0];
    map_init_u64(&q->spent[0], q->mem, NULL, 8, SPENT_MAX);
    q->spent_floor = q->spent_from;
    q->spent_from = q->now;
}

bool quic_token_spend(struct quic *q, struct slice token)
{
    uint64_t hash = siphash24(q->spent_key[0], q->spent_key[1], token);
    static const uint64_t used = 1;

    if (map_u64_at(&q->spent[0], hash) != NULL || map_u64_at(&q->spent[1], hash) != NULL) {
        return false;
    }
    if (q->spent[0].n >= SPENT_MAX || q->now - q->spent_from > TOKEN_LIFE_NS) {
        next_generation(q);
    }
    return map_u64_set(&q->spent[0], hash, &used) == QUDAG_OK;
}

void quic_token_fini(struct quic *q)
{
    map_fini(&q->spent[0]);
    map_fini(&q->spent[1]);
    while (!list_empty(&q->tokens)) {
        drop(q, LIST_ENTRY(q->tokens.next, struct quic_token_entry, node));
    }
    map_fini(&q->tokens_by_peer);
}

#if NGTCP2_VERSION_NUM >= 0x011600
ngtcp2_ssize quic_token_seal(const struct quic *q, uint8_t *out, const struct quic_sockaddr *to,
                             struct slice name)
{
    return ngtcp2_crypto_generate_regular_token2(out, q->cfg.reset_key, sizeof q->cfg.reset_key,
                                                 &to->u.sa, to->len, name.base, name.len, q->now);
}

ngtcp2_ssize quic_token_open(const struct quic *q, uint8_t name[TOKEN_NAME_LEN], struct slice token,
                             const struct quic_sockaddr *from, uint64_t life_ns)
{
    return ngtcp2_crypto_verify_regular_token2(name, TOKEN_NAME_LEN, token.base, token.len,
                                               q->cfg.reset_key, sizeof q->cfg.reset_key,
                                               &from->u.sa, from->len, life_ns, q->now);
}
#else
ngtcp2_ssize quic_token_seal(const struct quic *q, uint8_t *out, const struct quic_sockaddr *to,
                             struct slice name)
{
    (void)name;
    return ngtcp2_crypto_generate_regular_token(out, q->cfg.reset_key, sizeof q->cfg.reset_key,
                                                &to->u.sa, to->len, q->now);
}

ngtcp2_ssize quic_token_open(const struct quic *q, uint8_t name[TOKEN_NAME_LEN], struct slice token,
                             const struct quic_sockaddr *from, uint64_t life_ns)
{
    (void)name;
    return ngtcp2_crypto_verify_regular_token(token.base, token.len, q->cfg.reset_key,
                                              sizeof q->cfg.reset_key, &from->u.sa, from->len,
                                              life_ns, q->now);
}
#endif
