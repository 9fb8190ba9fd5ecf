/*
 * check.c - what must hold at every moment.
 *
 *   every request answered exactly once, in time                                  (work.c reports here)
 *   a core's actions fit the list it was given, its ticks come to an end
 *   memory within the cap; all of it returned when the node is gone
 *   tables: nobody twice, not ourselves, only servers that existed, at most k with the same prefix length
 *   records held: accepted by their validator, not yet expired for longer than a sweep
 *
 * A second of virtual time looks into a sixtieth of all nodes, the end into all of them.
 */
#include "sim/sim_int.h"

#include "base/map.h"
#include "base/rd.h"

#include <string.h>

#define SWEEP 120 /* s: expired records leave within two rounds of maintenance */
#define TABLE_MAX 1024
#define LAST_BUCKET 31

void check_fail(struct sim *s, uint32_t node, const char *what)
{
    if (s->report.violations++ == 0) {
        s->report.violation = what;
        s->report.violation_at = s->world.now - SIM_BEGIN;
        s->report.violation_node = node;
    }
}

void check_acts(struct sim *s, uint32_t node, const struct acts *out)
{
    if (out->overflow || out->n > ACTS_ROOM || out->bytes_n > ACTS_BYTES_ROOM) {
        check_fail(s, node, "a core produced more actions at once than allowed");
    }
}

void check_gone(struct sim *s, uint32_t node)
{
    const struct mem *m = &s->node[node].mem;

    if (m->used != 0) {
        check_fail(s, node, "a core did not return all memory");
    }
    if (m->max > 0 && m->peak > m->max) {
        check_fail(s, node, "a core exceeded its memory limit");
    }
}

static unsigned shared_bits(uint64_t a, uint64_t b)
{
    unsigned n = 0;

    for (uint64_t d = a ^ b; n < 64 && (d >> 63) == 0; n++) {
        d <<= 1;
    }
    return n;
}

/* 0 when the entry names nobody that ever was; *there: it is online in that very life. */
static bool entry_known(const struct sim *s, const struct peer_id *id, uint64_t *prefix,
                        bool *there)
{
    uint8_t hash[SHA256_LEN];
    uint32_t node;
    struct rd r = {.p = hash, .left = sizeof(hash)};
    bool known = host_by_id(s, id, &node);

    *there = known && sim_there(&s->node[node]);
    if (known) {
        *prefix = s->prefix[node];
    } else {
        sha256(hash, peer_id_slice(id));
        *prefix = rd_u64(&r);
    }
    return !*there || !s->node[node].nat;
}

static void check_table(struct sim *s, uint32_t node)
{
    const struct sim_node *nd = &s->node[node];
    uint64_t seen[KAD_K] = {0}, prefix;
    unsigned bucket[LAST_BUCKET + 1] = {0};
    struct kad_peer_info info;
    struct kad_stats st;
    size_t n = 0;
    bool there;

    for (size_t it = 0; n < TABLE_MAX && kad_table_next(nd->kad, &it, &info);) {
        if (!entry_known(s, &info.id, &prefix, &there)) {
            check_fail(s, node, "a routing table contains a client");
        }
        if (peer_id_eq(&info.id, &nd->id) || info.n_addrs == 0) {
            check_fail(s, node, "a routing table holds its owner, or a peer without address");
        }
        /* entries come bucket by bucket: |seen| are those of this one */
        unsigned cpl = shared_bits(prefix, s->prefix[node]);
        cpl = cpl < LAST_BUCKET ? cpl : LAST_BUCKET;
        if (bucket[cpl] >= KAD_K) {
            check_fail(s, node, "a bucket contains more than k entries");
            continue;
        }
        for (size_t i = 0; i < bucket[cpl]; i++) {
            if (seen[i] == prefix) {
                check_fail(s, node, "a routing table contains a peer twice");
            }
        }
        seen[bucket[cpl]++] = prefix;
        n++;
    }
    kad_stats_get(nd->kad, &st);
    if (st.table != n) {
        check_fail(s, node, "a routing table's count is wrong");
    }
}

static bool sim_key(struct slice key)
{
    static const char ours[] = "/" SIM_VALUES_NS "/";

    return key.len >= sizeof(ours) - 1 && memcmp(key.base, ours, sizeof(ours) - 1) == 0;
}

static void check_records(struct sim *s, uint32_t node)
{
    struct kad_validator v = sim_validator(s);
    walltime expires, now = host_wall(s, node), most = now + KAD_RECORD_LIFE;
    struct slice key, value;

    for (size_t it = 0; kad_record_next(s->node[node].kad, &it, &key, &value, &expires);) {
        if (s->host != NULL && !sim_key(key)) {
            continue; /* a record of the node's own: descriptors */
        }
        if (!hostile_key(key) && v.check(v.ctx, key, value, now, &most) != QUDAG_OK) {
            check_fail(s, node, "a stored record is refused by its validator");
        }
        if (expires + SWEEP < now || expires > now + KAD_RECORD_LIFE) {
            check_fail(s, node, "a record is stored beyond its lifetime");
        }
    }
}

static void check_node(struct sim *s, uint32_t node)
{
    const struct sim_node *nd = &s->node[node];

    if (nd->kad == NULL) {
        return;
    }
    if (nd->mem.max > 0 && nd->mem.used > nd->mem.max) {
        check_fail(s, node, "a core exceeded its memory limit");
    }
    check_table(s, node);
    check_records(s, node);
}

void check_event(struct sim *s)
{
    uint32_t n = s->n / 60 + 1;

    work_late(s);
    for (uint32_t i = 0; i < n; i++) {
        check_node(s, s->check_next);
        s->check_next = (s->check_next + 1) % s->n;
    }
    world_push(&s->world, (struct sim_event){.at = s->world.now + NS_PER_S, .kind = SIM_CHECK});
}

static void add_refused(struct sim_report *r, const struct sim_node *nd)
{
    struct kad_stats st;

    kad_stats_get(nd->kad, &st);
    for (size_t i = 0; i < KAD_REFUSALS; i++) {
        r->refused[i] += nd->hostile ? 0 : st.refused[i];
    }
}

void check_all(struct sim *s)
{
    struct sim_report *r = &s->report;
    struct kad_peer_info info;
    uint64_t prefix;
    bool there;

    work_late(s);
    r->cores = 0;
    r->memory_sum = r->memory_max = r->memory_refused = r->table_sum = r->table_dead = 0;
    r->memory_shared = s->mem.used;
    memset(r->refused, 0, sizeof(r->refused));
    for (uint32_t i = 0; i < s->n; i++) {
        const struct sim_node *nd = &s->node[i];
        if (nd->kad == NULL) {
            continue;
        }
        check_node(s, i);
        r->cores++;
        r->memory_sum += nd->mem.used;
        r->memory_max = nd->mem.peak > r->memory_max ? nd->mem.peak : r->memory_max;
        r->memory_refused += nd->mem.refused;
        add_refused(r, nd);
        for (size_t it = 0; kad_table_next(nd->kad, &it, &info);) {
            (void)entry_known(s, &info.id, &prefix, &there);
            r->table_sum++;
            r->table_dead += !there;
        }
    }
}
