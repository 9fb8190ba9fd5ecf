/*
 * share_listing.c - the list of a share for programs, made while it is sent.
 *
 *   HEAD ─▶ FILES ─▶ END ─▶ over
 *
 * Files are hashed once and then remembered; while that takes long, lines "hashing" tell that it goes on.  One file is
 * hashed at a time, whoever asked for it: nobody makes this machine do the same work twice, or much of it at once.  The
 * turn is held for one file, and lost by who takes nothing of the list meanwhile, so that nobody waits for that.
 */
#include "share_int.h"

#include "manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES 16384                 /* bytes of them, sent at a time */
#define READ (256 * 1024)           /* bytes hashed at a time */
#define WORK_NS UINT64_C(500000000) /* between two lines */
#define WAIT_NS 500000000L
#define TURN_NS UINT64_C(2000000000) /* without going on, until it is somebody else\'s */
#define TRIES 3                      /* to read a file that is being written to */
#define VIEW_NS                                                                                    \
    UINT64_C(1000000000) /* as old a view may be, unless there is no place for another */

enum stage { HEAD, FILES, END, OVER };

struct share_listing {
    enum stage stage;
    bool left_out;
    struct share_view *view; /* NULL: not yet */
    size_t at;               /* file */
    uint64_t n, bytes, read; /* listed; read: of what is hashed */
    int fd;                  /* is being hashed; -1: none */
    unsigned tries;
    struct stat st; /* of it, when it was opened */
    blake3_hasher hash;
    size_t line_len, line_at;
    char line[2 * MANIFEST_LINE_MAX];
    uint8_t block[READ];
};

static void say(struct share_listing *l, const struct manifest_line *line)
{
    l->line_len += manifest_write(l->line + l->line_len, line);
}

static void say_file(struct share_listing *l, const uint8_t hash[SHARE_HASH_LEN], uint64_t size)
{
    struct manifest_line line = {.kind = MANIFEST_FILE, .size = size};
    memcpy(line.hash, hash, sizeof(line.hash));
    (void)snprintf(line.path, sizeof(line.path), "%s", l->view->files.file[l->at].path);
    say(l, &line);
    l->n++;
    l->bytes += size;
}

/*
 * The youngest view that somebody has, unless it is old and there is a place for another: so callers, however many and
 * slow, take the memory of SHARE_VIEWS_MAX and keep nobody from a list.  *place: that one; NULL: there is none.
 */
static struct share_view *youngest(struct share_http *h, struct share_view **place)
{
    struct share_view *young = NULL;
    *place = NULL;
    for (size_t ix = 0; ix < SHARE_VIEWS_MAX; ix++) {
        struct share_view *v = &h->view[ix];
        if (v->refs == 0) {
            *place = v;
        } else if (young == NULL || v->made_ns > young->made_ns) {
            young = v;
        }
    }
    return young;
}

/* False: out of memory. */
static bool take_view(struct share_listing *l, struct share_http *h)
{
    struct share_view *place;
    (void)pthread_mutex_lock(&h->page_lock);
    struct share_view *v = youngest(h, &place);
    if (place != NULL && (v == NULL || mono_ns() - v->made_ns >= VIEW_NS)) {
        v = share_tree_files(h->tree, &place->files) ? place : NULL;
        place->made_ns = mono_ns();
    }
    if (v != NULL) {
        v->refs++;
    }
    (void)pthread_mutex_unlock(&h->page_lock);
    l->view = v;
    return v != NULL;
}

static void leave_view(struct share_listing *l, struct share_http *h)
{
    if (l->view == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&h->page_lock);
    if (--l->view->refs == 0) {
        share_files_free(&l->view->files);
    }
    (void)pthread_mutex_unlock(&h->page_lock);
    l->view = NULL;
}

/* Whether it is this list's turn to hash a file; |anew|: or becomes so. */
static bool has_turn(const struct share_listing *l, struct share_http *h, bool anew)
{
    uint64_t now = mono_ns();
    (void)pthread_mutex_lock(&h->lock);
    bool open = h->turn_of == NULL || now - h->turn_ns >= TURN_NS;
    bool has = h->turn_of == l || (anew && open);
    if (has) {
        h->turn_of = l;
        h->turn_ns = now;
    }
    (void)pthread_mutex_unlock(&h->lock);
    return has;
}

/* Closes the file that is at work; it is others' turn. */
static void leave_file(struct share_listing *l, struct share_http *h)
{
    if (l->fd >= 0) {
        close(l->fd);
        l->fd = -1;
    }
    (void)pthread_mutex_lock(&h->lock);
    h->turn_of = h->turn_of == l ? NULL : h->turn_of;
    (void)pthread_mutex_unlock(&h->lock);
}

/* The file that is at work is done with, listed or not. */
static void next_file(struct share_listing *l, struct share_http *h)
{
    leave_file(l, h);
    l->tries = 0;
    l->at++;
}

