/* rules.c - DHT namespaces of the program: its functions behind those of a validator. */
#include "api/internal.h"

#include <string.h>

struct api_rules {
    qudag_dht_rules rules;
    char ns[QUDAG_NAMESPACE_LEN + 1];
};

static qudag_err check(void *ctx, struct slice key, struct slice value, walltime now,
                       walltime *expires)
{
    const struct api_rules *r = ctx;
    int64_t until = *expires;

    qudag_err err = r->rules.check(r->rules.user, slice_out(key), slice_out(value), now, &until);
    *expires = until < *expires ? until : *expires;
    return err;
}

static int choose(void *ctx, struct slice key, struct slice a, struct slice b)
{
    const struct api_rules *r = ctx;

    return r->rules.select(r->rules.user, slice_out(key), slice_out(a), slice_out(b));
}

qudag_err qudag_dht_namespace(qudag_node *n, const qudag_dht_rules *rules)
{
    if (n == NULL || rules == NULL || rules->check == NULL || !namespace_ok(rules->ns) ||
        rules->value_max == 0 || rules->value_max > KAD_VALUE_MAX ||
        (unsigned)rules->read > QUDAG_READ_PATHS) {
        return QUDAG_EINVAL;
    }
    if (n->n_rules == QUDAG_NAMESPACES_MAX) {
        return QUDAG_ELIMIT;
    }
    struct api_rules *r = mem_alloc(&n->mem, sizeof(*r));
    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    r->rules = *rules;
    memcpy(r->ns, rules->ns, strlen(rules->ns) + 1);
    struct kad_validator v = {.ns = r->ns,
                              .value_max = rules->value_max,
                              .ctx = r,
                              .check = check,
                              .select = rules->select == NULL ? NULL : choose,
                              .read = (enum kad_read)rules->read,
                              .quorum = rules->quorum};
    qudag_err err = node_namespace(n->node, &v);
    if (err != QUDAG_OK) {
        mem_free(&n->mem, r);
        return err;
    }
    n->rules[n->n_rules++] = r;
    return QUDAG_OK;
}

void rules_free(struct qudag_node *n)
{
    while (n->n_rules > 0) {
        mem_free(&n->mem, n->rules[--n->n_rules]);
    }
}
