/* clients.c - clients of own addresses, and the text that a secret is passed on as. */
#include "core/dark/clients.h"

#include "base/text.h"
#include "base/wipe.h"
#include "core/dark/dark_impl.h"
#include "crypto/hash.h"

#include <string.h>

#define CHECKSUM_LEN 3
#define BINARY_LEN (DARK_CLIENT_SECRET_LEN + CHECKSUM_LEN)
#define CHARS (DARK_CLIENT_TEXT_MAX - 1)

_Static_assert(BINARY_LEN * 8 == CHARS * 5, "no bits are left over");

static struct dark_own_addr *own_find(const struct dark *d, const struct dark_addr *a)
{
    struct dark_own_addr *o = dark_own_find(d, a);

    return o == NULL || o->state == DARK_OWN_FORGETTING ? NULL : o;
}

/* What is published says something else than before. */
static void changed(struct dark *d, struct dark_own_addr *o, tstamp now)
{
    if (o->state == DARK_OWN_PUBLISHING) {
        dark_hidden_review(d, o, now);
    }
}

qudag_err dark_client_add(struct dark *d, const struct dark_addr *a, const char *name,
                          uint8_t secret[DARK_CLIENT_SECRET_LEN], tstamp now)
{
    struct dark_own_addr *o = own_find(d, a);
    size_t len = strlen(name);

    memset(secret, 0, DARK_CLIENT_SECRET_LEN);
    if (o == NULL) {
        return QUDAG_ENOTFOUND;
    }
    if (o->keys.kind != DARK_HIDDEN) {
        return QUDAG_EUNSUPPORTED;
    }
    if (len == 0 || !dark_label_ok((struct slice){(const uint8_t *)name, len})) {
        return QUDAG_EINVAL;
    }
    struct dark_clients *c = &o->keys.clients;
    for (uint32_t i = 0; i < c->n; i++) {
        if (strcmp(c->client[i].name, name) == 0) {
            return QUDAG_EEXISTS;
        }
    }
    if (c->n == DARK_CLIENTS_MAX) {
        return QUDAG_ELIMIT;
    }
    rng_fill(&d->cfg.rng, secret, DARK_CLIENT_SECRET_LEN);
    struct dark_client *new = &c->client[c->n++];
    memset(new, 0, sizeof *new);
    memcpy(new->name, name, len);
    memcpy(new->secret, secret, sizeof new->secret);
    c->only = true;
    changed(d, o, now);
    return QUDAG_OK;
}

qudag_err dark_client_remove(struct dark *d, const struct dark_addr *a, const char *name,
                             tstamp now)
{
    struct dark_own_addr *o = own_find(d, a);

    if (o == NULL) {
        return QUDAG_ENOTFOUND;
    }
    struct dark_clients *c = &o->keys.clients;
    if (name == NULL) {
        wipe(c, sizeof *c);
        changed(d, o, now);
        return QUDAG_OK;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        if (strcmp(c->client[i].name, name) == 0) {
            memmove(&c->client[i], &c->client[i + 1], (c->n - i - 1) * sizeof c->client[0]);
            wipe(&c->client[--c->n], sizeof c->client[0]);
            changed(d, o, now);
            return QUDAG_OK;
        }
    }
    return QUDAG_ENOTFOUND;
}

void dark_service_await(struct dark *d, const struct dark_addr *a)
{
    struct dark_own_addr *o = own_find(d, a);

    if (o != NULL) {
        wipe(&o->hidden, sizeof o->hidden);
    }
}

const struct dark_client *dark_client_next(const struct dark *d, const struct dark_addr *a,
                                           size_t *it)
{
    const struct dark_own_addr *o = own_find(d, a);

    return o != NULL && *it < o->keys.clients.n ? &o->keys.clients.client[(*it)++] : NULL;
}

/* --- text ------------------------------------------------------------------------------------ */

static void checksum(uint8_t out[CHECKSUM_LEN], const uint8_t *secret)
{
    blake3_derive(out, CHECKSUM_LEN, "qudag dark client checksum v1",
                  (struct slice){secret, DARK_CLIENT_SECRET_LEN});
}

size_t dark_client_text(char dst[DARK_CLIENT_TEXT_MAX],
                        const uint8_t secret[DARK_CLIENT_SECRET_LEN])
{
    uint8_t b[BINARY_LEN];

    memcpy(b, secret, DARK_CLIENT_SECRET_LEN);
    checksum(b + DARK_CLIENT_SECRET_LEN, secret);
    size_t len = base32_encode(dst, DARK_CLIENT_TEXT_MAX, (struct slice){b, sizeof b});
    dst[len] = '\0';
    wipe(b, sizeof b);
    return len;
}

qudag_err dark_client_parse(uint8_t secret[DARK_CLIENT_SECRET_LEN], const char *text)
{
    uint8_t b[BINARY_LEN], sum[CHECKSUM_LEN];
    char chars[CHARS];
    size_t len = 0;

    memset(secret, 0, DARK_CLIENT_SECRET_LEN);
    for (; len <= CHARS && text[len] != '\0'; len++) {
        char c = text[len];
        c = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')) {
            return QUDAG_EMALFORMED;
        }
        chars[len < CHARS ? len : 0] = c;
    }
    if (len != CHARS) {
        return QUDAG_EMALFORMED;
    }
    qudag_err err = base32_decode(b, sizeof b, &len, (struct slice){(const uint8_t *)chars, CHARS});
    checksum(sum, b);
    if (err != QUDAG_OK || len != BINARY_LEN ||
        memcmp(sum, b + DARK_CLIENT_SECRET_LEN, CHECKSUM_LEN) != 0) {
        err = QUDAG_ECHECKSUM;
    } else {
        memcpy(secret, b, DARK_CLIENT_SECRET_LEN);
    }
    wipe(b, sizeof b);
    wipe(chars, sizeof chars);
    return err;
}
