/* inbox.c - see inbox.h. */
#include "app/inbox.h"

#include "app/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INDEX_LINE_MAX 800
#define INDEX_MAX (INBOX_LINES_MAX * INDEX_LINE_MAX)

static bool entry_path(const struct inbox *b, const char *name, char path[FILES_PATH_MAX])
{
    return files_join(path, b->dir, name);
}

bool inbox_there(const struct inbox *b, const struct inbox_entry *e)
{
    char path[FILES_PATH_MAX];
    struct stat st;
    return entry_path(b, e->offer.name, path) && stat(path, &st) == 0 &&
           (uint64_t)st.st_size == e->offer.size;
}

static bool append(struct inbox *b, const struct inbox_entry *e)
{
    if (b->n == b->cap) {
        size_t cap = b->cap == 0 ? 64 : b->cap * 2;
        struct inbox_entry *more = mem_resize_n(b->mem, b->entry, cap, sizeof(*more));
        if (more == NULL) {
            return false;
        }
        b->entry = more;
        b->cap = cap;
    }
    if (b->n == INBOX_LISTED_MAX) {
        size_t gone = INBOX_LISTED_MAX / 4; /* many at once: moving the rest is not cheap */
        memmove(b->entry, b->entry + gone, (b->n - gone) * sizeof(*b->entry));
        b->n -= gone;
    }
    b->entry[b->n++] = *e;
    return true;
}

static bool parse_line(struct inbox_entry *e, char *line)
{
    char *part[7], *save = NULL;
    size_t n = 0;
    for (char *p = strtok_r(line, "\t", &save); p != NULL && n < 7;
         p = strtok_r(NULL, "\t", &save)) {
        part[n++] = p;
    }
    if (n != 7 || strlen(part[6]) > TRANSFER_NAME_MAX || strlen(part[5]) >= sizeof(e->to) ||
        !files_unhex(e->offer.hash, TRANSFER_HASH_LEN, part[3]) ||
        !files_unhex(e->offer.id, TRANSFER_ID_LEN, part[4])) {
        return false;
    }
    e->time_ms = strtoll(part[0], NULL, 10);
    e->offer.kind = strcmp(part[1], "file") == 0 ? TRANSFER_FILE : TRANSFER_MESSAGE;
    e->offer.size = strtoull(part[2], NULL, 10);
    memcpy(e->to, part[5], strlen(part[5]) + 1);
    memcpy(e->offer.name, part[6], strlen(part[6]) + 1);
    return strchr(part[6], '/') == NULL;
}

static void read_index(struct inbox *b, char *text)
{
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        struct inbox_entry e = {0};
        b->lines++;
        if (parse_line(&e, line)) {
            (void)append(b, &e);
        }
    }
}

uint64_t inbox_cost(uint64_t size)
{
    return size == 0 ? INBOX_UNIT : (size - 1) / INBOX_UNIT * INBOX_UNIT + INBOX_UNIT;
}

/* The index does not list everything for ever, so the folder itself is what counts. */
void inbox_count(struct inbox *b)
{
    DIR *list = opendir(b->dir);
    const struct dirent *e;
    b->bytes = 0;
    while (list != NULL && (e = readdir(list)) != NULL) {
        char path[FILES_PATH_MAX];
        struct stat st;
        if (e->d_name[0] != '.' && files_join(path, b->dir, e->d_name) && lstat(path, &st) == 0 &&
            S_ISREG(st.st_mode)) {
            b->bytes += inbox_cost((uint64_t)st.st_size);
        }
    }
    if (list != NULL) {
        (void)closedir(list);
    }
}

/* What was begun long ago will not be finished. */
static void remove_expired(const struct inbox *b, int64_t now_ms)
{
    DIR *list = opendir(b->partial);
    const struct dirent *e;
    while (list != NULL && (e = readdir(list)) != NULL) {
        char path[FILES_PATH_MAX];
        struct stat st;
        if (e->d_name[0] != '.' && files_join(path, b->partial, e->d_name) &&
            stat(path, &st) == 0 && now_ms / 1000 - st.st_mtime > INBOX_PARTIAL_AGE_MAX_S) {
            (void)unlink(path);
        }
    }
    if (list != NULL) {
        (void)closedir(list);
    }
}

