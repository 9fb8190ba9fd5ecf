/* dark_clients.c - clients of dark addresses and secrets for them: what the core has and what is on disk. */
#include "node/dark_clients.h"

#include "node/request_table.h"

/* What others know leads nowhere; all callers are cut off, as none shows who he is (SPEC: dark D-41). */
static qudag_err begin_anew(struct node *n, const struct dark_addr *a, tstamp now)
{
    node_service_cut(n, node_keys_tag(a), now);
    return node_service_renew(n, a, now);
}

qudag_err node_dark_client_add(struct node *n, const struct dark_addr *a, const char *name,
                               uint8_t secret[DARK_CLIENT_SECRET_LEN], tstamp now)
{
    const struct dark_keys *k = dark_own_get(n->dark, a);
    bool only = k != NULL && k->clients.only;
    qudag_err err = dark_client_add(n->dark, a, name, secret, now);

    if (err == QUDAG_OK) {
        qudag_err saved = node_saved_dark_keys(n, dark_own_get(n->dark, a));
        err = saved;
        if (saved == QUDAG_OK && !only) { /* anybody could read where it is met */
            err = begin_anew(n, a, now);
        }
        if (err != QUDAG_OK) { /* as it was: open to anybody, or to the others */
            (void)(dark_client_remove(n->dark, a, only ? name : NULL, now) == QUDAG_OK);
            wipe(secret, DARK_CLIENT_SECRET_LEN);
        }
        if (err != QUDAG_OK && saved == QUDAG_OK) {
            (void)(node_saved_dark_keys(n, dark_own_get(n->dark, a)) == QUDAG_OK);
        }
        (void)node_begin(n);
        node_end(n, n->ix.dark); /* records are due */
    }
    return err;
}

qudag_err node_dark_client_remove(struct node *n, const struct dark_addr *a, const char *name,
                                  tstamp now)
{
    qudag_err err = dark_client_remove(n->dark, a, name, now);

    if (err ==
        QUDAG_OK) { /* also where it cannot be saved: he is out for as long as the program runs */
        err = node_saved_dark_keys(n, dark_own_get(n->dark, a));
        qudag_err renewed = name != NULL ? begin_anew(n, a, now) : QUDAG_OK;
        err = err == QUDAG_OK ? renewed : err;
        (void)node_begin(n);
        node_end(n, n->ix.dark);
    }
    return err;
}

qudag_err node_dark_authorize(struct node *n, const struct dark_addr *a, const uint8_t *secret)
{
    qudag_err err = dark_authorize(n->dark, a, secret);

    if (err == QUDAG_OK) {
        node_budget_forget(&n->budget, a);
    }
    return err == QUDAG_OK ? node_saved_authorization(n, a, secret) : err;
}
