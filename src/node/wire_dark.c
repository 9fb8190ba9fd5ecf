/*
 * wire_dark.c - the arrows around dark addresses.
 *
 *   dark ─ wants a record ─▶ a fresh circuit ─▶ its last relay reads or writes the DHT ─▶ dark
 *   dark ─ resolved ─▶ circuit of relays and the service as last hop ─▶ streams
 *
 * Every lookup has a circuit of its own, closed afterwards: what one relay sees cannot be joined.
 */
#include "node/internal.h"

#include "base/rd.h"
#include "crypto/kex.h"

#include <string.h>

#define DARK_PREFIX "dark-"     /* saved keys */
#define PUBLISHED_PREFIX "pub-" /* saved: publish again after a restart */
#define NAME_MAX_LEN (sizeof(DARK_PREFIX) + 32)

qudag_err wire_dark_init(struct node *n)
{
    struct dark_config c = {.mem = n->mem,
                            .rng = n->cfg.rng,
                            .log = n->cfg.log,
                            .clock = n->cfg.clock,
                            .network = n->cfg.lab ? DARK_NET_LAB : DARK_NET_MAIN};

    return dark_new(&n->dark, &c);
}

/* File names come from the address: the first 16 characters of its text are enough to tell it. */
static void file_name(char *name, const char *prefix, const struct dark_addr *a)
{
    char text[DARK_TEXT_MAX];
    size_t len = strlen(prefix);

    (void)dark_addr_text(text, a);
    memcpy(name, prefix, len);
    memcpy(name + len, text + 8, 24); /* behind version and network, which are equal for all */
    name[len + 24] = '\0';
}

static uint64_t tag_of(const struct dark_addr *a)
{
    uint64_t tag;

    memcpy(&tag, a->ed_pk, sizeof(tag));
    return tag == 0 ? 1 : tag;
}

const char *dark_tag_text(struct node *n, uint64_t tag, char *text)
{
    size_t it = 0;
    const struct dark_keys *k;
    bool published;
    walltime until;

    while (tag != 0 && dark_own_next(n->dark, &it, &k, &published, &until)) {
        if (tag_of(&k->addr) == tag) {
            (void)dark_addr_text(text, &k->addr);
            return text;
        }
    }
    return NULL;
}

/* Lets circuits end at us by the onion key of the address. */
static qudag_err listen_on(struct node *n, const struct dark_keys *k)
{
    struct onion_key key = {.x_sk = k->onion_x_sk, .service = true, .tag = tag_of(&k->addr)};
    struct mlkem_key *dk = NULL;
    qudag_err err = mlkem768_load(&dk, key.k, &k->onion_k_seed);

    if (err == QUDAG_OK) {
        memcpy(key.x, k->onion_x, sizeof(key.x));
        memcpy(key.key_id, k->key_id, sizeof(key.key_id));
        err = onion_key_add(n->onion, &key, dk);
        if (err != QUDAG_OK) {
            mlkem768_free(dk);
        }
    }
    wipe(&key, sizeof(key));
    return err;
}

static qudag_err save_keys(struct node *n, const struct dark_keys *k)
{
    uint8_t file[DARK_SECRET_LEN];
    char name[NAME_MAX_LEN];
    qudag_err err;

    dark_keys_save(k, file);
    file_name(name, DARK_PREFIX, &k->addr);
    node_save(n, name, (struct slice){file, sizeof(file)}, &err);
    wipe(file, sizeof(file));
    return err;
}

qudag_err node_dark_create(struct node *n, const char *label, tstamp now, struct dark_addr *out)
{
    struct dark_keys k;
    enum dark_network net = n->cfg.lab ? DARK_NET_LAB : DARK_NET_MAIN;
    qudag_err err = dark_keys_create(&k, net, label, wall_now(&n->cfg.clock, now), &n->cfg.rng);

    if (err != QUDAG_OK) {
        return err;
    }
    *out = k.addr;
    if ((err = save_keys(n, &k)) == QUDAG_OK && (err = listen_on(n, &k)) == QUDAG_OK) {
        err = dark_own(n->dark, &k);
        if (err != QUDAG_OK) {
            onion_key_del(n->onion, k.key_id);
        }
    }
    dark_keys_fini(&k);
    return err;
}

qudag_err dark_restore(struct node *n, struct slice bytes)
{
    struct dark_keys k;
    qudag_err err = dark_keys_load(&k, bytes);

    if (err != QUDAG_OK) {
        return err;
    }
    if ((err = listen_on(n, &k)) == QUDAG_OK) {
        err = dark_own(n->dark, &k);
    }
    dark_keys_fini(&k);
    return err;
}