/* What is received is made in .partial and moved: whether that works is found out now, not after a transfer. */
static bool probe(struct inbox *b)
{
    char from[FILES_PATH_MAX], name[TRANSFER_NAME_MAX + 1], to[FILES_PATH_MAX];
    (void)snprintf(name, sizeof(name), ".probe-%ld", (long)getpid());
    int err = files_join(from, b->partial, name) ? 0 : ENAMETOOLONG;
    int fd =
        err == 0 ? open(from, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
    err = err == 0 && fd < 0 ? errno : err;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (err == 0) {
        err = inbox_place(b->dir, from, name);
    }
    if (err == 0 && files_join(to, b->dir, name)) {
        (void)unlink(to);
    }
    (void)unlink(from);
    if (err != 0 && err != ENOSPC && err != EDQUOT) { /* a full disk is reported to each sender */
        (void)snprintf(b->why, sizeof(b->why),
                       "nothing can be received into the inbox %s: %s; choose another folder",
                       b->dir, strerror(err));
        return false;
    }
    return true;
}

/* |line| has room for INDEX_LINE_MAX. */
static size_t index_line(char *line, const struct inbox_entry *e)
{
    char hash[2 * TRANSFER_HASH_LEN + 1], id[2 * TRANSFER_ID_LEN + 1];
    files_hex(hash, e->offer.hash, TRANSFER_HASH_LEN);
    files_hex(id, e->offer.id, TRANSFER_ID_LEN);
    int len = snprintf(line, INDEX_LINE_MAX, "%lld\t%s\t%llu\t%s\t%s\t%s\t%s\n",
                       (long long)e->time_ms, e->offer.kind == TRANSFER_FILE ? "file" : "message",
                       (unsigned long long)e->offer.size, hash, id, e->to[0] == 0 ? "-" : e->to,
                       e->offer.name);
    return len > 0 && len < INDEX_LINE_MAX ? (size_t)len : 0;
}

/* Senders decide how many lines there are: a file that only grew could not be read one day. */
static bool index_renew(struct inbox *b, const char *path)
{
    char *text = mem_alloc(b->mem, b->n * INDEX_LINE_MAX + 1);
    size_t len = 0;
    for (size_t ix = 0; text != NULL && ix < b->n; ix++) {
        len += index_line(text + len, &b->entry[ix]);
    }
    bool ok = text != NULL && files_write(path, text, len) == 0;
    mem_free(b->mem, text);
    b->lines = ok ? b->n : b->lines;
    return ok;
}

static bool has_id(const struct inbox_entry *e)
{
    static const uint8_t none[TRANSFER_ID_LEN];
    return memcmp(e->offer.id, none, sizeof(none)) != 0;
}

void inbox_forget(struct inbox *b, int64_t now_ms)
{
    bool found = false;
    char path[FILES_PATH_MAX];
    for (size_t ix = 0; ix < b->n; ix++) {
        struct inbox_entry *e = &b->entry[ix];
        if (has_id(e) && now_ms - e->time_ms > INBOX_ID_AGE_MAX_S * INT64_C(1000)) {
            memset(e->offer.id, 0, sizeof(e->offer.id));
            found = true;
        }
    }
    if (found && files_join(path, b->dir, ".index")) {
        (void)index_renew(b, path); /* tried again with the next one that is due */
    }
}

void inbox_message_name(char name[TRANSFER_NAME_MAX + 1], int64_t now_ms, uint32_t random)
{
    time_t t = (time_t)(now_ms / 1000);
    struct tm tm;
    char day[16] = "";
    if (gmtime_r(&t, &tm) != NULL) {
        (void)strftime(day, sizeof(day), "-%Y%m%d", &tm);
    }
    (void)snprintf(name, TRANSFER_NAME_MAX + 1, "message%s-%08x.txt", day, (unsigned)random);
}

bool inbox_open(struct inbox *b, struct mem *mem, const char *dir, int64_t now_ms)
{
    char path[FILES_PATH_MAX];
    uint8_t *text = NULL;
    size_t len;
    *b = (struct inbox){.mem = mem};
    (void)snprintf(b->dir, sizeof(b->dir), "%s", dir);
    bool fits = files_join(b->partial, dir, ".partial") && files_join(path, dir, ".index");
    int err = fits ? files_dir(b->partial) : ENAMETOOLONG;
    if (err == 0) {
        err = files_read(mem, path, INDEX_MAX, &text, &len);
        err = err == ENOENT ? 0 : err;
    }
    if (err != 0) {
        (void)snprintf(b->why, sizeof(b->why), "the inbox %s cannot be used: %s", dir,
                       strerror(err));
        return false;
    }
    if (text != NULL) {
        read_index(b, (char *)text);
        mem_free(mem, text);
    }
    remove_expired(b, now_ms);
    inbox_forget(b, now_ms);
    inbox_count(b);
    if (probe(b)) {
        return true;
    }
    inbox_close(b);
    return false;
}

void inbox_close(struct inbox *b)
{
    mem_free(b->mem, b->entry);
    b->entry = NULL;
    b->n = b->cap = 0;
}

const struct inbox_entry *inbox_find(const struct inbox *b, const struct transfer_offer *o)
{
    for (size_t ix = b->n; ix-- > 0;) {
        const struct inbox_entry *e = &b->entry[ix];
        if (has_id(e) && memcmp(e->offer.id, o->id, TRANSFER_ID_LEN) == 0 &&
            e->offer.size == o->size && memcmp(e->offer.hash, o->hash, TRANSFER_HASH_LEN) == 0 &&
            inbox_there(b, e)) {
            return e;
        }
    }
    return NULL;
}

bool inbox_partial(const struct inbox *b, const struct transfer_offer *o, char path[FILES_PATH_MAX],
                   char offer_path[FILES_PATH_MAX])
{
    char id[2 * TRANSFER_ID_LEN + 1], with[2 * TRANSFER_ID_LEN + 7];
    files_hex(id, o->id, TRANSFER_ID_LEN);
    (void)snprintf(with, sizeof(with), "%s.offer", id);
    return files_join(path, b->partial, id) && files_join(offer_path, b->partial, with);
}

static void drop_partial(const struct inbox *b, const char *id)
{
    char path[FILES_PATH_MAX], offer[2 * TRANSFER_ID_LEN + 7];
    (void)snprintf(offer, sizeof(offer), "%s.offer", id);
    if (files_join(path, b->partial, id)) {
        (void)unlink(path);
    }
    if (files_join(path, b->partial, offer)) {
        (void)unlink(path);
    }
}

void inbox_trim(const struct inbox *b, uint64_t most,
                bool (*busy)(const void *ctx, const uint8_t id[TRANSFER_ID_LEN]), const void *ctx)
{
    for (bool over = true; over;) {
        char oldest[2 * TRANSFER_ID_LEN + 1] = "", smallest[2 * TRANSFER_ID_LEN + 1] = "";
        char path[FILES_PATH_MAX];
        uint8_t id[TRANSFER_ID_LEN];
        uint64_t bytes = 0;
        off_t least = 0;
        size_t n = 0;
        struct timespec age = {0};
        struct stat st;
        const struct dirent *e;
        DIR *list = opendir(b->partial);
        while (list != NULL && (e = readdir(list)) != NULL) {
            if (!files_unhex(id, sizeof(id), e->d_name) || busy(ctx, id) ||
                !files_join(path, b->partial, e->d_name) || lstat(path, &st) != 0) {
                continue;
            }
            bool older = st.st_mtim.tv_sec < age.tv_sec ||
                         (st.st_mtim.tv_sec == age.tv_sec && st.st_mtim.tv_nsec < age.tv_nsec);
            if (n == 0 || older) {
                files_hex(oldest, id, sizeof(id));
                age = st.st_mtim;
            }
            if (n == 0 || st.st_size < least || (st.st_size == least && older)) {
                files_hex(smallest, id, sizeof(id));
                least = st.st_size;
            }
            bytes += inbox_cost((uint64_t)st.st_size);
            n++;
        }
        if (list != NULL) {
            (void)closedir(list);
        }
        over = n > 0 && (bytes > most || n > INBOX_PARTIALS_MAX);
        if (over) {
            const char *gone = n > INBOX_PARTIALS_MAX ? smallest : oldest;
            drop_partial(b, gone);
            over = files_join(path, b->partial, gone) && lstat(path, &st) != 0;
        }
    }
}

/* Moves |from| to |to|, never over another file: 0 or an errno, EEXIST where |to| is taken. */
static int move_no_replace(const char *from, const char *to)
{
    if (link(from, to) == 0) {
        return unlink(from) == 0 ? 0 : errno;
    }
    if (errno == EEXIST) {
        return EEXIST;
    }
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK) {
        return errno;
    }
    /* a file system without hard links (exFAT, some network ones) */
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) {
        return errno;
    }
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno; /* EEXIST, too */
    }
    (void)close(fd);
    if (rename(from, to) != 0) { /* over the empty file that is ours */
        int err = errno;
        (void)unlink(to);
        return err;
    }
    return 0;
}

