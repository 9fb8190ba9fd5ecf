/*
 * guards_file.c - guards and second-layer guards as bytes for the disk, and back.
 *
 *   "QDGS" | version 1 | flags: 1 large | n guards | n second | guards | second | BLAKE3 of all before
 *   guard:  added, used, until (8 each) | denied_s (4) | tried, built, used, intact (4 each) | flags: 0 | relay
 *   second: until (8) | denied_s (4) | relay
 *   relay:  peer (field) | ML-DSA hash (32) | family (32) | flags (2) | seq, not_before, expires (8 each)
 *           | n addresses | addresses (fields) | onion keys (32, 1184)
 *
 * All numbers big-endian; a field is a length of two bytes and that many bytes.  The checksum finds damage, it is no
 * protection against whoever can write the file.
 */
#include "core/relays/relays_impl.h"

#include "base/rd.h"
#include "base/wr.h"
#include "crypto/hash.h"
#include "wire/relay_desc.h"

#include <string.h>

#define MAGIC 0x51444753u
#define VERSION 1
#define FLAG_LARGE 1
#define LIFE_MAX (INT64_C(200) * 86400) /* longer than any guard is held */
#define LABEL "qudag guards file v1"

/* --- writing -------------------------------------------------------------------------------- */

static void write_relay(struct wr *w, const struct relays_entry *x)
{
    wr_lp16(w, peer_id_slice(&x->hop.peer));
    wr_bytes(w, x->hop.pq_hash, sizeof x->hop.pq_hash);
    wr_bytes(w, x->family, sizeof x->family);
    wr_u16(w, x->flags);
    wr_u64(w, x->seq);
    wr_u64(w, (uint64_t)x->not_before);
    wr_u64(w, (uint64_t)x->expires);
    wr_u8(w, x->hop.n_addrs);
    for (uint8_t i = 0; i < x->hop.n_addrs; i++) {
        wr_lp16(w, multiaddr_slice(&x->hop.addr[i]));
    }
    wr_bytes(w, x->hop.x, sizeof x->hop.x);
    wr_bytes(w, x->hop.k, sizeof x->hop.k);
}

static void write_guard(struct wr *w, const struct relays_guard *g)
{
    wr_u64(w, (uint64_t)g->added);
    wr_u64(w, (uint64_t)g->used);
    wr_u64(w, (uint64_t)g->until);
    wr_u32(w, g->denied_s);
    wr_u32(w, g->bias.tried);
    wr_u32(w, g->bias.built);
    wr_u32(w, g->bias.used);
    wr_u32(w, g->bias.intact);
    wr_u8(w, 0); /* flags, none yet */
    write_relay(w, &g->x);
}

void relays_guards_sum(uint8_t out[RELAYS_SUM_LEN], struct slice bytes)
{
    blake3_derive(out, RELAYS_SUM_LEN, LABEL, bytes);
}

size_t relays_guards_save(struct relays *r, uint8_t *dst, size_t cap)
{
    uint8_t check[RELAYS_SUM_LEN];
    struct wr w = wr_init(dst, cap);

    wr_u32(&w, MAGIC);
    wr_u8(&w, VERSION);
    wr_u8(&w, r->large ? FLAG_LARGE : 0);
    wr_u8(&w, (uint8_t)r->n_guards);
    wr_u8(&w, (uint8_t)r->n_second);
    for (uint32_t i = 0; i < r->n_guards; i++) {
        write_guard(&w, r->guard[i]);
    }
    for (uint32_t i = 0; i < r->n_second; i++) {
        wr_u64(&w, (uint64_t)r->second[i]->until);
        wr_u32(&w, r->second[i]->denied_s);
        write_relay(&w, &r->second[i]->x);
    }
    relays_guards_sum(check, wr_done(&w));
    wr_bytes(&w, check, sizeof check);
    return wr_done(&w).len;
}

enum relays_dirty relays_guards_dirty(const struct relays *r)
{
    return r->dirty;
}

void relays_guards_saved(struct relays *r)
{
    r->dirty = RELAYS_CLEAN;
}

/* --- reading -------------------------------------------------------------------------------- */

/* A calendar time, not before 1970. */
static walltime read_time(struct rd *r)
{
    uint64_t t = rd_u64(r);

    if (t > INT64_MAX / 2) {
        r->err = true;
        return 0;
    }
    return (walltime)t;
}