qudag_err node_restore(struct node *n, const char *name, struct slice bytes, tstamp now)
{
    struct peer_id guard;
    (void)now;

    if (n->boot.started) {
        return QUDAG_ESTATE;
    }
    if (strcmp(name, "guard") == 0) {
        if (peer_id_from_bytes(&guard, bytes) != QUDAG_OK) {
            return QUDAG_EMALFORMED;
        }
        relays_guard_set(n->relays, &guard);
        n->guard_saved = guard;
        return QUDAG_OK;
    }
    if (strcmp(name, "onion-key") == 0) {
        return onion_key_restore(n, bytes);
    }
    if (strcmp(name, "relay-seq") == 0) {
        struct rd r = rd_init(bytes);
        uint64_t seq = rd_u64(&r);
        if (!rd_done(&r) || seq > INT64_MAX) {
            return QUDAG_EMALFORMED;
        }
        n->desc_seq = seq;
        return QUDAG_OK;
    }
    if (strncmp(name, DARK_PREFIX, strlen(DARK_PREFIX)) == 0) {
        return dark_restore(n, bytes);
    }
    if (strncmp(name, PUBLISHED_PREFIX, strlen(PUBLISHED_PREFIX)) == 0) {
        struct node_request r = {.kind = OP_DARK_PUBLISH};
        char text[DARK_TEXT_MAX] = {0};
        if (bytes.len == 0 || bytes.len >= sizeof(text)) {
            return QUDAG_EMALFORMED;
        }
        memcpy(text, bytes.base, bytes.len);
        qudag_err err = dark_addr_parse(&r.dark, text);
        if (err == QUDAG_OK && n->n_republish < DARK_ADDRS_MAX) {
            n->republish[n->n_republish++] = r.dark;
        }
        return err;
    }
    return QUDAG_EUNSUPPORTED;
}

/* A record is wanted or to be stored: a request that first gets a circuit. */
static void lookup_start(struct node *n, const struct act *a, tstamp now)
{
    bool put = a->kind == DARK_UP_PUT;
    struct node_request r = {.kind = put ? OP_LOOKUP_PUT : OP_LOOKUP_GET};
    bool whole = a->data.len == (put ? DARK_KEY_LEN + DARK_RECORD_LEN : DARK_KEY_LEN);

    r.key = (struct slice){a->data.base, DARK_KEY_LEN};
    if (put) {
        r.value = (struct slice){a->data.base + DARK_KEY_LEN, DARK_RECORD_LEN};
    }
    struct op *op = whole && !n->save_failed ? op_new(n, &r) : NULL;
    if (op != NULL) {
        op->cookie = a->cookie;
        return;
    }
    struct acts *out = node_begin(n);
    if (put) {
        dark_put_done(n->dark, a->cookie, n->save_failed ? QUDAG_ESYSTEM : QUDAG_ENOMEM, 0, now,
                      out);
    } else {
        dark_get_done(n->dark, a->cookie, QUDAG_ENOMEM, (struct slice){NULL, 0}, now, out);
    }
    node_end(n, CORE_DARK);
}

void lookup_run(struct node *n, struct op *op, struct circuit *c, tstamp now)
{
    struct acts *out = node_begin(n);
    qudag_err err;

    if (op->req.kind == OP_LOOKUP_PUT) {
        err = exit_put(n->exit, ref_word(op->ref), c->onion, op->req.key, op->req.value, now, out);
    } else {
        err = exit_get(n->exit, ref_word(op->ref), c->onion, op->req.key, now, out);
    }
    node_end(n, CORE_EXIT);
    op->asked = err == QUDAG_OK;
    if (err != QUDAG_OK) {
        lookup_done(n, op, err, (struct slice){NULL, 0}, 0, now);
    }
}

/* The circuit has served its one purpose. */
void close_circuit_of(struct node *n, struct op *op, tstamp now)
{
    struct circuit *c = op->circuit;

    if (c == NULL) {
        return;
    }
    struct ref onion = c->onion;
    circuit_drop(n, c);
    onion_close(n->onion, onion, now, node_begin(n));
    node_end(n, CORE_ONION);
}

static bool worth_another_try(qudag_err err)
{
    return err == QUDAG_ECIRCUIT || err == QUDAG_ETIMEOUT || err == QUDAG_ERESET ||
           err == QUDAG_ECLOSED || err == QUDAG_EUNREACHABLE;
}

void lookup_done(struct node *n, struct op *op, qudag_err err, struct slice value, uint32_t stored,
                 tstamp now)
{
    bool put = op->req.kind == OP_LOOKUP_PUT;
    uint64_t cookie = op->cookie;

    op->asked = false;
    close_circuit_of(n, op, now);
    if (worth_another_try(err) && ++op->tries < CIRCUIT_TRIES) {
        list_del(&op->node);
        list_push_back(&n->fresh, &op->node);
        return;
    }
    struct acts *out = node_begin(n);
    if (put) {
        dark_put_done(n->dark, cookie, err, stored, now, out);
    } else {
        dark_get_done(n->dark, cookie, err, value, now, out);
    }
    node_end(n, CORE_DARK);
    op_drop(n, op);
}

