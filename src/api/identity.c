/* identity.c - qudag_identity_*, qudag_peer_id_*, qudag_dark_check. */
#include "api/internal.h"

#include "crypto/init.h"
#include "node/rekey.h"
#include "wire/succession.h"

#include <stdlib.h>
#include <string.h>

void api_peer_out(qudag_peer_id *out, const struct peer_id *p)
{
    _Static_assert(QUDAG_PEER_ID_MAX == PEER_ID_MAX, "one length");
    memset(out, 0, sizeof(*out));
    out->len = p->len;
    memcpy(out->bytes, p->b, p->len);
}

bool api_peer_in(struct peer_id *out, const qudag_peer_id *p)
{
    if (p == NULL || p->len == 0 || p->len > PEER_ID_MAX) {
        return false;
    }
    return peer_id_from_bytes(out, (struct slice){p->bytes, p->len}) == QUDAG_OK;
}

static qudag_err new_identity(qudag_identity **out)
{
    if (out == NULL) {
        return QUDAG_EINVAL;
    }
    *out = NULL;
    qudag_err err = crypto_init();
    if (err != QUDAG_OK) {
        return err;
    }
    *out = calloc(1, sizeof(**out));
    return *out == NULL ? QUDAG_ENOMEM : QUDAG_OK;
}

qudag_err qudag_identity_generate(qudag_identity **out)
{
    struct rng rng = io_rng();
    qudag_err err = new_identity(out);

    if (err == QUDAG_OK && (err = identity_generate(&(*out)->id, &rng)) != QUDAG_OK) {
        free(*out);
        *out = NULL;
    }
    return err;
}

qudag_err qudag_identity_load(qudag_identity **out, qudag_slice bytes)
{
    if (bytes.base == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = new_identity(out);
    if (err == QUDAG_OK && (err = identity_load(&(*out)->id, slice_in(bytes))) != QUDAG_OK) {
        free(*out);
        *out = NULL;
    }
    return err;
}

void qudag_identity_save(const qudag_identity *id, uint8_t *dst)
{
    _Static_assert(QUDAG_IDENTITY_LEN == IDENTITY_FILE_LEN, "one saved form");
    if (id != NULL && dst != NULL) {
        identity_save(&id->id, dst);
    }
}

void qudag_identity_peer_id(const qudag_identity *id, qudag_peer_id *out)
{
    struct peer_id p;

    if (id != NULL && out != NULL) {
        peer_id_from_ed25519(&p, id->id.ed_pk);
        api_peer_out(out, &p);
    }
}

void qudag_identity_pq_hash(const qudag_identity *id, uint8_t *out)
{
    if (id != NULL && out != NULL) {
        memcpy(out, id->id.pq_hash, QUDAG_PQ_HASH_LEN);
    }
}

qudag_err qudag_identity_rotate(const qudag_identity *id, uint64_t sequence, qudag_identity **out,
                                uint8_t *statement)
{
    struct rng rng = io_rng();

    _Static_assert(QUDAG_SUCCESSION_LEN == SUCCESSION_LEN, "one form");
    _Static_assert(QUDAG_SUCCESSION_KEPT == SUCCESSION_KEPT, "one number");
    if (id == NULL || statement == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = new_identity(out);
    if (err == QUDAG_OK) {
        err = identity_successor(&(*out)->id, &id->id, &rng);
    }
    if (err == QUDAG_OK) {
        err = succession_make(statement, &id->id, &(*out)->id, sequence, io_wall(), &rng);
    }
    if (err != QUDAG_OK && out != NULL) {
        qudag_identity_free(*out);
        *out = NULL;
    }
    return err;
}

void api_succession_out(qudag_succession *out, const struct succession *s)
{
    *out = (qudag_succession){.sequence = s->seq, .made_s = s->made, .until_s = s->until};
    memcpy(out->from, s->from, sizeof(out->from));
    memcpy(out->to, s->to, sizeof(out->to));
    api_peer_out(&out->peer, &s->peer);
}

qudag_err qudag_succession_read(qudag_succession *out, qudag_slice bytes)
{
    struct succession s;
    qudag_err err =
        out != NULL && bytes.base != NULL ? succession_read(&s, slice_in(bytes)) : QUDAG_EINVAL;

    if (err == QUDAG_OK) {
        api_succession_out(out, &s);
    }
    return err;
}

qudag_err qudag_node_rekey(qudag_node *n, const qudag_identity *next, const uint8_t *statement)
{
    if (n == NULL || next == NULL || statement == NULL) {
        return QUDAG_EINVAL;
    }
    return node_rekey(n->node, &next->id, (struct slice){statement, SUCCESSION_LEN}, io_now());
}

void qudag_identity_free(qudag_identity *id)
{
    if (id != NULL) {
        identity_fini(&id->id);
        free(id);
    }
}

qudag_err qudag_peer_id_parse(qudag_peer_id *out, const char *text)
{
    struct peer_id p;
    qudag_err err = out != NULL && text != NULL ? peer_id_parse(&p, text) : QUDAG_EINVAL;

    err = err == QUDAG_OK && !peer_id_has_key(&p) ? QUDAG_EMALFORMED : err;
    if (err == QUDAG_OK) {
        api_peer_out(out, &p);
    }
    return err;
}

void qudag_peer_id_text(const qudag_peer_id *id, char dst[QUDAG_PEER_ID_TEXT_MAX])
{
    struct peer_id p;

    _Static_assert(QUDAG_PEER_ID_TEXT_MAX == PEER_ID_TEXT_MAX, "one text length");
    if (dst == NULL) {
        return;
    }
    dst[0] = '\0';
    if (api_peer_in(&p, id)) {
        (void)peer_id_text(dst, &p);
    }
}

qudag_err qudag_dark_check(const char *addr)
{
    struct dark_addr a;

    return addr != NULL ? dark_addr_parse(&a, addr) : QUDAG_EINVAL;
}
