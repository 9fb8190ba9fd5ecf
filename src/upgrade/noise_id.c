/* noise_id.c - who the other side of a Noise session is: the payload of both, its signature, its muxers. */
#include "core/noise/noise_payload.h"
#include "crypto/sign.h"
#include "sec/host_key.h"
#include "upgrade/upgrade_int.h"

#include <string.h>

static const struct slice muxer = {(const uint8_t *)UPGRADE_MUXER, sizeof(UPGRADE_MUXER) - 1};

qudag_err upgrade_noise_start(struct upgrade_link *l)
{
    const struct identity *id = l->u->cfg.identity;
    uint8_t key[KEY_PROTO_ED25519], sig[ED25519_SIG_LEN], text[NOISE_SIGNED_MAX], buf[256];
    struct noise_payload p = {.identity_key = {key, sizeof(key)},
                              .identity_sig = {sig, sizeof(sig)},
                              .muxers = {muxer},
                              .n_muxers = l->u->late_muxer ? 0 : 1};
    size_t len = noise_signed(text, noise_static(l->noise));

    key_proto_ed25519(key, id->ed_pk);
    qudag_err err = ed25519_sign(sig, &id->ed_sk, (struct slice){text, len});
    if (err == QUDAG_OK) {
        err = noise_payload_write(&p, buf, sizeof(buf), &len);
    }
    return err == QUDAG_OK ? noise_start(l->noise, (struct slice){buf, len}) : err;
}

static qudag_err check_identity(struct upgrade_link *l, const struct noise_payload *p,
                                const uint8_t *static_key, const char **text)
{
    uint8_t said[NOISE_SIGNED_MAX];
    size_t len = noise_signed(said, static_key);
    struct peer_id peer;

    qudag_err err =
        host_key_verify(&peer, p->identity_key, p->identity_sig, (struct slice){said, len});
    if (err != QUDAG_OK) {
        *text = host_key_text(err);
        return err;
    }
    l->info.peer = peer;
    if (l->expect.has_peer && !peer_id_eq(&l->expect.peer, &peer)) {
        l->other_peer = true;
        l->found = peer;
        *text = "peer id mismatch";
        return QUDAG_EAUTH;
    }
    return QUDAG_OK;
}

qudag_err upgrade_noise_peer(struct upgrade_link *l, bool *agreed, const char **text)
{
    struct noise_payload theirs, ours = {.muxers = {muxer}, .n_muxers = l->u->late_muxer ? 0 : 1};
    const uint8_t *static_key;
    struct slice payload, chosen;

    noise_peer(l->noise, &static_key, &payload);
    qudag_err err = noise_payload_read(&theirs, payload);
    if (err != QUDAG_OK) {
        *text = "peer's Noise payload is malformed";
        return err;
    }
    err = check_identity(l, &theirs, static_key, text);
    if (err != QUDAG_OK) {
        return err;
    }
    err = noise_muxer(l->dialer ? &ours : &theirs, l->dialer ? &theirs : &ours, &chosen);
    *agreed = err == QUDAG_OK;
    if (err == QUDAG_EUNSUPPORTED) {
        *text = "no stream muxer in common";
        return err;
    }
    return QUDAG_OK;
}
