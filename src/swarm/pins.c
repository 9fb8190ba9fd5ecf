/*
 * pins.c - see pins.h.
 *
 * On disk an entry is   version 2 | source | known | proven | has pin | network (8) | pin (32) | number of its
 * succession (8) | former (32) | length | peer id   under the last 32 bytes of the peer id: a key, or the hash of one.
 */
#include "swarm/pins.h"

#include "base/rd.h"
#include "base/wr.h"

#include <string.h>

#define VERSION 2
#define BYTES_MAX (5 + 8 + SWARM_PIN_LEN + 8 + SWARM_PIN_LEN + 1 + PEER_ID_MAX)
_Static_assert(BYTES_MAX <= SWARM_PIN_CHANGE_MAX, "room for the largest entry");

/* The first list of each source, and how many it has. */
static const struct {
    uint16_t first, n;
} lists_of[SWARM_PIN_SOURCES] = {
    [SWARM_PIN_RECORDED] = {0, 1},
    [SWARM_PIN_MET] = {1, SWARM_PIN_GROUPS},
    [SWARM_PIN_DIALLED] = {1 + SWARM_PIN_GROUPS, SWARM_PIN_GROUPS},
};
_Static_assert(SWARM_PIN_LISTS == 1 + 2 * SWARM_PIN_GROUPS, "each list belongs to one source");

void swarm_pins_init(struct swarm_pins *p, struct mem *mem, const uint8_t seed[16], uint32_t max,
                     bool persist)
{
    *p = (struct swarm_pins){.mem = mem, .max = max, .persist = persist};
    map_init_sized(&p->by_id, mem, seed, PEER_ID_MAX, max);
    memcpy(&p->k0, seed, 8);
    memcpy(&p->k1, seed + 8, 8);
    for (size_t i = 0; i < SWARM_PIN_LISTS; i++) {
        list_init(&p->list[i]);
        list_init(&p->dirty[i]);
    }
}

static void free_list(struct swarm_pins *p, struct list *head, bool by_use)
{
    LIST_EACH_SAFE(it, tmp, head)
    {
        struct swarm_pin_entry *e = by_use ? LIST_ENTRY(it, struct swarm_pin_entry, use)
                                           : LIST_ENTRY(it, struct swarm_pin_entry, dirty);
        list_del(&e->dirty);
        mem_free(p->mem, e);
    }
}

void swarm_pins_fini(struct swarm_pins *p)
{
    for (size_t i = 0; i < SWARM_PIN_LISTS; i++) {
        free_list(p, &p->list[i], true);
        free_list(p, &p->dirty[i], false); /* those that are gone */
    }
    map_fini(&p->by_id);
}

const struct swarm_pin_entry *swarm_pins_get(const struct swarm_pins *p, const struct peer_id *id)
{
    return map_get(&p->by_id, peer_id_slice(id));
}

const struct swarm_proof *swarm_pins_proof(const struct swarm_pins *p, const struct peer_id *id)
{
    static const struct swarm_proof nothing;
    const struct swarm_pin_entry *e = swarm_pins_get(p, id);

    return e != NULL ? &e->proof : &nothing;
}

/* ---- places ---- */

static uint16_t list_of(const struct swarm_pins *p, enum swarm_pin_source source, uint64_t net)
{
    uint8_t bytes[8];

    memcpy(bytes, &net, sizeof(bytes));
    return (uint16_t)(lists_of[source].first +
                      siphash24(p->k0, p->k1, (struct slice){bytes, sizeof(bytes)}) %
                          lists_of[source].n);
}

/* Behind all others of its source, and of its group of networks. */
static void enter(struct swarm_pins *p, struct swarm_pin_entry *e)
{
    e->list = list_of(p, e->source, e->net);
    list_push_back(&p->list[e->list], &e->use);
    p->n[e->list]++;
    p->count[e->source]++;
}

static void leave(struct swarm_pins *p, struct swarm_pin_entry *e)
{
    list_del(&e->use);
    p->n[e->list]--;
    p->count[e->source]--;
}

/* Those that wait to be written, and of which source: what we chose ourselves does not wait for what came to us. */
static uint32_t *waiting(struct swarm_pins *p, const struct swarm_pin_entry *e)
{
    return e->source == SWARM_PIN_DIALLED ? &p->n_now : &p->n_later;
}

static void changed(struct swarm_pins *p, struct swarm_pin_entry *e)
{
    if (p->persist && !list_linked(&e->dirty)) {
        list_push_back(&p->dirty[e->list], &e->dirty);
        (*waiting(p, e))++;
    }
}

static bool unchanged(struct swarm_pins *p, struct swarm_pin_entry *e)
{
    bool was = list_linked(&e->dirty);

    if (was) {
        list_del(&e->dirty);
        (*waiting(p, e))--;
    }
    return was;
}

