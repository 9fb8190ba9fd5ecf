/* rend_work.c - see rend_work.h. */
#include "wire/rend_work.h"

#include "base/assert.h"
#include "base/rd.h"
#include "base/wr.h"
#include "crypto/argon2.h"
#include "crypto/hash.h"

#include <string.h>

#define VALUE_LEN (REND_WORK_ID_LEN + 4 + 8)
#define TRIES_PER_EFFORT 16

_Static_assert(REND_WORK_EXT_LEN == 1 + 2 + VALUE_LEN, "extension");

void rend_work_task_make(struct rend_work_task *t, const uint8_t seed[REND_WORK_SEED_LEN],
                         uint32_t effort, const uint8_t addr[REND_ADDR_LEN],
                         const uint8_t intro_key[ED25519_PK_LEN], const uint8_t X[X25519_LEN])
{
    uint8_t all[REND_WORK_SEED_LEN + REND_ADDR_LEN + ED25519_PK_LEN + X25519_LEN];
    struct wr w = wr_init(all, sizeof all);

    wr_bytes(&w, seed, REND_WORK_SEED_LEN);
    wr_bytes(&w, addr, REND_ADDR_LEN);
    wr_bytes(&w, intro_key, ED25519_PK_LEN);
    wr_bytes(&w, X, X25519_LEN);
    ASSERT(wr_ok(&w) && w.len == sizeof all);
    blake3_derive(t->challenge, sizeof t->challenge, "qudag rendezvous work v1",
                  (struct slice){all, sizeof all});
    t->effort = effort;
}

qudag_err rend_work_check(const struct rend_work_task *t, uint64_t nonce)
{
    static const uint8_t salt[ARGON2_SALT_LEN] = "qudag work v1";
    uint8_t password[sizeof t->challenge + 4 + 8], out[ARGON2_LEN_MIN];
    struct wr w = wr_init(password, sizeof password);

    if (t->effort == 0) {
        return QUDAG_EAUTH;
    }
    wr_bytes(&w, t->challenge, sizeof t->challenge);
    wr_u32(&w, t->effort);
    wr_u64(&w, nonce);
    ASSERT(wr_ok(&w));
    qudag_err err =
        argon2_id(out, sizeof out, (struct slice){password, sizeof password}, salt, REND_WORK_KIB);
    if (err != QUDAG_OK) {
        return err;
    }
    struct rd r = rd_init((struct slice){out, sizeof out});
    return rd_u64(&r) <= UINT64_MAX / t->effort ? QUDAG_OK : QUDAG_EAUTH;
}

uint64_t rend_work_tries(uint32_t effort)
{
    return (uint64_t)effort * TRIES_PER_EFFORT;
}

qudag_err rend_work_solve(const struct rend_work_task *t, uint64_t *nonce, uint64_t n)
{
    for (; n > 0; n--, ++*nonce) {
        qudag_err err = rend_work_check(t, *nonce);
        if (err != QUDAG_EAUTH) {
            return err;
        }
    }
    return QUDAG_ENOTFOUND;
}

void rend_work_put(uint8_t ext[REND_WORK_EXT_LEN], const struct rend_work *work)
{
    struct wr w = wr_init(ext, REND_WORK_EXT_LEN);

    wr_u8(&w, REND_EXT_WORK);
    wr_u16(&w, VALUE_LEN);
    wr_bytes(&w, work->seed_id, sizeof work->seed_id);
    wr_u32(&w, work->effort);
    wr_u64(&w, work->nonce);
    ASSERT(wr_ok(&w) && w.len == REND_WORK_EXT_LEN);
}

qudag_err rend_work_get(struct slice list, struct rend_work *work)
{
    struct slice value;

    memset(work, 0, sizeof *work);
    if (!rend_ext_find(list, REND_EXT_WORK, &value)) {
        return QUDAG_ENOTFOUND;
    }
    struct rd r = rd_init(value);
    rd_copy(&r, work->seed_id, sizeof work->seed_id);
    work->effort = rd_u32(&r);
    work->nonce = rd_u64(&r);
    return rd_ok(&r) && r.left == 0 && work->effort > 0 ? QUDAG_OK : QUDAG_EAUTH;
}