/* On failure |a| is left as it was. */
qudag_err app_resolve(struct node *n, struct app_stream *a)
{
    struct circuit *c = circuit_to_dark(n, &a->dark);
    struct node_request r = {.kind = OP_APP_RESOLVE, .dark = a->dark};

    if (c != NULL && c->open) {
        app_open_now(n, a, c->onion);
    } else if (c != NULL) {
        list_push_back(&c->waiting, &a->wait);
    } else if (op_new(n, &r) != NULL) {
        list_push_back(&n->resolving, &a->wait);
    } else {
        return QUDAG_ENOMEM;
    }
    return QUDAG_OK;
}

/* No way to |dark|: the streams that waited for one are over. */
void dark_app_failed(struct node *n, const struct dark_addr *dark, qudag_err err)
{
    struct list failed;

    list_init(&failed);
    LIST_EACH_SAFE(it, tmp, &n->resolving)
    {
        struct app_stream *a = LIST_ENTRY(it, struct app_stream, wait);
        if (memcmp(&a->dark, dark, sizeof(*dark)) == 0) {
            list_del(it);
            list_push_back(&failed, it);
        }
    }
    app_close_list(n, &failed, err);
}

static void app_resolved(struct node *n, const struct dark_addr *dark, qudag_err err,
                         const struct dark_target *t)
{
    struct circuit *c = circuit_to_dark(n, dark);

    if (err == QUDAG_OK && c == NULL) {
        err = circuit_start(n, FOR_DARK, NULL, dark, &t->hop, &c);
    }
    if (err != QUDAG_OK) {
        dark_app_failed(n, dark, err);
        return;
    }
    LIST_EACH_SAFE(it, tmp, &n->resolving)
    {
        struct app_stream *a = LIST_ENTRY(it, struct app_stream, wait);
        if (memcmp(&a->dark, dark, sizeof(*dark)) != 0) {
            continue;
        }
        list_del(&a->wait);
        if (c->open) {
            app_open_now(n, a, c->onion);
        } else {
            list_push_back(&c->waiting, &a->wait);
        }
    }
}

static void on_resolved(struct node *n, const struct act *a)
{
    struct op *op = op_get(n, a->cookie);
    struct node_result res = {.cached = a->n == 1, .target = a->ptr};

    if (op == NULL) {
        return;
    }
    if (op->req.kind == OP_APP_RESOLVE) {
        struct dark_addr dark = op->req.dark;
        op_drop(n, op);
        app_resolved(n, &dark, a->err, a->ptr);
        return;
    }
    op_finish(n, op, a->err, &res);
}

/* Remembers over restarts that the address is to be published. */
static void note_published(struct node *n, const struct dark_addr *addr, bool on)
{
    char name[NAME_MAX_LEN], text[DARK_TEXT_MAX];
    qudag_err err;

    file_name(name, PUBLISHED_PREFIX, addr);
    size_t len = dark_addr_text(text, addr);
    node_save(n, name, (struct slice){(const uint8_t *)text, on ? len : 0}, &err);
}

static void on_published(struct node *n, const struct act *a)
{
    struct op *op = op_get(n, a->cookie);
    struct node_result res = {.count = (uint32_t)a->n};

    if (op == NULL) {
        return; /* a repeat, or one of ours at start */
    }
    if (op->req.kind == OP_DARK_FORGET) {
        char name[NAME_MAX_LEN];
        qudag_err err;
        file_name(name, DARK_PREFIX, &op->req.dark);
        node_save(n, name, (struct slice){NULL, 0}, &err);
        note_published(n, &op->req.dark, false);
    } else if (a->err == QUDAG_OK) {
        note_published(n, &op->req.dark, true);
    }
    op_finish(n, op, a->err, &res);
}

void up_dark(struct node *n, const struct act *a, tstamp now)
{
    switch (a->kind) {
    case DARK_UP_SAVE:
        n->save_failed = save_keys(n, a->ptr) != QUDAG_OK;
        break;
    case DARK_UP_PUT:
        lookup_start(n, a, now);
        n->save_failed = false;
        break;
    case DARK_UP_GET:
        lookup_start(n, a, now);
        break;
    case DARK_UP_RESOLVED:
        on_resolved(n, a);
        break;
    case DARK_UP_PUBLISHED:
        on_published(n, a);
        break;
    default:
        break;
    }
}