/* Behind all others of what it is from now on. */
static void move(struct swarm_pins *p, struct swarm_pin_entry *e, enum swarm_pin_source source,
                 uint64_t net)
{
    bool dirty = unchanged(p, e);

    leave(p, e);
    e->source = source;
    e->net = net;
    enter(p, e);
    if (dirty) {
        changed(p, e);
    }
}

/* What never came to the disk need not be removed from there. */
static void give_up(struct swarm_pins *p, struct swarm_pin_entry *e)
{
    (void)unchanged(p, e);
    leave(p, e);
    (void)map_del(&p->by_id, peer_id_slice(&e->id));
    if (e->stored) {
        e->gone = true;
        changed(p, e);
    } else {
        mem_free(p->mem, e);
    }
}

static uint16_t fullest(const struct swarm_pins *p, enum swarm_pin_source source)
{
    uint16_t at = lists_of[source].first, end = (uint16_t)(at + lists_of[source].n);

    for (uint16_t i = at; i < end; i++) {
        at = p->n[i] > p->n[at] ? i : at;
    }
    return at;
}

static bool give_one_of(struct swarm_pins *p, uint16_t ix)
{
    LIST_EACH_SAFE(it, tmp, &p->list[ix])
    {
        struct swarm_pin_entry *e = LIST_ENTRY(it, struct swarm_pin_entry, use);
        if (p->in_use == NULL || !p->in_use(p->ctx, &e->id)) {
            give_up(p, e);
            return true;
        }
    }
    return false;
}

/* Makes room for one of |source|.  False: all there are are in use. */
static bool make_room(struct swarm_pins *p, enum swarm_pin_source source)
{
    bool done = give_one_of(p, fullest(p, swarm_rule_pin_gives(p->count, p->max, source)));

    for (uint16_t i = 0; !done && i < SWARM_PIN_LISTS; i++) {
        done = give_one_of(p, i); /* all of the first choice are in use */
    }
    return done;
}

static struct swarm_pin_entry *make(struct swarm_pins *p, const struct peer_id *id,
                                    enum swarm_pin_source source, uint64_t net)
{
    if (p->by_id.n >= p->max && !make_room(p, source)) {
        return NULL;
    }
    struct swarm_pin_entry *e = mem_alloc(p->mem, sizeof(*e));
    if (e == NULL) {
        return NULL;
    }
    e->id = *id;
    e->source = source;
    e->net = net;
    list_init(&e->use);
    list_init(&e->dirty);
    if (map_put(&p->by_id, peer_id_slice(id), e) != QUDAG_OK) {
        mem_free(p->mem, e);
        return NULL;
    }
    enter(p, e);
    return e;
}

static struct swarm_pin_entry *find(const struct swarm_pins *p, const struct peer_id *id)
{
    return map_get(&p->by_id, peer_id_slice(id));
}

/* ---- what is learnt ---- */

qudag_err swarm_pins_learn(struct swarm_pins *p, const struct peer_id *id,
                           enum swarm_pin_source source, uint64_t net,
                           const struct swarm_claim *now, bool *first)
{
    struct swarm_pin_entry *e = find(p, id);

    *first = false;
    if (e == NULL && (now->props & SWARM_PROVEN_PROPS) == 0 && now->pq_hash == NULL) {
        return QUDAG_OK; /* nothing that could be missed later */
    }
    bool fresh = e == NULL;
    if (fresh && (e = make(p, id, source, net)) == NULL) {
        return QUDAG_ENOMEM;
    }
    uint8_t before = e->proof.proven;
    *first = swarm_rule_learn(&e->proof, now) || e->told;
    e->told = false; /* proven: the link would not have been admitted with another key */
    bool moved = source > e->source;
    move(p, e, moved ? source : e->source, source >= e->source ? net : e->net);
    if (fresh || moved || *first || before != e->proof.proven) {
        changed(p, e);
    }
    return QUDAG_OK;
}

void swarm_pins_chosen(struct swarm_pins *p, const struct peer_id *id, uint64_t net)
{
    struct swarm_pin_entry *e = find(p, id);

    if (e == NULL) {
        return;
    }
    bool moved = e->source != SWARM_PIN_DIALLED;
    move(p, e, SWARM_PIN_DIALLED, net);
    if (moved) {
        changed(p, e);
    }
}

static void set_known(struct swarm_pin_entry *e, const uint8_t pin[SWARM_PIN_LEN])
{
    memcpy(e->proof.pin, pin, SWARM_PIN_LEN);
    e->proof.has_pin = true;
    e->known = true;
    e->told = false;
}

