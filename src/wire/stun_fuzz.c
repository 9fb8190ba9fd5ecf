/*
 * stun_fuzz.c - what anybody may send to the socket: whatever is accepted lies within what was given, and what of it
 * can be written is read as the same again.
 */
#include "base/assert.h"
#include "wire/stun.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct slice s, struct slice in)
{
    return s.base == NULL || (s.base >= in.base && s.base + s.len <= in.base + in.len);
}

static void again(struct stun_msg *m, struct slice key)
{
    uint8_t buf[STUN_MSG_MAX];
    struct stun_msg r;

    m->error = m->class == STUN_ERROR ? m->error : 0;
    m->n_unknown = m->error != 0 ? m->n_unknown : 0;
    struct slice d = {buf, stun_write(buf, sizeof(buf), m, key)};
    ASSERT(d.len >= STUN_HEADER);
    ASSERT(stun_parse(&r, d) == QUDAG_OK);
    ASSERT(r.class == m->class && memcmp(r.id, m->id, sizeof(r.id)) == 0);
    ASSERT(r.username.len == m->username.len && r.error == m->error);
    ASSERT(netaddr_eq(&r.mapped, &m->mapped) && r.nominates == m->nominates);
    ASSERT(r.delay_s == m->delay_s);
    ASSERT(r.has_priority == m->has_priority && r.priority == m->priority);
    ASSERT(r.integrity == m->integrity && r.fingerprint == m->fingerprint);
    ASSERT(stun_check(&r, d, key) == (m->integrity != STUN_NO_INTEGRITY));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice in = {data, size}, key = {(const uint8_t *)"key", 3};
    struct stun_msg m;
    qudag_err err = stun_parse(&m, in);

    ASSERT(err == QUDAG_OK || err == QUDAG_EMALFORMED || err == QUDAG_EUNSUPPORTED);
    ASSERT(stun_is(in) || err == QUDAG_EMALFORMED);
    if (err == QUDAG_OK) {
        ASSERT(inside(m.username, in) && inside(m.software, in));
        ASSERT(m.username.len <= STUN_USERNAME_MAX && m.n_unknown <= STUN_UNKNOWN_MAX);
        (void)stun_check(&m, in, key);
        again(&m, key);
    }
    return 0;
}