/* |name| with the number |nth| before its last dot, shortened between characters to what a name may have. */
static void numbered(char name[TRANSFER_NAME_MAX + 1], const char *first, unsigned nth)
{
    const char *dot = strrchr(first, '.');
    size_t stem = dot == NULL || dot == first ? strlen(first) : (size_t)(dot - first);
    const char *tail = first + stem;
    char number[16];
    size_t digits = (size_t)snprintf(number, sizeof(number), " (%u)", nth);
    size_t most = TRANSFER_NAME_MAX - digits;
    size_t tail_len = strlen(tail) < most ? strlen(tail) : 0;
    stem = stem + tail_len > most ? most - tail_len : stem;
    while (stem > 0 && ((unsigned char)first[stem] & 0xc0) == 0x80) {
        stem--; /* not within a character */
    }
    (void)snprintf(name, TRANSFER_NAME_MAX + 1, "%.*s%s%.*s", (int)stem, first, number,
                   (int)tail_len, tail);
}

static int place_in(const char *dir, int dir_fd, const char *partial,
                    char name[TRANSFER_NAME_MAX + 1])
{
    char first[TRANSFER_NAME_MAX + 1], path[FILES_PATH_MAX];
    memcpy(first, name, sizeof(first));
    for (unsigned nth = 2; nth < 10000; nth++) {
        int err = files_join(path, dir, name) ? move_no_replace(partial, path) : ENAMETOOLONG;
        if (err != EEXIST) {
            return err != 0 || fsync(dir_fd) == 0 ? err : errno;
        }
        numbered(name, first, nth);
    }
    return EEXIST;
}

