/* rules.c - DHT namespaces of the program: its functions behind those of a validator. */
#include "api/internal.h"

#include <string.h>

API_NO_TAIL(qudag_dht_rules, quorum);
_Static_assert(QUDAG_DHT_VALUE_MAX == KAD_VALUE_MAX && QUDAG_DHT_KEY_MAX == KAD_KEY_MAX,
               "what is promised is what is taken");
_Static_assert(QUDAG_DHT_OPEN_VALUE_MAX == NODE_OPEN_VALUE_MAX, "likewise");

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
    qudag_dht_rules full = {.size = 0};

    if (n == NULL || rules == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = api_sized_in(&full, sizeof(full), rules);
    if (err != QUDAG_OK) {
        return err;
    }
    if (full.check == NULL || !api_namespace_valid(full.ns) || full.value_max == 0 ||
        full.value_max > KAD_VALUE_MAX || (unsigned)full.read > QUDAG_READ_PATHS) {
        return QUDAG_EINVAL;
    }
    if (n->n_rules == QUDAG_NAMESPACES_MAX) {
        return QUDAG_ELIMIT;
    }
    struct api_rules *r = mem_alloc(&n->mem, sizeof(*r));
    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    r->rules = full;
    memcpy(r->ns, full.ns, strlen(full.ns) + 1);
    struct kad_validator v = {.ns = r->ns,
                              .value_max = full.value_max,
                              .ctx = r,
                              .check = check,
                              .select = full.select == NULL ? NULL : choose,
                              .read = (enum kad_read)full.read,
                              .quorum = full.quorum};
    err = node_namespace(n->node, &v);
    if (err != QUDAG_OK) {
        mem_free(&n->mem, r);
        return err;
    }
    n->rules[n->n_rules++] = r;
    return QUDAG_OK;
}

bool api_rules_have(const struct qudag_node *n, struct slice ns)
{
    for (size_t i = 0; i < n->n_rules; i++) {
        if (strlen(n->rules[i]->ns) == ns.len && memcmp(n->rules[i]->ns, ns.base, ns.len) == 0) {
            return true;
        }
    }
    return false;
}

void api_rules_free(struct qudag_node *n)
{
    while (n->n_rules > 0) {
        mem_free(&n->mem, n->rules[--n->n_rules]);
    }
}
