/* token.c - NEW_TOKEN tokens of servers we dial, one per address, the oldest forgotten first. */
#include "quic/quic_int.h"

#include <string.h>

static void drop(struct quic *q, struct token_entry *e)
{
    uint8_t key[24];
    size_t len = addr_key(key, &e->remote);

    (void)map_del(&q->tokens_by_addr, (struct slice){key, len});
    list_del(&e->node);
    q->tokens_n--;
    mem_free(q->mem, e);
}

static struct token_entry *find(const struct quic *q, const struct netaddr *remote)
{
    uint8_t key[24];
    size_t len = addr_key(key, remote);

    return map_get(&q->tokens_by_addr, (struct slice){key, len});
}

void token_store(struct quic *q, const struct netaddr *remote, struct slice token)
{
    struct token_entry *e = find(q, remote);
    uint8_t key[24];
    size_t len = addr_key(key, remote);

    if (token.len == 0 || token.len > TOKEN_MAX) {
        return;
    }
    if (e != NULL) {
        drop(q, e);
    }
    if (q->tokens_n == TOKENS_MAX) {
        drop(q, LIST_ENTRY(q->tokens.next, struct token_entry, node));
    }
    e = mem_alloc(q->mem, sizeof *e);
    if (e == NULL) {
        return;
    }
    if (map_put(&q->tokens_by_addr, (struct slice){key, len}, e) != QUDAG_OK) {
        mem_free(q->mem, e);
        return;
    }
    e->remote = *remote;
    e->len = (uint16_t)token.len;
    memcpy(e->data, token.base, token.len);
    list_push_back(&q->tokens, &e->node);
    q->tokens_n++;
}

size_t token_take(struct quic *q, const struct netaddr *remote, uint8_t out[TOKEN_MAX])
{
    struct token_entry *e = find(q, remote);
    size_t len;

    if (e == NULL) {
        return 0;
    }
    len = e->len;
    memcpy(out, e->data, len);
    drop(q, e); /* used once, so that dials cannot be linked by it */
    return len;
}

void token_fini(struct quic *q)
{
    while (!list_empty(&q->tokens)) {
        drop(q, LIST_ENTRY(q->tokens.next, struct token_entry, node));
    }
    map_fini(&q->tokens_by_addr);
}
