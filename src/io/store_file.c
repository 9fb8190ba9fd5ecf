/*
 * store_file.c - an LMDB file (data version 1, as liblmdb 0.9 writes it) read page by page.
 *
 * LMDB maps the file and follows what it finds there; a damaged file can make it crash.  So before it
 * is let near a file, both trees (free pages, data) are walked here: every page within the file,
 * reached once, of the kind expected, every entry within its page.  Numbers are of this machine, as
 * LMDB's are.
 *
 *   page   u64 number, u16, u16 flags, u16 lower, u16 upper (overflow: u32 pages), u16 offsets ...
 *   entry  u16 low, u16 high (leaf: size of the data; branch: page, with flags as its top), u16 flags,
 *          u16 size of the key, key, data (BIG: u64 of its first overflow page)
 */
#include "io/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0xBEEFC0DEu
#define DATA_VERSION 1
#define HEAD 16 /* bytes before a page's offsets */
#define ENTRY 8 /* bytes before an entry's key */
#define META_LEN 152
#define FLAG_BRANCH 1
#define FLAG_LEAF 2
#define FLAG_OVERFLOW 4
#define FLAG_META 8
#define ENTRY_BIG 1
#define NO_PAGE UINT64_MAX
#define DEPTH_MAX 16
#define KEY_MAX 511
#define PAGE_MIN 512
#define PAGE_MAX 32768
#define TXN_MAX (UINT64_C(1) << 62)
#define FREE_FLAGS 8     /* keys are numbers */
#define ENV_FLAGS 0x4000 /* may be with them: the file is not in a folder of its own */

struct db {
    uint32_t pad; /* of the first: bytes of a page */
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};

struct meta {
    uint64_t no;
    uint16_t pad, flags;
    uint32_t unused;
    uint32_t magic, version;
    uint64_t address, mapsize;
    struct db db[2]; /* free pages, data */
    uint64_t last, txn;
};
_Static_assert(sizeof(struct meta) == META_LEN && sizeof(struct db) == 48, "as in the file");

struct entry {
    uint16_t flags;
    struct slice key;
    const uint8_t *data;
    uint64_t size, child;
};

struct file {
    int fd;
    uint32_t page;  /* bytes */
    uint64_t pages; /* whole ones in the file */
    uint64_t last;  /* in use */
    uint8_t *seen;  /* a bit for each page */
    uint8_t *buf;   /* DEPTH_MAX pages */
    uint8_t key[KEY_MAX];
    size_t key_len; /* of the entry before; 0: none */
    struct db found;
    bool is_free; /* the tree walked is that of free pages */
};

