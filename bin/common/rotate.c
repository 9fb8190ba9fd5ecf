/* rotate.c - see rotate.h. */
#include "common/rotate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PENDING_LEN (QUDAG_SUCCESSION_LEN + QUDAG_IDENTITY_LEN)

static void item_name(char name[32], uint64_t sequence)
{
    (void)snprintf(name, 32, "state/succession-%u", (unsigned)(sequence % QUDAG_SUCCESSION_KEPT));
}

static void drop(uint8_t *bytes, size_t len)
{
    if (bytes != NULL) {
        explicit_bzero(bytes, len);
        free(bytes);
    }
}

static bool fails(struct vault *v, const char *text)
{
    (void)snprintf(v->why, sizeof(v->why), "%.2000s: %s", v->dir, text);
    return false;
}

/* The folder's identity; NULL with *err 0: there is none. */
static qudag_identity *identity_of(struct vault *v, int *err)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    qudag_identity *id = NULL;
    *err = vault_read(v, "identity", 4096, &bytes, &len);
    if (*err == EFBIG ||
        (*err == 0 && qudag_identity_load(&id, (qudag_slice){bytes, len}) != QUDAG_OK)) {
        *err = EBADMSG;
        (void)fails(v, "the identity is damaged; it was left as it is.  Put a copy in its place");
    }
    *err = *err == ENOENT ? 0 : *err;
    drop(bytes, len);
    return id;
}

static bool write_identity(struct vault *v, const qudag_identity *id)
{
    uint8_t bytes[QUDAG_IDENTITY_LEN];
    qudag_identity_save(id, bytes);
    int err = vault_write(v, "identity", bytes, sizeof(bytes));
    explicit_bzero(bytes, sizeof(bytes));
    return err == 0;
}

static bool same_key(const qudag_identity *id, const uint8_t *hash)
{
    uint8_t own[QUDAG_PQ_HASH_LEN];
    qudag_identity_pq_hash(id, own);
    return memcmp(own, hash, sizeof(own)) == 0;
}

/* What has been read of a folder's statements. */
struct seen {
    qudag_succession newest;
    bool left; /* the identity has the key that one of them says was given up */
};

/* The tail of a statement whose rotation was cut off; |*id| is replaced where it is the old one still. */
static bool finish_one(struct vault *v, const char *name, const uint8_t *bytes,
                       const qudag_succession *s, qudag_identity **id)
{
    qudag_identity *next = NULL;
    qudag_slice tail = {bytes + QUDAG_SUCCESSION_LEN, QUDAG_IDENTITY_LEN};
    if (qudag_identity_load(&next, tail) != QUDAG_OK || !same_key(next, s->to)) {
        qudag_identity_free(next);
        return fails(v,
                     "what is left of a change of the key is damaged; put a copy of the folder's "
                     "state in its place");
    }
    if (same_key(*id, s->from)) {
        if (!write_identity(v, next)) {
            qudag_identity_free(next);
            return false;
        }
        qudag_identity_free(*id);
        *id = next;
    } else {
        bool done = same_key(*id, s->to);
        qudag_identity_free(next);
        if (!done) {
            return fails(v, "a change of the key was cut off, and the identity is neither the old "
                            "nor the new one; put back the identity that belongs to state/");
        }
    }
    return vault_write(v, name, bytes, QUDAG_SUCCESSION_LEN) == 0;
}

static bool look_at(struct vault *v, unsigned slot, qudag_identity **id, struct seen *seen)
{
    char name[32];
    uint8_t *bytes = NULL;
    size_t len = 0;
    qudag_succession s;
    item_name(name, slot);
    int err = vault_read(v, name, VAULT_ITEM_MAX, &bytes, &len);
    if (err != 0) {
        return err == ENOENT;
    }
    bool ok = (len == QUDAG_SUCCESSION_LEN || len == PENDING_LEN) &&
              qudag_succession_read(&s, (qudag_slice){bytes, QUDAG_SUCCESSION_LEN}) == QUDAG_OK;
    if (!ok) {
        (void)fails(v, "a statement that a key has a successor is damaged (state/succession-...); "
                       "put a copy in its place");
    }
    if (ok && len == PENDING_LEN) {
        ok = finish_one(v, name, bytes, &s, id);
    }
    if (ok) {
        seen->newest = s.sequence > seen->newest.sequence ? s : seen->newest;
        seen->left = seen->left || same_key(*id, s.from);
    }
    drop(bytes, len);
    return ok;
}

