/*
 * rules.c - what may be stored. The safety of readers rests on these: no reader gets a value that its namespace
 * does not accept, and an older value does not replace a newer one.  And whose fault silence is.
 */
#include "core/kad/common/rules.h"

#include <string.h>

#define GROUP_ANSWER_MAX 3 /* nodes of one network believed from one answer: more may be a flood */

const struct kad_validator *kad_rules_find(const struct kad_rules *r, struct slice key)
{
    const struct kad_validator *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < r->n; i++) {
        const struct kad_validator *v = &r->v[i];
        size_t n = strlen(v->ns);
        if (key.len > n + 2 && key.base[0] == '/' && key.base[n + 1] == '/' &&
            memcmp(key.base + 1, v->ns, n) == 0 && n + 1 > best_len) {
            best = v;
            best_len = n + 1;
        }
    }
    return best;
}

qudag_err kad_rules_add(struct kad_rules *r, const struct kad_validator *v)
{
    if (v->ns == NULL || v->check == NULL || v->ns[0] == '\0') {
        return QUDAG_EINVAL;
    }
    for (size_t i = 0; i < r->n; i++) {
        if (strcmp(r->v[i].ns, v->ns) == 0) {
            return QUDAG_EEXISTS;
        }
    }
    if (r->n == KAD_VALIDATORS_MAX) {
        return QUDAG_ELIMIT;
    }
    r->v[r->n++] = *v;
    return QUDAG_OK;
}

qudag_err kad_validate(const struct kad_validator *v, struct slice key, struct slice value,
                       walltime wall, walltime *expires)
{
    walltime most = wall + KAD_RECORD_LIFE;

    if (value.len > KAD_VALUE_MAX || value.len > v->value_max) {
        return QUDAG_ETOOBIG;
    }
    *expires = most;
    qudag_err err = v->check(v->ctx, key, value, wall, expires);
    if (err != QUDAG_OK) {
        return err;
    }
    *expires = *expires < most ? *expires : most;
    return *expires > wall ? QUDAG_OK : QUDAG_EEXPIRED;
}

/* What is cheap is checked first: a signature costs a hundred times as much as all of this. */
bool kad_put_acceptable(const struct kad_msg *req, const struct kad_validator *v,
                        enum kad_refusal *why)
{
    if (!req->has_record) {
        *why = KAD_REFUSED_NO_RECORD;
        return false;
    }
    if (!kad_slice_eq(req->rec_key, req->key)) {
        *why = KAD_REFUSED_OTHER_KEY;
        return false;
    }
    if (v == NULL) {
        *why = KAD_REFUSED_NAMESPACE;
        return false;
    }
    *why = KAD_REFUSED_VALUE_SIZE;
    return req->rec_value.len <= v->value_max;
}

bool kad_provider_acceptable(size_t named, bool sender_named, enum kad_refusal *why)
{
    *why = named == 0 ? KAD_REFUSED_NO_RECORD : KAD_REFUSED_PROVIDER_OTHER;
    return sender_named;
}

bool kad_answer_crowded(const uint32_t *group, size_t n, size_t ix)
{
    size_t same = 0;

    for (size_t i = 0; i < n; i++) {
        same += group[i] == group[ix] ? 1 : 0;
    }
    return group[ix] != 0 && same > GROUP_ANSWER_MAX;
}

enum kad_read kad_read_mode(const struct kad_validator *v, enum kad_read asked)
{
    if (v == NULL) {
        return KAD_READ_DEFAULT;
    }
    enum kad_read r = asked != KAD_READ_DEFAULT ? asked : v->read;
    return r != KAD_READ_DEFAULT ? r : v->select == NULL ? KAD_READ_FIRST : KAD_READ_CONFIRMED;
}

bool kad_silence_counts(const struct kad_silence *s)
{
    if (s->last_answer == 0 || s->now - s->last_answer >= KAD_ONLINE) {
        return false;
    }
    return s->last_answer >= s->asked || s->run < KAD_SILENT_RUN;
}

int kad_prefer(const struct kad_validator *v, struct slice key, struct slice a, struct slice b)
{
    return v->select == NULL ? 0 : v->select(v->ctx, key, a, b);
}
