/*
 * colluding.c - what a colluding node answers: the colluding nodes nearest to the key, never a value of
 * others; every second one forges a value instead, but no Sybil does.  Stores are acknowledged and forgotten.
 */
#include "sim/sim_int.h"

#include "base/rd.h"

#include <string.h>

#define FORGED_LEN 64
#define ANSWER_MAX 8192

static void answer(struct sim *s, uint32_t node, struct ref strm, struct kad_msg *m)
{
    struct kad_peer_info *peers = s->named;
    uint32_t near[KAD_K];
    uint8_t hash[SHA256_LEN], forged[FORGED_LEN], out[ANSWER_MAX];
    uint64_t target = 0;
    size_t len;

    sha256(hash, m->key);
    for (unsigned i = 0; i < 8; i++) {
        target = target << 8 | hash[i];
    }
    if (s->colluders.v == NULL || s->colluders.stale) {
        index_build(s, &s->colluders, true);
    }
    m->n_closer = index_nearest(s, &s->colluders, SIM_NONE, target, KAD_K, near);
    m->closer = peers;
    m->n_providers = 0;
    for (size_t i = 0; i < m->n_closer; i++) {
        host_info(s, near[i], &peers[i]);
    }
    if (m->type == KAD_GET_VALUE && node % 2 == 1 && !s->node[node].sybil) {
        memset(forged, 'f', sizeof(forged));
        m->has_record = true;
        m->rec_key = m->key;
        m->rec_value = (struct slice){forged, sizeof(forged)};
    }
    if (kad_msg_encode(out, sizeof(out), &len, m) == QUDAG_OK) {
        net_send(s, strm, SIM_DATA, (struct slice){out, len});
    }
}

void colluding_answer(struct sim *s, uint32_t node, struct ref strm, struct slice data)
{
    struct kad_msg m = {.closer = s->closer, .providers = s->providers};
    struct rd r = rd_init(data);
    size_t dropped = 0;
    uint64_t len = rd_uvarint(&r);
    struct slice msg = rd_rest(&r);

    if (!rd_ok(&r) || msg.len != len || kad_msg_decode(&m, &dropped, msg) != QUDAG_OK) {
        return;
    }
    if (m.type != KAD_ADD_PROVIDER) {
        answer(s, node, strm, &m);
    }
}