static void open_file(struct share_listing *l, struct share_http *h)
{
    uint8_t hash[SHARE_HASH_LEN];
    l->fd = share_tree_at(h->tree, l->view->files.file[l->at].path, &l->st);
    if (l->fd < 0 || !S_ISREG(l->st.st_mode)) {
        l->left_out = true;
        next_file(l, h);
    } else if (share_hashes_get(h->hashes, &l->st, hash)) {
        say_file(l, hash, (uint64_t)l->st.st_size);
        next_file(l, h);
    } else if (has_turn(l, h, true)) {
        l->read = 0;
        blake3_hasher_init(&l->hash);
    } else { /* it may be this very file that is hashed for somebody else */
        leave_file(l, h);
        (void)nanosleep(&(struct timespec){.tv_nsec = WAIT_NS}, NULL);
        say(l, &(struct manifest_line){.kind = MANIFEST_HASHING, .size = l->bytes});
    }
}

/* All of it was read: is it still what it was? */
static void close_file(struct share_listing *l, struct share_http *h)
{
    struct stat now;
    uint8_t hash[SHARE_HASH_LEN];
    bool same = fstat(l->fd, &now) == 0 && l->read == (uint64_t)l->st.st_size &&
                now.st_size == l->st.st_size && now.st_mtim.tv_sec == l->st.st_mtim.tv_sec &&
                now.st_mtim.tv_nsec == l->st.st_mtim.tv_nsec;
    if (!same && ++l->tries < TRIES) {
        leave_file(l, h);
        return; /* from its beginning */
    }
    if (same) {
        blake3_hasher_finalize(&l->hash, hash, sizeof(hash));
        share_hashes_put(h->hashes, &l->st, hash);
        say_file(l, hash, l->read);
    }
    l->left_out = l->left_out || !same;
    next_file(l, h);
}

/* Hashes more of the file for a while: a line when it is done, or that it goes on. */
static void hash_file(struct share_listing *l, struct share_http *h)
{
    uint64_t until = mono_ns() + WORK_NS;
    if (!has_turn(l, h, false)) { /* its reader was too slow */
        leave_file(l, h);
        return;
    }
    for (;;) {
        ssize_t n = read(l->fd, l->block, sizeof(l->block));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            l->left_out = true;
            next_file(l, h);
            return;
        }
        if (n == 0) {
            close_file(l, h);
            return;
        }
        l->read += (uint64_t)n;
        blake3_hasher_update(&l->hash, l->block, (size_t)n);
        if (mono_ns() >= until) {
            say(l, &(struct manifest_line){.kind = MANIFEST_HASHING, .size = l->bytes + l->read});
            return;
        }
    }
}

/* One step: a line or two, or nothing yet. */
static bool step(struct share_listing *l, struct share_http *h)
{
    struct manifest_line line = {.kind = MANIFEST_NAME};
    switch (l->stage) {
    case HEAD:
        say(l, &(struct manifest_line){.kind = MANIFEST_HEAD});
        (void)snprintf(line.path, sizeof(line.path), "%s", h->tree->name);
        say(l, &line);
        l->stage = FILES;
        return take_view(l, h);
    case FILES:
        if (l->at == l->view->files.n) {
            l->stage = END;
        } else if (l->fd < 0) {
            open_file(l, h);
        } else {
            hash_file(l, h);
        }
        return true;
    case END:
        if (l->left_out || l->view->files.more) {
            say(l, &(struct manifest_line){.kind = MANIFEST_LEFT_OUT});
        }
        line = (struct manifest_line){.kind = MANIFEST_END, .files = l->n, .size = l->bytes};
        say(l, &line);
        l->stage = OVER;
        return true;
    case OVER:
        break;
    }
    return true;
}

static ssize_t read_list(void *ctx, uint64_t pos, char *buf, size_t max)
{
    struct share_request *r = ctx;
    struct share_listing *l = r->list;
    size_t len = 0;
    (void)pos;
    while (len < max) {
        if (l->line_at == l->line_len) {
            if (l->stage == OVER || (len > 0 && l->fd >= 0)) {
                break; /* what there is goes out before it is waited */
            }
            l->line_at = l->line_len = 0;
            if (!step(l, r->http)) {
                return MHD_CONTENT_READER_END_WITH_ERROR;
            }
            continue;
        }
        size_t part = l->line_len - l->line_at < max - len ? l->line_len - l->line_at : max - len;
        memcpy(buf + len, l->line + l->line_at, part);
        l->line_at += part;
        len += part;
    }
    return len > 0 ? (ssize_t)len : MHD_CONTENT_READER_END_OF_STREAM;
}

struct MHD_Response *share_listing_response(struct share_request *r)
{
    r->list = calloc(1, sizeof(*r->list));
    if (r->list == NULL) {
        return NULL;
    }
    r->list->fd = -1;
    r->list->stage = HEAD;
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, LINES, read_list, r, NULL);
}

void share_listing_end(struct share_request *r)
{
    struct share_listing *l = r->list;
    if (l == NULL) {
        return;
    }
    leave_file(l, r->http);
    leave_view(l, r->http);
    free(l);
    r->list = NULL;
}
