/*
 * store_log.c - what SQLite could not read of its log.
 *
 * SQLite reads the log up to the first page whose checksum is wrong, and takes the rest for commits that were
 * never finished.  So it says nothing when pages were damaged that had been written to the end: here they are
 * looked for.  A page belongs to the log as it is now when it carries the salts of its head; pages of the time
 * before it began again carry others.  A page that ends a commit says how large the file was then.
 *
 * Layout: sqlite.org/fileformat.html, section 4.  Nothing is written.
 */
#include "base/rd.h"
#include "io/store_int.h"

#include <string.h>
#include <unistd.h>

#define LOG_HEAD 32
#define PAGE_HEAD 24
#define SALTS_LEN 8
#define HEAD_SALTS_AT 16
#define HEAD_SUM_AT 24 /* of the bytes before it */
#define PAGE_SALTS_AT 8

static uint32_t word_at(const uint8_t *p, bool big)
{
    struct rd r = rd_init((struct slice){p, 4});
    uint32_t w = rd_u32(&r);

    return big ? w : __builtin_bswap32(w);
}

/* The lowest bit of the first word tells in which order the words were summed. */
static bool head_is_whole(const uint8_t head[LOG_HEAD])
{
    bool big = (head[3] & 1) != 0;
    uint32_t a = 0, b = 0;

    for (size_t i = 0; i < HEAD_SUM_AT; i += 8) {
        a += word_at(head + i, big) + b;
        b += word_at(head + i + 4, big) + a;
    }
    return a == word_at(head + HEAD_SUM_AT, true) && b == word_at(head + HEAD_SUM_AT + 4, true);
}

static bool read_at(int fd, uint8_t *out, size_t len, uint64_t at)
{
    return pread(fd, out, len, (off_t)at) == (ssize_t)len;
}

uint32_t store_log_lost(int fd, uint32_t whole)
{
    static const uint8_t nothing[LOG_HEAD];
    uint8_t head[LOG_HEAD], page[PAGE_HEAD], salts[SALTS_LEN];
    uint32_t lost = 0;

    if (!read_at(fd, head, sizeof(head), 0) || memcmp(head, nothing, sizeof(head)) == 0 ||
        !read_at(fd, page, sizeof(page), LOG_HEAD)) {
        return 0;
    }
    memcpy(salts, head_is_whole(head) ? head + HEAD_SALTS_AT : page + PAGE_SALTS_AT, SALTS_LEN);
    for (uint32_t i = whole; read_at(fd, page, sizeof(page), LOG_HEAD + (uint64_t)i * STORE_FRAME);
         i++) {
        bool ends_commit = word_at(page + 4, true) != 0;
        if (ends_commit && memcmp(page + PAGE_SALTS_AT, salts, SALTS_LEN) == 0) {
            lost = i + 1 - whole;
        }
    }
    return lost;
}