qudag_err swarm_pins_record(struct swarm_pins *p, const struct peer_id *id,
                            const uint8_t pin[SWARM_PIN_LEN])
{
    struct swarm_pin_entry *e = find(p, id);

    if (e != NULL && swarm_rule_former(&e->proof, pin)) {
        return QUDAG_EEXISTS; /* a record from before the key had a successor */
    }
    if (e != NULL && !swarm_rule_pin(&e->proof, pin)) {
        return QUDAG_EAUTH;
    }
    if (e == NULL && (e = make(p, id, SWARM_PIN_RECORDED, 0)) == NULL) {
        return QUDAG_ENOMEM;
    }
    move(p, e, e->source, e->net);
    if (e->known && !e->told) {
        return QUDAG_EEXISTS;
    }
    set_known(e, pin);
    changed(p, e);
    return QUDAG_OK;
}

qudag_err swarm_pins_tell(struct swarm_pins *p, const struct peer_id *id,
                          const uint8_t pin[SWARM_PIN_LEN])
{
    struct swarm_pin_entry *e = find(p, id);

    if (e != NULL && e->proof.has_pin && !e->told) {
        return swarm_pins_record(p, id, pin); /* proven before: he says the same, or is wrong */
    }
    if (e == NULL && (e = make(p, id, SWARM_PIN_RECORDED, 0)) == NULL) {
        return QUDAG_ENOMEM;
    }
    bool same = e->told && swarm_rule_pin(&e->proof, pin);
    move(p, e, e->source, e->net);
    set_known(e, pin);
    e->told = true;
    return same ? QUDAG_EEXISTS : QUDAG_OK;
}

enum swarm_follow swarm_pins_follow(struct swarm_pins *p, const struct peer_id *id,
                                    const struct swarm_successor *next)
{
    struct swarm_pin_entry *e = find(p, id);
    enum swarm_follow verdict = e == NULL ? SWARM_FOLLOW_LATE : swarm_rule_follow(&e->proof, next);

    if (verdict == SWARM_FOLLOW) {
        memcpy(e->proof.former, next->from, SWARM_PIN_LEN);
        memcpy(e->proof.pin, next->to, SWARM_PIN_LEN);
        e->proof.has_former = true;
        e->proof.seq = next->seq;
        e->told = false; /* the old key has signed it */
        changed(p, e);
    }
    return verdict;
}

void swarm_pins_untell(struct swarm_pins *p, const struct peer_id *id)
{
    struct swarm_pin_entry *e = find(p, id);

    if (e != NULL && e->told) {
        e->proof.has_pin = e->known = e->told = false;
    }
}

bool swarm_pins_is_told(const struct swarm_pins *p, const struct peer_id *id)
{
    const struct swarm_pin_entry *e = find(p, id);

    return e != NULL && e->told;
}

/* ---- on disk ---- */

static void name_of(uint8_t name[SWARM_PIN_NAME_LEN], const struct peer_id *id)
{
    size_t len = id->len < SWARM_PIN_NAME_LEN ? id->len : SWARM_PIN_NAME_LEN;

    memset(name, 0, SWARM_PIN_NAME_LEN);
    memcpy(name, id->b + id->len - len, len);
}

/* The next of those of |source|, or of all, of which there is one; the groups of networks take turns. */
static struct swarm_pin_entry *next_dirty(struct swarm_pins *p, bool dialled)
{
    uint16_t first = dialled ? lists_of[SWARM_PIN_DIALLED].first : 0;

    for (uint16_t i = p->turn; i < p->turn + SWARM_PIN_LISTS; i++) {
        uint16_t at = i % SWARM_PIN_LISTS;
        if (at >= first && !list_empty(&p->dirty[at])) {
            p->turn = (uint16_t)((at + 1) % SWARM_PIN_LISTS);
            return LIST_ENTRY(p->dirty[at].next, struct swarm_pin_entry, dirty);
        }
    }
    return NULL;
}

/* Whether one of those may be written that others caused. */
static bool may_write(struct swarm_pins *p, tstamp now)
{
    if (p->granted == 0 && now >= p->batch_at) {
        p->granted = SWARM_PIN_BATCH;
        p->batch_at = tstamp_after(now, SWARM_PIN_BATCH_EVERY);
    }
    if (p->granted == 0) {
        return false;
    }
    p->granted--;
    return true;
}

/*
 * |e|, which is gone, is to be removed from disk; frees it.  False: the peer came back meanwhile, and its new entry
 * takes the place of this one there.
 */
static bool remove_gone(struct swarm_pins *p, struct swarm_pin_entry *e)
{
    struct swarm_pin_entry *newer = find(p, &e->id);

    mem_free(p->mem, e);
    if (newer != NULL) {
        newer->stored = true;
    }
    return newer == NULL;
}

