/* samples.c - indexes of dark records that this node stores, for those who ask at the end of a circuit. */
#include "node/samples.h"

#include <string.h>

void node_samples_begin(struct node_samples *s, tstamp until)
{
    *s = (struct node_samples){.until = until};
}

void node_samples_offer(struct node_samples *s, struct slice key, const struct rng *rng)
{
    if (key.len != DARK_KEY_LEN || !dht_key_under(key, DHT_DARK_PREFIX, NULL)) {
        return;
    }
    s->met++;
    uint32_t at = s->n < NODE_SAMPLES_MAX ? s->n++ : rng_below(rng, s->met);
    if (at < NODE_SAMPLES_MAX) {
        memcpy(s->key[at], key.base, DARK_KEY_LEN);
    }
}

void node_samples_draw(const struct node_samples *s, const struct rng *rng,
                       uint8_t key[DARK_KEY_LEN])
{
    size_t prefix = sizeof(DHT_DARK_PREFIX) - 1;

    if (s->n > 0) {
        memcpy(key, s->key[rng_below(rng, s->n)], DARK_KEY_LEN);
        return;
    }
    memcpy(key, DHT_DARK_PREFIX, prefix);
    rng_fill(rng, key + prefix, DHT_DARK_INDEX_LEN);
}
