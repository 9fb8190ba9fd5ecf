/* tags.c - what the program says of peers; see tags.h. */
#include "swarm/tags.h"

#include "swarm/value.h"

#include <string.h>

struct tagged {
    struct peer_id id; /* its key in the table */
    uint8_t n;
    struct swarm_tag tag[SWARM_TAGS_MAX];
};

void swarm_tags_init(struct swarm_tags *t, struct mem *mem, const uint8_t seed[16])
{
    t->mem = mem;
    map_init(&t->peers, mem, seed, SWARM_TAGGED_MAX);
}

void swarm_tags_fini(struct swarm_tags *t)
{
    struct tagged *p;

    for (size_t it = 0; (p = map_next(&t->peers, &it)) != NULL;) {
        mem_free(t->mem, p);
    }
    map_fini(&t->peers);
}

bool swarm_tag_name_valid(const char *name)
{
    size_t len = 0;

    for (; len <= SWARM_TAG_NAME_MAX && name[len] != '\0'; len++) {
        if (name[len] <= ' ' || name[len] > '~') {
            return false;
        }
    }
    return len > 0 && len <= SWARM_TAG_NAME_MAX;
}

static struct tagged *get(const struct swarm_tags *t, const struct peer_id *peer)
{
    return map_get(&t->peers, peer_id_slice(peer));
}

static struct swarm_tag *find(struct tagged *p, const char *name)
{
    for (size_t i = 0; p != NULL && i < p->n; i++) {
        if (strcmp(p->tag[i].name, name) == 0) {
            return &p->tag[i];
        }
    }
    return NULL;
}

static qudag_err make(struct swarm_tags *t, const struct peer_id *peer, struct tagged **out)
{
    if (t->peers.n >= SWARM_TAGGED_MAX) {
        return QUDAG_ELIMIT;
    }
    struct tagged *p = mem_alloc(t->mem, sizeof(*p));
    if (p == NULL) {
        return QUDAG_ENOMEM;
    }
    p->id = *peer;
    qudag_err err = map_put(&t->peers, peer_id_slice(&p->id), p);
    if (err != QUDAG_OK) {
        mem_free(t->mem, p);
        return err;
    }
    *out = p;
    return QUDAG_OK;
}

/* The tag of that name, as it was or new. */
static qudag_err take(struct swarm_tags *t, const struct peer_id *peer, const char *name,
                      struct swarm_tag **out)
{
    struct tagged *p = get(t, peer);
    struct swarm_tag *tag = find(p, name);

    if (!swarm_tag_name_valid(name)) {
        return QUDAG_EINVAL;
    }
    if (tag == NULL) {
        qudag_err err = p == NULL ? make(t, peer, &p) : QUDAG_OK;
        if (err != QUDAG_OK || p->n == SWARM_TAGS_MAX) {
            return err != QUDAG_OK ? err : QUDAG_ELIMIT;
        }
        tag = &p->tag[p->n++];
        *tag = (struct swarm_tag){.weight = 0};
        memcpy(tag->name, name, strlen(name) + 1);
    }
    *out = tag;
    return QUDAG_OK;
}

qudag_err swarm_tags_put(struct swarm_tags *t, const struct peer_id *peer, const char *name,
                         int32_t weight)
{
    struct swarm_tag *tag;

    if (weight < -SWARM_TAG_WEIGHT_MAX || weight > SWARM_TAG_WEIGHT_MAX) {
        return QUDAG_EINVAL;
    }
    qudag_err err = take(t, peer, name, &tag);
    if (err == QUDAG_OK) {
        tag->weighs = true;
        tag->weight = weight;
    }
    return err;
}

qudag_err swarm_tags_protect(struct swarm_tags *t, const struct peer_id *peer, const char *name)
{
    struct swarm_tag *tag;
    qudag_err err = take(t, peer, name, &tag);

    if (err == QUDAG_OK) {
        tag->protects = true;
    }
    return err;
}

qudag_err swarm_tags_drop(struct swarm_tags *t, const struct peer_id *peer, const char *name,
                          bool protection)
{
    struct tagged *p = get(t, peer);
    struct swarm_tag *tag = find(p, name);

    if (tag == NULL || !(protection ? tag->protects : tag->weighs)) {
        return QUDAG_ENOTFOUND;
    }
    if (protection) {
        tag->protects = false;
    } else {
        tag->weighs = false;
        tag->weight = 0;
    }
    if (!tag->weighs && !tag->protects) {
        *tag = p->tag[--p->n];
    }
    if (p->n == 0) {
        (void)map_del(&t->peers, peer_id_slice(&p->id));
        mem_free(t->mem, p);
    }
    return QUDAG_OK;
}

int32_t swarm_tags_sum(const struct swarm_tags *t, const struct peer_id *peer, bool *is_protected)
{
    const struct tagged *p = get(t, peer);
    int32_t sum = 0; /* at most SWARM_TAGS_MAX * SWARM_TAG_WEIGHT_MAX */

    *is_protected = false;
    for (size_t i = 0; p != NULL && i < p->n; i++) {
        sum += p->tag[i].weight;
        *is_protected = *is_protected || p->tag[i].protects;
    }
    return sum;
}

const struct swarm_tag *swarm_tags_next(const struct swarm_tags *t, const struct peer_id *peer,
                                        size_t *it)
{
    const struct tagged *p = get(t, peer);

    return p != NULL && *it < p->n ? &p->tag[(*it)++] : NULL;
}
