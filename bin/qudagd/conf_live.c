/* conf_live.c - a configuration that is read again while the daemon runs. */
#include "conf.h"

#include <string.h>

bool conf_same(const struct conf *a, const struct conf *b, enum conf_key key)
{
    const struct conf_value *x = &a->v[key], *y = &b->v[key];
    bool same = x->num == y->num && x->n == y->n;

    if (same && conf_table[key].type == CONF_TEXT) {
        same = strcmp(x->text, y->text) == 0;
    }
    for (size_t ix = 0; same && ix < x->n; ix++) {
        same = strcmp(x->list[ix], y->list[ix]) == 0;
    }
    return same;
}

size_t conf_take_live(struct conf *c, struct conf *fresh, char *rest, size_t cap)
{
    size_t n = 0, at = 0;

    rest[0] = 0;
    for (int ix = 0; ix < CONF_KEYS; ix++) {
        const struct conf_row *row = &conf_table[ix];
        if (row->live) {
            struct conf_value old = c->v[ix];
            c->v[ix] = fresh->v[ix];
            fresh->v[ix] = old;
        } else if (!conf_same(c, fresh, (enum conf_key)ix)) {
            int len = snprintf(rest + at, cap - at, "%s[%s] %s", n == 0 ? "" : ", ", row->section,
                               row->key);
            at = len < 0 || (size_t)len >= cap - at ? cap - 1 : at + (size_t)len;
            n++;
        }
    }
    return n;
}
