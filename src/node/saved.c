/*
 * saved.c - everything that outlives the process: names, forms, writing and taking back.
 *
 *   hooks.save     guards           sample of entry guards, second-layer guards (core/relays/guards_file.c)
 *                  onion-key        of the relay: when it was made (u64, s), X25519 secret, ML-KEM seed
 *                  onion-key-2      the same; the newer is the current one, the other that before it
 *                  owner            whose state it is: SHA-256 of a label and the Ed25519 key
 *                  succession-N     a statement that one of our ML-DSA keys has a successor (wire/succession.h)
 *                  kept             peers that are to be kept linked (kept.h)
 *                  relay-seq        u64, of the last relay descriptor
 *                  record-seq       u64, of the last signed peer record
 *                  dark-NAME        keys of a dark address, with its clients
 *                  hid-NAME         handshake keys of the service there, if it is of the hidden kind
 *                  auth-NAME        address of somebody else and the secret that lets us call it, as text
 *                  pub-NAME         its text, while it is to be published again after a restart
 *   hooks.persist  records and contacts of the DHT, what peers have proven (pins)
 */
#include "node/internal.h"

#include "base/rd.h"
#include "base/wr.h"
#include "core/dark/clients.h"
#include "crypto/hash.h"
#include "crypto/kex.h"

#include <string.h>

#define DARK_PREFIX NODE_SAVED_DARK
#define SERVICE_PREFIX "hid-"
#define PUBLISHED_PREFIX "pub-"
#define AUTH_PREFIX "auth-"
#define SUCCESSION_PREFIX "succession-"
#define AUTH_MAX (DARK_TEXT_MAX + DARK_CLIENT_TEXT_MAX)
#define NAME_MAX_LEN (sizeof(DARK_PREFIX) + 32)
#define ONION_KEY_FILE_LEN (8 + X25519_LEN + MLKEM768_SEED_LEN)
#define SEQ_FILE_LEN 8
#define ANCHORS_FIRST (10 * NS_PER_S) /* after the start */
#define ANCHORS_EVERY (300 * NS_PER_S)

/* ---- the relay ---- */

void node_saved_guards(struct node *n, bool all)
{
    enum relays_dirty dirty = relays_guards_dirty(n->relays);

    if (dirty != RELAYS_DIRTY_NOW && (dirty == RELAYS_CLEAN || !all)) {
        return;
    }
    uint8_t *buf = mem_alloc(n->mem, RELAYS_GUARDS_FILE_MAX);
    if (buf == NULL) {
        return; /* it is tried again with the next circuit */
    }
    size_t len = relays_guards_save(n->relays, buf, RELAYS_GUARDS_FILE_MAX);
    if (len > 0 && node_save(n, "guards", (struct slice){buf, len}) == QUDAG_OK) {
        relays_guards_saved(n->relays);
    }
    mem_free_wiped(n->mem, buf);
}

static qudag_err guards_restore(struct node *n, struct slice bytes)
{
    return relays_guards_load(n->relays, bytes);
}

static const char *const onion_key_name[NODE_ONION_SLOTS] = {"onion-key", "onion-key-2"};

static qudag_err onion_key_restore(struct node *n, unsigned slot, struct slice file)
{
    struct rd r = rd_init(file);
    struct onion_key key = {.tag = 0};
    struct secret_mlkem768 seed;
    struct mlkem_key *dk = NULL;
    uint64_t made = rd_u64(&r);
    struct slice x = rd_bytes(&r, X25519_LEN), k = rd_bytes(&r, MLKEM768_SEED_LEN);

    if (!rd_done(&r) || made > INT64_MAX) {
        return QUDAG_EMALFORMED;
    }
    if (!n->cfg.relay) {
        return QUDAG_OK;
    }
    memcpy(key.x_sk.b, x.base, X25519_LEN);
    memcpy(seed.seed, k.base, MLKEM768_SEED_LEN);
    qudag_err err = x25519_public(key.x, &key.x_sk);
    if (err == QUDAG_OK) {
        err = mlkem768_load(&dk, key.k, &seed);
    }
    if (err == QUDAG_OK) {
        err = node_keys_take_relay(n, slot, (walltime)made, &key, dk);
    }
    wipe(&key, sizeof(key));
    wipe(&seed, sizeof(seed));
    return err;
}