static struct swarm_pin_entry *next_to_write(struct swarm_pins *p, tstamp now)
{
    if (p->n_now > 0) {
        return next_dirty(p, true);
    }
    if (p->n_later == 0) {
        p->granted = p->granted < SWARM_PIN_BATCH ? p->granted : SWARM_PIN_BATCH;
        return NULL;
    }
    return may_write(p, now) ? next_dirty(p, false) : NULL;
}

tstamp swarm_pins_deadline(const struct swarm_pins *p)
{
    return p->n_later > 0 && p->granted == 0 ? p->batch_at : TSTAMP_NEVER;
}

void swarm_pins_due(struct swarm_pins *p)
{
    p->granted = p->n_later;
}

/* What is only told stays here. */
static void encode(const struct swarm_pin_entry *e, struct swarm_pin_change *out)
{
    static const uint8_t nothing[SWARM_PIN_LEN];
    struct wr w = wr_init(out->bytes, sizeof(out->bytes));
    wr_u8(&w, VERSION);
    wr_u8(&w, (uint8_t)e->source);
    wr_u8(&w, e->known && !e->told ? 1 : 0);
    wr_u8(&w, e->proof.proven);
    wr_u8(&w, e->proof.has_pin && !e->told ? 1 : 0);
    wr_u64(&w, e->net);
    wr_bytes(&w, e->told ? nothing : e->proof.pin, SWARM_PIN_LEN);
    wr_u64(&w, e->proof.seq);
    wr_bytes(&w, e->proof.former, SWARM_PIN_LEN); /* zero where it followed none */
    wr_u8(&w, e->id.len);
    wr_slice(&w, peer_id_slice(&e->id));
    out->len = wr_done(&w).len;
}

bool swarm_pins_change(struct swarm_pins *p, tstamp now, struct swarm_pin_change *out)
{
    struct swarm_pin_entry *e;

    while ((e = next_to_write(p, now)) != NULL) {
        (void)unchanged(p, e);
        name_of(out->name, &e->id);
        out->len = 0;
        if (!e->gone) {
            e->stored = true;
            encode(e, out);
            return true;
        }
        if (remove_gone(p, e)) {
            return true;
        }
    }
    return false;
}

void swarm_pins_change_all(struct swarm_pins *p)
{
    for (size_t i = 0; p->persist && i < SWARM_PIN_LISTS; i++) {
        LIST_EACH(it, &p->list[i])
        {
            struct swarm_pin_entry *e = LIST_ENTRY(it, struct swarm_pin_entry, use);
            if (!e->told || e->proof.proven != 0) {
                changed(p, e);
            }
        }
    }
    swarm_pins_due(p);
}

qudag_err swarm_pins_restore(struct swarm_pins *p, const uint8_t name[SWARM_PIN_NAME_LEN],
                             struct slice bytes)
{
    struct rd r = rd_init(bytes);
    struct swarm_pin_entry read = {.gone = false};
    uint8_t expected[SWARM_PIN_NAME_LEN];
    bool version = rd_u8(&r) == VERSION;
    uint8_t source = rd_u8(&r), known = rd_u8(&r);

    read.proof.proven = rd_u8(&r);
    uint8_t has_pin = rd_u8(&r);
    read.net = rd_u64(&r);
    struct slice pin = rd_bytes(&r, SWARM_PIN_LEN);
    read.proof.seq = rd_u64(&r);
    rd_copy(&r, read.proof.former, SWARM_PIN_LEN);
    read.proof.has_former = read.proof.seq != 0;
    struct slice id = rd_bytes(&r, rd_u8(&r));
    if (!rd_done(&r) || !version || source >= SWARM_PIN_SOURCES || known > 1 || has_pin > 1 ||
        (read.proof.proven & ~SWARM_PROVEN_PROPS) != 0 || (known == 1 && has_pin == 0) ||
        peer_id_from_bytes(&read.id, id) != QUDAG_OK) {
        return QUDAG_EMALFORMED;
    }
    name_of(expected, &read.id);
    if (memcmp(name, expected, sizeof(expected)) != 0) {
        return QUDAG_EMALFORMED;
    }
    if (find(p, &read.id) != NULL) {
        return QUDAG_EEXISTS;
    }
    struct swarm_pin_entry *e = make(p, &read.id, (enum swarm_pin_source)source, read.net);
    if (e == NULL) {
        return QUDAG_ENOMEM;
    }
    e->proof = read.proof;
    e->proof.has_pin = has_pin == 1;
    memcpy(e->proof.pin, pin.base, SWARM_PIN_LEN);
    e->known = known == 1;
    e->stored = p->persist;
    return QUDAG_OK;
}