static bool is_newest(struct vault *v, const qudag_identity *id, const struct seen *seen)
{
    char day[32] = "", text[300];
    if (seen->newest.sequence == 0 || same_key(id, seen->newest.to)) {
        return true;
    }
    text_time(day, seen->newest.made_s * 1000);
    day[10] = 0;
    (void)snprintf(
        text, sizeof(text),
        "identity %s, and its key was replaced on %s: peers that followed refuse it.  Put "
        "back the identity from after that day",
        seen->left ? "is a copy from before its last change" : "and state/ do not fit", day);
    return fails(v, text);
}

/* The identity, with all ended that was begun; NULL and true: there is none. */
static bool finish(struct vault *v, struct rotate_state *st, qudag_identity **id)
{
    struct seen seen = {.left = false};
    int err = 0;
    *id = identity_of(v, &err);
    if (err != 0) {
        return false;
    }
    for (unsigned slot = 0; *id != NULL && slot < QUDAG_SUCCESSION_KEPT; slot++) {
        if (!look_at(v, slot, id, &seen)) {
            return false;
        }
    }
    *st = (struct rotate_state){seen.newest.sequence, seen.newest.made_s};
    return *id == NULL || is_newest(v, *id, &seen);
}

bool rotate_finish(struct vault *v, struct rotate_state *st)
{
    qudag_identity *id;
    struct rotate_state own;
    bool ok = finish(v, st != NULL ? st : &own, &id);
    qudag_identity_free(id);
    return ok;
}

static bool steps(struct vault *v, const qudag_identity *next, const uint8_t *bytes,
                  uint64_t sequence, void (*after)(int step))
{
    char name[32];
    item_name(name, sequence);
    if (vault_write(v, name, bytes, PENDING_LEN) != 0) {
        return false;
    }
    if (after != NULL) {
        after(1);
    }
    if (!write_identity(v, next)) {
        return false;
    }
    if (after != NULL) {
        after(2);
    }
    return vault_write(v, name, bytes, QUDAG_SUCCESSION_LEN) == 0;
}

bool rotate_identity(struct vault *v, struct rotate_state *st, struct rotate_made *made,
                     void (*after)(int step))
{
    qudag_identity *id = NULL, *next = NULL;
    uint8_t *bytes = malloc(PENDING_LEN);
    bool ok = finish(v, st, &id);
    if (ok && (id == NULL || bytes == NULL)) {
        ok = fails(v, id == NULL ? "there is no identity yet: qudag up makes one"
                                 : "there is not enough memory");
    }
    if (ok) {
        qudag_err err = qudag_identity_rotate(id, st->sequence + 1, &next, bytes);
        ok = err == QUDAG_OK || fails(v, qudag_strerror(err));
    }
    if (ok) {
        qudag_succession s;
        qudag_identity_save(next, bytes + QUDAG_SUCCESSION_LEN);
        ok = steps(v, next, bytes, st->sequence + 1, after) &&
             qudag_succession_read(&s, (qudag_slice){bytes, QUDAG_SUCCESSION_LEN}) == QUDAG_OK;
        *st = ok ? (struct rotate_state){s.sequence, s.made_s} : *st;
    }
    if (ok && made != NULL) {
        memcpy(made->statement, bytes, sizeof(made->statement));
        made->next = next;
        next = NULL;
    }
    drop(bytes, bytes != NULL ? PENDING_LEN : 0);
    qudag_identity_free(next);
    qudag_identity_free(id);
    return ok;
}

/* What the folder has of its newest change; |id| is taken over. */
static bool made_before(struct vault *v, const struct rotate_state *st, qudag_identity *id,
                        struct rotate_made *made)
{
    char name[32];
    uint8_t *bytes = NULL;
    size_t len = 0;
    item_name(name, st->sequence);
    bool ok = vault_read(v, name, VAULT_ITEM_MAX, &bytes, &len) == 0 && len == QUDAG_SUCCESSION_LEN;
    if (ok) {
        memcpy(made->statement, bytes, QUDAG_SUCCESSION_LEN);
        made->next = id;
    } else {
        (void)fails(v, "it belongs to another key than the daemon runs with; start that anew");
        qudag_identity_free(id);
    }
    drop(bytes, len);
    return ok;
}

bool rotate_running(struct vault *v, const uint8_t *runs, struct rotate_state *st,
                    struct rotate_made *made)
{
    qudag_identity *id = NULL;
    *made = (struct rotate_made){.next = NULL};
    if (!finish(v, st, &id)) {
        qudag_identity_free(id);
        return false;
    }
    if (id != NULL && !same_key(id, runs)) {
        return made_before(v, st, id, made);
    }
    qudag_identity_free(id);
    return rotate_identity(v, st, made, NULL);
}