static qudag_err onion_key_1_restore(struct node *n, struct slice file)
{
    return onion_key_restore(n, 0, file);
}

static qudag_err onion_key_2_restore(struct node *n, struct slice file)
{
    return onion_key_restore(n, 1, file);
}

qudag_err node_saved_make_onion_key(struct node *n, unsigned slot, walltime made)
{
    struct onion_key key = {.tag = 0};
    struct secret_mlkem768 seed;
    struct mlkem_key *dk = NULL;
    uint8_t file[ONION_KEY_FILE_LEN];
    struct wr w = wr_init(file, sizeof(file));
    qudag_err err = x25519_keypair(&key.x_sk, key.x, &n->cfg.rng);

    if (err == QUDAG_OK) {
        err = mlkem768_keygen(&dk, key.k, &seed, &n->cfg.rng);
    }
    if (err == QUDAG_OK) {
        wr_u64(&w, made > 0 ? (uint64_t)made : 0);
        wr_bytes(&w, key.x_sk.b, X25519_LEN);
        wr_bytes(&w, seed.seed, MLKEM768_SEED_LEN);
        err = node_save(n, onion_key_name[slot], wr_done(&w));
    }
    if (err == QUDAG_OK) {
        err = node_keys_take_relay(n, slot, made, &key, dk);
    } else {
        mlkem768_free(dk);
    }
    wipe(&key, sizeof(key));
    wipe(&seed, sizeof(seed));
    wipe(file, sizeof(file));
    return err;
}

void node_saved_forget_onion_key(struct node *n, unsigned slot)
{
    (void)(node_save(n, onion_key_name[slot], (struct slice){NULL, 0}) == QUDAG_OK);
}

/* ---- numbers that never go back ---- */

/*
 * Without room on disk what has the number leaves all the same: then only a clock that goes back over a
 * restart could make the number go back, and that it was not saved is in the log.
 */
static void seq_save(struct node *n, const char *name, uint64_t seq)
{
    uint8_t bytes[SEQ_FILE_LEN];
    struct wr w = wr_init(bytes, sizeof(bytes));

    wr_u64(&w, seq);
    (void)(node_save(n, name, (struct slice){bytes, sizeof(bytes)}) == QUDAG_OK);
}

static qudag_err seq_read(uint64_t *seq, struct slice bytes)
{
    struct rd r = rd_init(bytes);
    uint64_t read = rd_u64(&r);

    if (!rd_done(&r) || read > INT64_MAX) {
        return QUDAG_EMALFORMED;
    }
    *seq = read;
    return QUDAG_OK;
}

void node_saved_desc_seq(struct node *n)
{
    seq_save(n, "relay-seq", n->desc_seq);
}

static qudag_err desc_seq_restore(struct node *n, struct slice bytes)
{
    return seq_read(&n->desc_seq, bytes);
}

void node_saved_record_seq(struct node *n)
{
    seq_save(n, "record-seq", n->record_seq);
}

static qudag_err record_seq_restore(struct node *n, struct slice bytes)
{
    return seq_read(&n->record_seq, bytes);
}

/* ---- whose it is ---- */

static void owner_of(const struct node *n, uint8_t out[SHA256_LEN])
{
    static const char label[] = "qudag state owner";
    uint8_t bytes[sizeof(label) + ED25519_PK_LEN];
    struct wr w = wr_init(bytes, sizeof(bytes));

    wr_bytes(&w, label, sizeof(label));
    wr_bytes(&w, n->cfg.identity->ed_pk, ED25519_PK_LEN);
    sha256(out, wr_done(&w));
}

void node_saved_owner(struct node *n)
{
    uint8_t owner[SHA256_LEN];

    if (!n->owner_saved) {
        owner_of(n, owner);
        n->owner_saved = node_save(n, "owner", (struct slice){owner, sizeof(owner)}) == QUDAG_OK;
    }
}

