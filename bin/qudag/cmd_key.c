/* cmd_key.c - key show, passphrase, rotate; export and import are in cmd_key_move.c. */
#include "key.h"

#include "common/rotate.h"

#include <qudag/qudag.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ------------------------------------------------------------------ show */

struct shown {
    bool encrypted, open; /* open: the identity could be read */
    char peer[QUDAG_PEER_ID_TEXT_MAX], pq[2 * QUDAG_PQ_HASH_LEN + 1];
    int64_t made_ms; /* of the file identity; 0: there is none */
    struct table onion;
    bool running;
    FILE *rows; /* onion keys as JSON; NULL: into the table */
    char *rows_text;
    size_t rows_len;
};

static const struct col onion_cols[] = {
    {"id", "ONION KEY", COL_TEXT},
    {"state", "STATE", COL_TEXT},
    {"made", "MADE", COL_TEXT},
    {"until", "UNTIL", COL_TEXT},
};

static void on_keys(struct tool *t, const struct rec_view *v, void *user)
{
    struct shown *s = user;
    const char *peer = rec_get_str(v, "peer"), *pq = rec_get_str(v, "pq");
    (void)t;
    if (v->type != REC_ROW) {
        return;
    }
    if (peer != NULL && pq != NULL) {
        s->open = true;
        (void)snprintf(s->peer, sizeof(s->peer), "%s", peer);
        (void)snprintf(s->pq, sizeof(s->pq), "%s", pq);
    } else if (s->rows != NULL) {
        (void)fputs(ftell(s->rows) == 0 ? "{" : ",{", s->rows);
        json_fields(s->rows, v);
        (void)fputc('}', s->rows);
    } else {
        table_add(&s->onion, v);
    }
}

/* Public names out of the folder itself. */
static int show_offline(struct tool *t, const char *fd, struct shown *s)
{
    struct vault v = {0};
    struct passphrase p;
    uint8_t *bytes = NULL;
    size_t len = 0;
    qudag_identity *id = NULL;
    qudag_peer_id peer;
    uint8_t hash[QUDAG_PQ_HASH_LEN];
    if (s->made_ms == 0 || (s->encrypted && fd == NULL)) {
        return TOOL_OK; /* it says that it is encrypted, and asks for nothing */
    }
    int lock = key_lock(t);
    if (lock < 0) {
        return TOOL_REFUSED;
    }
    p = (struct passphrase){0};
    int code = s->encrypted ? key_passphrase(t, fd, &p) : TOOL_OK;
    code = code == TOOL_OK ? key_open(t, &v, &p) : code;
    passphrase_wipe(&p);
    if (code == TOOL_OK && vault_read(&v, "identity", 4096, &bytes, &len) != 0) {
        code = tool_error(t, TOOL_FAILED, "KEYS", v.why, "");
    }
    if (code == TOOL_OK) {
        qudag_err err = qudag_identity_load(&id, (qudag_slice){bytes, len});
        explicit_bzero(bytes, len);
        free(bytes);
        if (err == QUDAG_OK) {
            qudag_identity_peer_id(id, &peer);
            qudag_peer_id_text(&peer, s->peer);
            qudag_identity_pq_hash(id, hash);
            text_hex(s->pq, hash, sizeof(hash));
            s->open = true;
        } else {
            code = tool_error(t, TOOL_FAILED, "KEYS", "the identity is damaged",
                              "put a copy in its place");
        }
        qudag_identity_free(id);
    }
    if (code == TOOL_OK) {
        vault_close(&v);
    }
    (void)close(lock);
    return code;
}

static void show_text(const struct tool *t, struct shown *s)
{
    char day[32] = "";
    text_time(day, s->made_ms);
    day[10] = 0;
    if (s->made_ms == 0) {
        (void)printf("identity   none yet: qudag up makes one\n");
    } else if (!s->open) {
        (void)printf("identity   made %s; its names need the passphrase: --passphrase-fd N\n", day);
    } else {
        (void)printf("identity   %s\nML-DSA     %s\nmade       %s\n", s->peer, s->pq, day);
    }
    (void)printf("encrypted  %s\n",
                 s->encrypted ? "yes, under a passphrase"
                              : "no: who has the disk has the keys; qudag key passphrase");
    if (s->running) {
        table_print(t, &s->onion, "no onion keys: this node is no relay");
    } else {
        (void)printf("onion keys are shown while the daemon runs\n");
    }
}

static void show_json(const struct shown *s)
{
    (void)printf("{\"keys\":{\"onion_keys\":[%s],\"encrypted\":%s,\"running\":%s",
                 s->rows_text == NULL ? "" : s->rows_text, s->encrypted ? "true" : "false",
                 s->running ? "true" : "false");
    if (s->open) {
        (void)printf(",\"peer\":\"%s\",\"pq\":\"%s\"", s->peer, s->pq);
    }
    if (s->made_ms != 0) {
        (void)printf(",\"made_ms\":%lld", (long long)s->made_ms);
    }
    (void)fputs("}}\n", stdout);
}