static bool read_at(int fd, void *to, size_t len, uint64_t at)
{
    uint8_t *p = to;

    while (len > 0) {
        ssize_t n = pread(fd, p, len, (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        p += n;
        len -= (size_t)n;
        at += (uint64_t)n;
    }
    return true;
}

static uint16_t u16_at(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static uint64_t u64_at(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static bool read_page(const struct file *f, uint8_t *to, uint64_t no)
{
    return no < f->pages && read_at(f->fd, to, f->page, no * f->page) && u64_at(to) == no;
}

/* Number of entries of a branch or leaf page; 0: its head makes no sense. */
static size_t entries_of(const struct file *f, const uint8_t *page)
{
    uint16_t lower = u16_at(page + 12), upper = u16_at(page + 14);

    if (lower < HEAD || lower > upper || upper > f->page || lower % 2 != 0) {
        return 0;
    }
    return (size_t)(lower - HEAD) / 2;
}

static bool entry_at(const struct file *f, const uint8_t *page, size_t ix, bool leaf,
                     struct entry *e)
{
    size_t at = u16_at(page + HEAD + 2 * ix), upper = u16_at(page + 14);

    if (at < upper || at + ENTRY > f->page) {
        return false;
    }
    const uint8_t *p = page + at;
    uint64_t low = u16_at(p) | (uint64_t)u16_at(p + 2) << 16;
    e->flags = u16_at(p + 4);
    e->key = (struct slice){p + ENTRY, u16_at(p + 6)};
    if (e->key.len > KEY_MAX || at + ENTRY + e->key.len > f->page) {
        return false;
    }
    e->data = e->key.base + e->key.len;
    e->size = low;
    e->child = low | (uint64_t)e->flags << 32;
    if (!leaf) {
        return true;
    }
    uint64_t inside = e->flags == ENTRY_BIG ? sizeof(uint64_t) : e->size;
    return e->flags <= ENTRY_BIG && at + ENTRY + e->key.len + inside <= f->page;
}

/* Pages that data of |size| take; |no| is the first.  False: there is no such run in the file. */
static bool overflow_ok(const struct file *f, uint64_t no, uint64_t size, uint64_t *n)
{
    uint8_t head[HEAD];
    uint32_t pages;

    *n = (HEAD - 1 + size) / f->page + 1;
    if (no < 2 || no >= f->pages || *n > f->pages - no ||
        !read_at(f->fd, head, HEAD, no * f->page)) {
        return false;
    }
    memcpy(&pages, head + 12, sizeof(pages));
    return u64_at(head) == no && u16_at(head + 10) == FLAG_OVERFLOW && pages == *n;
}

/* Marks it as met; false when it was, or is out of range. */
static bool meet(struct file *f, uint64_t no)
{
    if (no < 2 || no > f->last || (f->seen[no / 8] >> (no % 8) & 1) != 0) {
        return false;
    }
    f->seen[no / 8] |= (uint8_t)(1u << (no % 8));
    return true;
}

/* Data of an entry of the free tree: a count, then page numbers, descending. */
static bool free_list_ok(struct file *f, const struct entry *e)
{
    uint64_t count, before = UINT64_MAX;
    uint8_t *list = malloc(e->size > 0 ? e->size : 1);
    bool ok = list != NULL && e->size >= 8 && e->size % 8 == 0;

    if (ok && e->flags == ENTRY_BIG) {
        ok = read_at(f->fd, list, e->size, u64_at(e->data) * f->page + HEAD);
    } else if (ok) {
        memcpy(list, e->data, e->size);
    }
    count = ok ? u64_at(list) : 0;
    ok = ok && count < e->size / 8;
    for (uint64_t i = 1; ok && i <= count; i++) {
        uint64_t no = u64_at(list + 8 * i);
        ok = no < before && meet(f, no);
        before = no;
    }
    free(list);
    return ok;
}

static bool leaf_entry_ok(struct file *f, const struct entry *e)
{
    uint64_t n = 0;

    if (e->flags == ENTRY_BIG) {
        uint64_t no = u64_at(e->data);
        if (!overflow_ok(f, no, e->size, &n)) {
            return false;
        }
        for (uint64_t i = 0; i < n; i++) {
            if (!meet(f, no + i)) {
                return false;
            }
        }
        f->found.overflows += n;
    }
    if (f->is_free) {
        if (e->key.len != 8 || (f->key_len == 8 && u64_at(e->key.base) <= u64_at(f->key)) ||
            u64_at(e->key.base) > TXN_MAX || !free_list_ok(f, e)) {
            return false;
        }
    } else {
        size_t least = e->key.len < f->key_len ? e->key.len : f->key_len;
        int c = memcmp(f->key, e->key.base, least);
        if (e->key.len == 0 || c > 0 || (c == 0 && f->key_len >= e->key.len)) {
            return false;
        }
    }
    memcpy(f->key, e->key.base, e->key.len);
    f->key_len = e->key.len;
    f->found.entries++;
    return true;
}

static bool page_ok(struct file *f, uint64_t no, unsigned level, unsigned depth)
{
    uint8_t *page = f->buf + (size_t)level * f->page;
    bool leaf = level + 1 == depth;
    uint64_t used = 0;
    struct entry e;

    if (!meet(f, no) || !read_page(f, page, no) ||
        u16_at(page + 10) != (leaf ? FLAG_LEAF : FLAG_BRANCH)) {
        return false;
    }
    f->found.leaves += leaf ? 1 : 0;
    f->found.branches += leaf ? 0 : 1;
    size_t n = entries_of(f, page);
    if (n < (leaf ? 1u : 2u)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!entry_at(f, page, i, leaf, &e)) {
            return false;
        }
        uint64_t data = !leaf ? 0 : e.flags == ENTRY_BIG ? 8 : e.size;
        used += (ENTRY + e.key.len + data + 1) & ~UINT64_C(1);
    }
    if (used > f->page - u16_at(page + 14)) {
        return false; /* entries lie over each other */
    }
    for (size_t i = 0; i < n; i++) {
        if (!entry_at(f, page, i, leaf, &e) ||
            !(leaf ? leaf_entry_ok(f, &e) : page_ok(f, e.child, level + 1, depth))) {
            return false;
        }
    }
    return true;
}

static bool tree_ok(struct file *f, const struct db *db, bool is_free)
{
    f->found = (struct db){.pad = 0};
    f->key_len = 0;
    f->is_free = is_free;
    if (db->root == NO_PAGE) {
        return db->entries == 0 && db->depth == 0;
    }
    return db->depth > 0 && db->depth <= DEPTH_MAX && page_ok(f, db->root, 0, db->depth) &&
           f->found.entries == db->entries && f->found.leaves == db->leaves &&
           f->found.branches == db->branches && f->found.overflows == db->overflows;
}

static bool meta_ok(const struct meta *m)
{
    uint32_t page = m->db[0].pad;

    return m->magic == MAGIC && m->flags == FLAG_META && page >= PAGE_MIN && page <= PAGE_MAX &&
           (page & (page - 1)) == 0 && (m->db[0].flags & ~ENV_FLAGS) == FREE_FLAGS &&
           m->db[1].flags == 0 && m->txn < TXN_MAX && m->last >= 1;
}

/* The newer of the two heads into |m|. */
static enum store_file heads(int fd, struct meta *m)
{
    struct meta a, b;

    if (!read_at(fd, &a, META_LEN, 0)) {
        return STORE_FILE_DAMAGED;
    }
    if (a.magic == MAGIC && (a.version & 0xffff) > DATA_VERSION && (a.version & 0xffff) < 16) {
        return STORE_FILE_NEWER;
    }
    if (!meta_ok(&a) || !read_at(fd, &b, META_LEN, a.db[0].pad) || !meta_ok(&b) ||
        a.db[0].pad != b.db[0].pad || a.version != DATA_VERSION || b.version != DATA_VERSION) {
        return STORE_FILE_DAMAGED;
    }
    *m = a.txn < b.txn ? b : a;
    /* each commit writes the head that is not the newest, with the next number */
    return m->txn - (a.txn < b.txn ? a.txn : b.txn) <= 1 ? STORE_FILE_GOOD : STORE_FILE_DAMAGED;
}

qudag_err store_file_check(int fd, enum store_file *out)
{
    struct file f = {.fd = fd};
    struct meta m;
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return QUDAG_ESYSTEM;
    }
    *out = STORE_FILE_NONE;
    if (st.st_size == 0) {
        return QUDAG_OK;
    }
    *out = heads(fd, &m);
    if (*out != STORE_FILE_GOOD) {
        return QUDAG_OK;
    }
    f.page = m.db[0].pad;
    f.pages = (uint64_t)st.st_size / f.page;
    f.last = m.last;
    *out = STORE_FILE_DAMAGED;
    if (m.last >= f.pages) {
        return QUDAG_OK; /* cut off: LMDB would read beyond its end */
    }
    f.seen = calloc(f.pages / 8 + 1, 1);
    f.buf = malloc((size_t)DEPTH_MAX * f.page);
    qudag_err err = f.seen == NULL || f.buf == NULL ? QUDAG_ENOMEM : QUDAG_OK;
    if (err == QUDAG_OK && tree_ok(&f, &m.db[0], true) && tree_ok(&f, &m.db[1], false)) {
        *out = STORE_FILE_GOOD;
    }
    free(f.seen);
    free(f.buf);
    return err;
}

static void scan_page(struct file *f, const uint8_t *page, uint8_t *big, store_entry_fn fn,
                      void *ctx)
{
    size_t n = entries_of(f, page);
    struct entry e;
    uint64_t pages;

    for (size_t i = 0; i < n; i++) {
        if (HEAD + 2 * i + 2 > f->page || !entry_at(f, page, i, true, &e) ||
            e.size > STORE_VALUE_MAX) {
            continue;
        }
        if (e.flags == 0) {
            fn(ctx, e.key, (struct slice){e.data, (size_t)e.size});
        } else if (overflow_ok(f, u64_at(e.data), e.size, &pages) &&
                   read_at(f->fd, big, (size_t)e.size, u64_at(e.data) * f->page + HEAD)) {
            fn(ctx, e.key, (struct slice){big, (size_t)e.size});
        }
    }
}

qudag_err store_file_scan(int fd, store_entry_fn fn, void *ctx)
{
    struct file f = {.fd = fd};
    struct meta m;
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return QUDAG_ESYSTEM;
    }
    bool told = read_at(fd, &m, META_LEN, 0) && meta_ok(&m);
    f.page = told ? m.db[0].pad : (uint32_t)sysconf(_SC_PAGESIZE);
    f.pages = (uint64_t)st.st_size / f.page;
    f.buf = malloc(f.page);
    uint8_t *big = malloc(STORE_VALUE_MAX);
    qudag_err err = f.buf == NULL || big == NULL ? QUDAG_ENOMEM : QUDAG_OK;
    for (uint64_t no = 2; err == QUDAG_OK && no < f.pages; no++) {
        if (read_page(&f, f.buf, no) && u16_at(f.buf + 10) == FLAG_LEAF) {
            scan_page(&f, f.buf, big, fn, ctx);
        }
    }
    free(f.buf);
    free(big);
    return err;
}