static qudag_err owner_restore(struct node *n, struct slice bytes)
{
    uint8_t owner[SHA256_LEN];

    if (bytes.len != sizeof(owner)) {
        return QUDAG_EMALFORMED;
    }
    owner_of(n, owner);
    n->owner_saved = memcmp(owner, bytes.base, sizeof(owner)) == 0;
    n->foreign = !n->owner_saved;
    return n->foreign ? QUDAG_EAUTH : QUDAG_OK;
}

/*
 * A statement about a key of ours; whether the keys that it leads to are ours is for whoever starts the node to see,
 * before it does: the identity may be a copy from before.
 */
static qudag_err succession_restore(struct node *n, struct slice bytes)
{
    struct succession s;
    struct peer_id self;
    qudag_err err = succession_read(&s, bytes);

    peer_id_from_ed25519(&self, n->cfg.identity->ed_pk);
    if (err == QUDAG_OK && !peer_id_eq(&self, &s.peer)) {
        err = QUDAG_EAUTH;
    }
    if (err == QUDAG_OK && memcmp(s.to, n->cfg.identity->pq_hash, sizeof(s.to)) == 0 &&
        node_wall(n, n->now) - s.made < NODE_ONION_KEY_OVERLAP) {
        onion_former(n->onion, s.from);
    }
    return err == QUDAG_OK ? successions_own(&n->successions, &s, bytes) : err;
}

bool node_foreign(const struct node *n)
{
    return n->foreign;
}

/* ---- dark addresses ---- */

/* File names come from the address: 24 characters of its text are enough to distinguish it. */
static void file_name(char name[NAME_MAX_LEN], const char *prefix, const struct dark_addr *a)
{
    char text[DARK_TEXT_MAX];
    size_t len = strlen(prefix);

    (void)dark_addr_text(text, a);
    memcpy(name, prefix, len);
    memcpy(name + len, text + 8, 24); /* behind version and network, which are equal for all */
    name[len + 24] = '\0';
}

qudag_err node_saved_dark_keys(struct node *n, const struct dark_keys *k)
{
    uint8_t file[DARK_SECRET_LEN];
    char name[NAME_MAX_LEN];

    dark_keys_save(k, file);
    file_name(name, DARK_PREFIX, &k->addr);
    qudag_err err = node_save(n, name, (struct slice){file, sizeof(file)});
    wipe(file, sizeof(file));
    return err;
}

qudag_err node_saved_service_keys(struct node *n, const struct dark_addr *a, struct slice bytes)
{
    char name[NAME_MAX_LEN];

    file_name(name, SERVICE_PREFIX, a);
    return node_save(n, name, bytes);
}

void node_saved_forget_dark_keys(struct node *n, const struct dark_addr *a)
{
    char name[NAME_MAX_LEN];

    file_name(name, DARK_PREFIX, a);
    (void)(node_save(n, name, (struct slice){NULL, 0}) == QUDAG_OK);
    (void)(node_saved_service_keys(n, a, (struct slice){NULL, 0}) == QUDAG_OK);
    node_saved_published(n, a, false);
}

void node_saved_published(struct node *n, const struct dark_addr *a, bool on)
{
    char name[NAME_MAX_LEN], text[DARK_TEXT_MAX];

    file_name(name, PUBLISHED_PREFIX, a);
    size_t len = dark_addr_text(text, a);
    struct slice bytes = {(const uint8_t *)text, on ? len : 0};
    (void)(node_save(n, name, bytes) == QUDAG_OK);
}

static qudag_err dark_restore(struct node *n, struct slice bytes)
{
    struct dark_keys k;
    qudag_err err = dark_keys_load(&k, bytes);

    if (err != QUDAG_OK) {
        return err;
    }
    err = k.kind == DARK_DIRECT ? node_keys_listen(n, &k) : QUDAG_OK;
    if (err == QUDAG_OK && (err = dark_own(n->dark, &k)) != QUDAG_OK) {
        onion_key_del(n->onion, k.key_id);
    }
    dark_keys_fini(&k);
    return err;
}