static int key_show(struct tool *t, int argc, char **argv)
{
    static const struct opt opts[] = {{"--passphrase-fd", "N"}};
    struct args a = {.t = t, .what = "key show", .argc = argc, .argv = argv, .opts = opts, .n = 1};
    static struct shown s;
    char path[PATH_LEN];
    const char *fd = NULL;
    struct stat st;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got != 0) {
            return got == ARGS_BAD ? TOOL_USAGE : tool_usage(t, "key show takes no argument");
        }
        fd = a.value;
    }
    s = (struct shown){.encrypted = vault_encrypted(t->dir),
                       .onion = {.cols = onion_cols, .n_cols = 4}};
    if (path_join(path, t->dir, "identity") && stat(path, &st) == 0) {
        s.made_ms = (int64_t)st.st_mtime * 1000;
    }
    s.running = daemon_pid(t->dir) != 0;
    s.rows = t->json ? open_memstream(&s.rows_text, &s.rows_len) : NULL;
    int code = TOOL_OK;
    if (s.running) {
        (void)ask_begin(t, "keys");
        code = ask(t, -1, on_keys, &s);
    } else {
        code = show_offline(t, fd, &s);
    }
    if (s.rows != NULL) {
        (void)fclose(s.rows);
    }
    if (code == TOOL_OK && t->json) {
        show_json(&s);
    } else if (code == TOOL_OK) {
        show_text(t, &s);
    }
    free(s.rows_text);
    return code;
}

/* ------------------------------------------------------------------ passphrase */

static int done(const struct tool *t, const char *what, const char *text)
{
    if (t->json) {
        (void)printf("{\"%s\":true}\n", what);
    } else {
        (void)printf("%s\n", text);
    }
    return TOOL_OK;
}

static int new_passphrase(struct tool *t, const char *fd, struct passphrase *p)
{
    bool ok = fd != NULL             ? passphrase_from_option(p, fd)
              : passphrase_can_ask() ? passphrase_ask_new(p, "New passphrase: ")
                                     : false;
    if (!ok && fd == NULL && !passphrase_can_ask()) {
        return tool_error(t, TOOL_USAGE, "PASSPHRASE",
                          "there is no terminal to ask for the new passphrase on",
                          "--new-passphrase-fd N reads it from a descriptor");
    }
    return ok ? TOOL_OK : tool_error(t, TOOL_USAGE, "PASSPHRASE", p->why, "nothing was changed");
}

/* The folder is locked and open. */
static int passphrase_set(struct tool *t, struct vault *v, bool drop, const char *new_fd,
                          const struct passphrase *old)
{
    struct passphrase p;
    if (drop) {
        if (v->keys == NULL && old->len == 0) {
            return tool_error(t, TOOL_USAGE, "PASSPHRASE", "the keys have no passphrase", "");
        }
        /* without a key now: opening it has ended a removal that was cut off */
        return v->keys == NULL || vault_decrypt(v, passphrase_bytes(old))
                   ? done(t, "removed", "removed    the keys are on the disk in the clear now")
                   : tool_error(t, TOOL_FAILED, "KEYS", v->why,
                                "give the command again: it goes on where it was");
    }
    bool had = v->keys != NULL;
    int code = new_passphrase(t, new_fd, &p);
    if (code == TOOL_OK) {
        bool ok =
            had ? vault_change(v, passphrase_bytes(&p)) : vault_encrypt(v, passphrase_bytes(&p));
        code = !ok   ? tool_error(t, TOOL_FAILED, "KEYS", v->why,
                                had ? "the old passphrase is in force"
                                      : "give the command again: it goes on where it was")
               : had ? done(t, "changed", "changed    the old passphrase opens nothing any more")
                     : done(t, "encrypted",
                            "encrypted  all secret keys.  Without the passphrase they are lost; "
                            "copies made before are not encrypted");
    }
    passphrase_wipe(&p);
    return code;
}