/* The folder is opened first: where descriptors lack, nothing is moved, and the sender may offer it again. */
int inbox_place(const char *dir, const char *partial, char name[TRANSFER_NAME_MAX + 1])
{
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        return errno;
    }
    int err = place_in(dir, dir_fd, partial, name);
    close(dir_fd);
    return err;
}

int inbox_note(const char *dir, const struct inbox_entry *e)
{
    char path[FILES_PATH_MAX], line[INDEX_LINE_MAX];

    if (!files_join(path, dir, ".index")) {
        return ENAMETOOLONG;
    }
    return files_append(path, line, index_line(line, e));
}

int inbox_add(struct inbox *b, const struct inbox_entry *e)
{
    char path[FILES_PATH_MAX];

    if (!append(b, e)) {
        return ENOMEM;
    }
    b->bytes += inbox_cost(e->offer.size);
    if (!files_join(path, b->dir, ".index")) {
        return ENAMETOOLONG;
    }
    if (b->lines >= INBOX_LINES_MAX && index_renew(b, path)) {
        return 0;
    }
    int err = inbox_note(b->dir, e);
    b->lines++;
    return err;
}

const struct inbox_entry *inbox_named(const struct inbox *b, const char *name)
{
    for (size_t ix = b->n; ix-- > 0;) {
        if (strcmp(b->entry[ix].offer.name, name) == 0 && inbox_there(b, &b->entry[ix])) {
            return &b->entry[ix];
        }
    }
    return NULL;
}

int inbox_remove(struct inbox *b, const struct inbox_entry *e)
{
    char path[FILES_PATH_MAX];
    size_t ix = (size_t)(e - b->entry);
    uint64_t cost = inbox_cost(e->offer.size);

    if (!entry_path(b, e->offer.name, path)) {
        return ENAMETOOLONG;
    }
    if (unlink(path) != 0) {
        return errno;
    }
    b->bytes -= cost < b->bytes ? cost : b->bytes;
    memmove(&b->entry[ix], &b->entry[ix + 1], (b->n - ix - 1) * sizeof(*b->entry));
    b->n--;
    b->dirty = true;
    return 0;
}

void inbox_tidy(struct inbox *b)
{
    char path[FILES_PATH_MAX];

    if (b->dirty && files_join(path, b->dir, ".index")) {
        b->dirty = !index_renew(b, path);
    }
}