/* Kept until the service begins, of which nothing else is known yet. */
static qudag_err service_restore(struct node *n, struct slice bytes)
{
    if (hidden_saved_addr(bytes) == NULL) {
        return QUDAG_EMALFORMED;
    }
    struct node_service_keys *k = mem_alloc(n->mem, sizeof(*k));
    if (k == NULL) {
        return QUDAG_ENOMEM;
    }
    memcpy(k->bytes, bytes.base, sizeof(k->bytes));
    list_push_back(&n->serving_keys, &k->node);
    return QUDAG_OK;
}

qudag_err node_saved_authorization(struct node *n, const struct dark_addr *a, const uint8_t *secret)
{
    char name[NAME_MAX_LEN], text[AUTH_MAX];
    size_t len = 0;

    file_name(name, AUTH_PREFIX, a);
    if (secret != NULL) {
        len = dark_addr_text(text, a);
        text[len++] = ' ';
        len += dark_client_text(text + len, secret);
    }
    qudag_err err = node_save(n, name, (struct slice){(const uint8_t *)text, len});
    wipe(text, sizeof(text));
    return err;
}

static qudag_err authorization_restore(struct node *n, struct slice bytes)
{
    uint8_t secret[DARK_CLIENT_SECRET_LEN];
    char text[AUTH_MAX] = {0};
    struct dark_addr a;

    if (bytes.len == 0 || bytes.len >= sizeof(text)) {
        return QUDAG_EMALFORMED;
    }
    memcpy(text, bytes.base, bytes.len);
    char *space = strchr(text, ' ');
    qudag_err err = space == NULL ? QUDAG_EMALFORMED : QUDAG_OK;
    if (err == QUDAG_OK) {
        *space = '\0';
        err = dark_addr_parse(&a, text);
    }
    if (err == QUDAG_OK && (err = dark_client_parse(secret, space + 1)) == QUDAG_OK) {
        err = dark_authorize(n->dark, &a, secret);
    }
    wipe(secret, sizeof(secret));
    wipe(text, sizeof(text));
    return err;
}

static qudag_err published_restore(struct node *n, struct slice bytes)
{
    struct dark_addr a;
    char text[DARK_TEXT_MAX] = {0};

    if (bytes.len == 0 || bytes.len >= sizeof(text)) {
        return QUDAG_EMALFORMED;
    }
    memcpy(text, bytes.base, bytes.len);
    qudag_err err = dark_addr_parse(&a, text);
    if (err == QUDAG_OK && n->n_republish < DARK_ADDRS_MAX) {
        n->republish[n->n_republish++] = a;
    }
    return err;
}

qudag_err node_restore(struct node *n, const char *name, struct slice bytes, tstamp now)
{
    static const struct {
        const char *name;
        bool prefix;
        qudag_err (*restore)(struct node *n, struct slice bytes);
    } items[] = {
        {"guards", false, guards_restore},
        {"onion-key", false, onion_key_1_restore},
        {"onion-key-2", false, onion_key_2_restore},
        {"relay-seq", false, desc_seq_restore},
        {"record-seq", false, record_seq_restore},
        {DARK_PREFIX, true, dark_restore},
        {SERVICE_PREFIX, true, service_restore},
        {PUBLISHED_PREFIX, true, published_restore},
        {SUCCESSION_PREFIX, true, succession_restore},
        {AUTH_PREFIX, true, authorization_restore},
        {"owner", false, owner_restore},
        {"kept", false, node_keep_restore},
    };
    (void)now;

    if (n->boot.started) {
        return QUDAG_ESTATE;
    }
    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        if (items[i].prefix ? strncmp(name, items[i].name, strlen(items[i].name)) == 0
                            : strcmp(name, items[i].name) == 0) {
            return items[i].restore(n, bytes);
        }
    }
    return QUDAG_EUNSUPPORTED;
}

/* ---- the DHT ---- */

void node_saved_dht(struct node *n, tstamp now)
{
    struct kad_change c;

    while (n->cfg.persist && n->hooks.persist != NULL && kad_change_next(n->kad, &c, now)) {
        if (n->hooks.persist(n->hooks.ctx, c.kind, c.hash, c.bytes) != QUDAG_OK) {
            kad_read_only(n->kad, true);
        }
    }
}

/* ---- pins ---- */