static void read_relay(struct rd *r, struct relays_entry *x, bool lab)
{
    struct multiaddr addr;

    *x = (struct relays_entry){0};
    if (peer_id_from_bytes(&x->hop.peer, rd_lp16(r, PEER_ID_MAX)) != QUDAG_OK) {
        r->err = true;
        return;
    }
    rd_copy(r, x->hop.pq_hash, sizeof x->hop.pq_hash);
    rd_copy(r, x->family, sizeof x->family);
    x->flags = rd_u16(r);
    x->seq = rd_u64(r);
    x->not_before = read_time(r);
    x->expires = read_time(r);
    uint8_t n = rd_u8(r);
    if (n > ONION_ADDRS_MAX || x->expires < x->not_before) {
        r->err = true;
        return;
    }
    for (uint8_t i = 0; i < n; i++) {
        if (multiaddr_from_bytes(&addr, rd_lp16(r, MULTIADDR_MAX)) != QUDAG_OK) {
            r->err = true;
            return;
        }
        if (relays_addr_usable(&addr, lab)) {
            x->hop.addr[x->hop.n_addrs++] = addr;
        }
    }
    rd_copy(r, x->hop.x, sizeof x->hop.x);
    rd_copy(r, x->hop.k, sizeof x->hop.k);
    onion_key_id(x->hop.key_id, x->hop.x, x->hop.k);
    relays_nets(x);
}

static void read_guard(struct rd *r, struct relays_guard *g, bool lab)
{
    g->added = read_time(r);
    g->used = read_time(r);
    g->until = read_time(r);
    g->denied_s = rd_u32(r);
    g->bias = (struct relays_bias){0};
    g->bias.tried = rd_u32(r);
    g->bias.built = rd_u32(r);
    g->bias.used = rd_u32(r);
    g->bias.intact = rd_u32(r);
    (void)rd_u8(r);
    r->err = r->err || g->until < g->added || g->until - g->added > LIFE_MAX ||
             g->bias.built > g->bias.tried || g->bias.intact > g->bias.used;
    read_relay(r, &g->x, lab);
}

static qudag_err read_guards(struct relays *r, struct rd *in, uint8_t n)
{
    for (uint8_t i = 0; i < n; i++) {
        struct relays_guard *g = mem_alloc(r->cfg.mem, sizeof *g);
        if (g == NULL) {
            return QUDAG_ENOMEM;
        }
        read_guard(in, g, r->cfg.lab);
        if (!rd_ok(in) || relays_guards_find(r, &g->x.hop.peer) != NULL) {
            mem_free(r->cfg.mem, g);
            return QUDAG_EMALFORMED;
        }
        r->guard[r->n_guards++] = g;
    }
    return QUDAG_OK;
}

static qudag_err read_second(struct relays *r, struct rd *in, uint8_t n)
{
    for (uint8_t i = 0; i < n; i++) {
        struct relays_second *s = mem_alloc(r->cfg.mem, sizeof *s);
        if (s == NULL) {
            return QUDAG_ENOMEM;
        }
        s->until = read_time(in);
        s->denied_s = rd_u32(in);
        read_relay(in, &s->x, r->cfg.lab);
        if (!rd_ok(in) || relays_second_find(r, &s->x.hop.peer) != NULL) {
            mem_free(r->cfg.mem, s);
            return QUDAG_EMALFORMED;
        }
        r->second[r->n_second++] = s;
    }
    return QUDAG_OK;
}

qudag_err relays_guards_load(struct relays *r, struct slice bytes)
{
    uint8_t check[RELAYS_SUM_LEN];

    if (bytes.len < RELAYS_SUM_LEN) {
        return QUDAG_EMALFORMED;
    }
    struct slice body = {bytes.base, bytes.len - RELAYS_SUM_LEN};
    relays_guards_sum(check, body);
    if (memcmp(check, bytes.base + body.len, RELAYS_SUM_LEN) != 0) {
        return QUDAG_EMALFORMED;
    }
    struct rd in = rd_init(body);
    if (rd_u32(&in) != MAGIC || rd_u8(&in) != VERSION) {
        return QUDAG_EMALFORMED;
    }
    relays_guards_free(r);
    relays_second_free(r);
    r->large = (rd_u8(&in) & FLAG_LARGE) != 0;
    uint8_t n_guards = rd_u8(&in), n_second = rd_u8(&in);
    qudag_err err = QUDAG_EMALFORMED;
    if (rd_ok(&in) && n_guards <= RELAYS_SAMPLE_MAX && n_second <= RELAYS_SECOND_MAX) {
        err = read_guards(r, &in, n_guards);
        err = err == QUDAG_OK ? read_second(r, &in, n_second) : err;
        err = err == QUDAG_OK && !rd_done(&in) ? QUDAG_EMALFORMED : err;
    }
    if (err != QUDAG_OK) {
        relays_guards_free(r);
        relays_second_free(r);
        return err;
    }
    r->restored = r->n_guards > 0;
    relays_pool_recall(r);
    r->dirty = RELAYS_CLEAN;
    return QUDAG_OK;
}