static int key_change(struct tool *t, int argc, char **argv)
{
    static const struct opt opts[] = {
        {"--remove", NULL}, {"--passphrase-fd", "N"}, {"--new-passphrase-fd", "N"}};
    struct args a = {
        .t = t, .what = "key passphrase", .argc = argc, .argv = argv, .opts = opts, .n = 3};
    const char *fd[3] = {NULL, NULL, NULL};
    bool drop = false;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got < 0) {
            return got == ARGS_BAD ? TOOL_USAGE
                                   : tool_usage(t, "key passphrase: it is never an argument; it is "
                                                   "asked for");
        }
        drop = drop || got == 0;
        fd[got] = a.value;
    }
    struct vault v = {0};
    struct passphrase old;
    if (dir_make(t->dir, 0700) != 0) {
        return tool_error(t, TOOL_FAILED, "FOLDER", "the folder cannot be made", "--dir DIR");
    }
    int lock = key_lock(t);
    if (lock < 0) {
        return TOOL_REFUSED;
    }
    old = (struct passphrase){0};
    int code = vault_encrypted(t->dir) ? key_passphrase(t, fd[1], &old) : TOOL_OK;
    if (code == TOOL_OK) {
        code = key_open(t, &v, &old);
        if (code == TOOL_OK) {
            code = passphrase_set(t, &v, drop, fd[2], &old);
            vault_close(&v);
        }
    }
    passphrase_wipe(&old);
    (void)close(lock);
    return code;
}

/* ------------------------------------------------------------------ rotate */

struct rotated {
    uint64_t sequence;
};

static void on_rotated(struct tool *t, const struct rec_view *v, void *user)
{
    struct rotated *r = user;
    (void)t;
    if (v->type == REC_ROW) {
        r->sequence = (uint64_t)rec_get_int(v, "sequence", 0);
    }
}

/* Into the folder, while no daemon runs on it. */
static int rotate_folder(struct tool *t, const char *fd, struct rotated *r)
{
    struct vault v = {0};
    struct passphrase p = {0};
    struct rotate_state st = {0};
    int lock = key_lock(t);
    if (lock < 0) {
        return TOOL_REFUSED;
    }
    int code = vault_encrypted(t->dir) ? key_passphrase(t, fd, &p) : TOOL_OK;
    code = code == TOOL_OK ? key_open(t, &v, &p) : code;
    passphrase_wipe(&p);
    if (code == TOOL_OK) {
        if (!rotate_identity(&v, &st, NULL, NULL)) {
            code = tool_error(t, TOOL_FAILED, "KEYS", v.why,
                              "the old key or the new one is in place, never none");
        }
        vault_close(&v);
    }
    (void)close(lock);
    r->sequence = st.sequence;
    return code;
}

/* Another ML-DSA key: a daemon that runs makes it, as it has the keys open, and takes it at once. */
static int rotate_ml_dsa(struct tool *t, const char *fd)
{
    struct rotated r = {.sequence = 0};
    int code;
    if (daemon_pid(t->dir) != 0) {
        rec_str(ask_begin(t, "key.rotate"), "what", "identity");
        code = ask(t, -1, on_rotated, &r);
    } else {
        code = rotate_folder(t, fd, &r);
    }
    if (code == TOOL_OK && t->json) {
        (void)printf("{\"rotated\":\"identity\",\"sequence\":%llu}\n",
                     (unsigned long long)r.sequence);
    } else if (code == TOOL_OK) {
        (void)printf("rotated    the ML-DSA key (change %llu); the peer id is the same, and peers "
                     "follow when they meet this node.  Copies of the folder and exports from "
                     "before are of no use any more: qudag key export\n",
                     (unsigned long long)r.sequence);
    }
    return code;
}

static int key_rotate(struct tool *t, int argc, char **argv)
{
    static const struct opt opts[] = {{"--force", NULL}, {"--passphrase-fd", "N"}};
    struct args a = {
        .t = t, .what = "key rotate", .argc = argc, .argv = argv, .opts = opts, .n = 2};
    const char *what = NULL, *fd = NULL;
    bool force = false;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        force = force || got == 0;
        fd = got == 1 ? a.value : fd;
        what = got == ARGS_WORD ? a.value : what;
    }
    if (what != NULL && strcmp(what, "identity") == 0 && !force) {
        return rotate_ml_dsa(t, fd);
    }
    if (what == NULL || strcmp(what, "onion") != 0 || fd != NULL) {
        return tool_usage(t, "key rotate: which?  onion, the key of the relay, or identity, the "
                             "ML-DSA key of the node");
    }
    rec_bool(ask_begin(t, "key.rotate"), "force", force);
    return ask_done(t, "rotated", "the onion key; its successor is in the relay descriptor");
}

int run_key(struct tool *t, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct tool *t, int argc, char **argv);
    } of[] = {
        {"show", key_show},     {"passphrase", key_change}, {"rotate", key_rotate},
        {"export", key_export}, {"import", key_import},
    };
    for (size_t ix = 0; argc > 0 && ix < sizeof(of) / sizeof(of[0]); ix++) {
        if (strcmp(argv[0], of[ix].name) == 0) {
            return of[ix].run(t, argc - 1, argv + 1);
        }
    }
    return tool_usage(t, "key: show, passphrase, rotate, export or import");
}