void node_saved_pins(struct node *n)
{
    struct swarm_pin_change c;

    while (swarm_pin_change_next(n->swarm, n->now, &c)) {
        struct slice bytes = {c.bytes, c.len};
        if (n->hooks.persist != NULL) {
            /* Without room it is lost; once there is some again all are put again. */
            (void)n->hooks.persist(n->hooks.ctx, KAD_PERSIST_PIN, c.name, bytes);
        }
    }
}

/* What the table holds now is persisted for the next start; an empty table is not worth it. */
void node_saved_anchors(struct node *n, tstamp now)
{
    static const uint8_t none[SHA256_LEN];
    struct kad_stats st;

    n->anchors_at = tstamp_after(now, ANCHORS_EVERY);
    kad_stats_get(n->kad, &st);
    uint8_t *buf = st.table > 0 ? mem_alloc(n->mem, KAD_ANCHORS_BYTES) : NULL;
    if (buf != NULL) {
        size_t len = kad_anchors(n->kad, buf, KAD_ANCHORS_BYTES);
        if (n->hooks.persist != NULL) {
            (void)n->hooks.persist(n->hooks.ctx, KAD_PERSIST_ANCHORS, none,
                                   (struct slice){buf, len});
        }
        mem_free(n->mem, buf);
    }
}

/* A few of them, drawn: those that were there first are everybody's. */
static qudag_err anchors_restore(struct node *n, struct slice bytes)
{
    struct kad_peer_info *info = mem_alloc(n->mem, sizeof(*info));
    uint32_t seen = 0;

    if (info == NULL) {
        return QUDAG_ENOMEM;
    }
    n->n_anchors = 0;
    for (size_t at = 0; kad_anchor_next(bytes, &at, info);) {
        if (info->n_addrs == 0 || !node_rule_addr(&info->addr[0], n->cfg.lab)) {
            continue;
        }
        uint32_t ix = seen < NODE_ANCHOR_DIALS ? seen : (uint32_t)rng_below(&n->cfg.rng, seen + 1);
        seen++;
        if (ix < NODE_ANCHOR_DIALS) {
            struct netaddr a;
            if (multiaddr_to_tcp(&info->addr[0], &a)) {
                multiaddr_tcp(&n->anchor[ix], &a, &info->id);
            } else if (multiaddr_to_netaddr(&info->addr[0], &a)) {
                multiaddr_quic(&n->anchor[ix], &a, &info->id);
            }
            n->n_anchors = seen < NODE_ANCHOR_DIALS ? seen : NODE_ANCHOR_DIALS;
        }
    }
    mem_free(n->mem, info);
    return QUDAG_OK;
}

qudag_err node_dht_restore(struct node *n, enum kad_persist_kind kind, const uint8_t *hash,
                           struct slice bytes, tstamp now)
{
    n->now = now;
    switch (kind) {
    case KAD_PERSIST_ANCHORS:
        return anchors_restore(n, bytes);
    case KAD_PERSIST_PIN:
        return swarm_pin_restore(n->swarm, hash, bytes);
    default:
        return kad_restore(n->kad, kind, hash, bytes, now);
    }
}

void node_persist_room(struct node *n, bool room, bool all, tstamp now)
{
    kad_read_only(n->kad, !room);
    if (all) {
        kad_change_all(n->kad);
        node_saved_dht(n, now);
        swarm_pin_change_all(n->swarm);
        node_saved_pins(n);
        node_saved_anchors(n, now);
    }
}

/* ---- when ---- */

static void saved_tick(void *node, tstamp now, struct acts *out)
{
    (void)out;
    node_saved_anchors(node, now);
}

static tstamp saved_deadline(const void *node)
{
    const struct node *n = node;

    return n->anchors_at;
}

qudag_err node_saved_init(struct node *n, tstamp now)
{
    static const struct core_ops ops = {.tick = saved_tick, .deadline = saved_deadline};
    struct node_core core = {.name = "anchors", .instance = n, .ops = &ops};
    unsigned ix;

    n->anchors_at = n->cfg.persist ? tstamp_after(now, ANCHORS_FIRST) : TSTAMP_NEVER;
    return node_core_add(n, &core, NULL, &ix);
}
