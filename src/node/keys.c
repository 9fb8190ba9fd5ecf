/* keys.c - onion keys: by which key circuits end at us, and as what. */
#include "node/internal.h"

#include "crypto/kex.h"

#include <string.h>

_Static_assert(ONION_KEYS_MAX >= NODE_ONION_SLOTS + 2 * DARK_ADDRS_MAX,
               "two generations of the relay and of every address fit");

qudag_err node_keys_take_relay(struct node *n, unsigned slot, walltime made, struct onion_key *key,
                               struct mlkem_key *dk)
{
    struct node_onion_keys *o = &n->onion_keys;

    onion_key_id(key->key_id, key->x, key->k);
    qudag_err err = o->slot[slot].has ? QUDAG_EEXISTS : onion_key_add(n->onion, key, dk);
    if (err != QUDAG_OK) {
        mlkem768_free(dk);
        return err;
    }
    o->slot[slot].has = true;
    o->slot[slot].made = made;
    o->slot[slot].known = n->now;
    o->slot[slot].made_here = false;
    memcpy(o->slot[slot].id, key->key_id, sizeof(o->slot[slot].id));
    if (n->has_onion_key && o->slot[o->current].made >= made) {
        return QUDAG_OK;
    }
    o->current = (uint8_t)slot;
    memcpy(n->onion_x, key->x, sizeof(n->onion_x));
    memcpy(n->onion_k, key->k, sizeof(n->onion_k));
    memcpy(n->onion_id, key->key_id, sizeof(n->onion_id));
    n->has_onion_key = true;
    n->news |= NODE_NEWS_SELF; /* from now on we say that we take part in circuits */
    return QUDAG_OK;
}

void node_keys_drop_relay(struct node *n, unsigned slot)
{
    struct node_onion_keys *o = &n->onion_keys;

    onion_key_del(n->onion, o->slot[slot].id);
    o->slot[slot].has = false;
    n->has_onion_key = n->has_onion_key && o->current != slot;
}

uint64_t node_keys_tag(const struct dark_addr *a)
{
    uint64_t tag;

    memcpy(&tag, a->ed_pk, sizeof(tag));
    return tag == 0 ? 1 : tag;
}

const char *node_keys_tag_text(struct node *n, uint64_t tag, char text[DARK_TEXT_MAX])
{
    size_t it = 0;
    const struct dark_keys *k;
    bool published;
    walltime until;

    while (tag != 0 && dark_own_next(n->dark, &it, &k, &published, &until)) {
        if (node_keys_tag(&k->addr) == tag) {
            (void)dark_addr_text(text, &k->addr);
            return text;
        }
    }
    return NULL;
}

void node_keys_called(struct node *n, uint64_t tag, tstamp now)
{
    size_t it = 0;
    const struct dark_keys *k;
    bool published;
    walltime until;

    while (tag != 0 && dark_own_next(n->dark, &it, &k, &published, &until)) {
        if (node_keys_tag(&k->addr) == tag) {
            dark_called(n->dark, &k->addr, now);
            return;
        }
    }
}

qudag_err node_keys_listen(struct node *n, const struct dark_keys *k)
{
    struct onion_key key = {.x_sk = k->onion_x_sk, .service = true, .tag = node_keys_tag(&k->addr)};
    struct mlkem_key *dk = NULL;
    qudag_err err = mlkem768_load(&dk, key.k, &k->onion_k_seed);

    if (err == QUDAG_OK) {
        memcpy(key.x, k->onion_x, sizeof(key.x));
        memcpy(key.key_id, k->key_id, sizeof(key.key_id));
        err = onion_key_add(n->onion, &key, dk);
        if (err != QUDAG_OK) {
            mlkem768_free(dk);
        }
        n->news |= NODE_NEWS_SELF;
    }
    wipe(&key, sizeof(key));
    return err;
}
