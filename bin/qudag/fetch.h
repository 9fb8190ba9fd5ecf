/*
 * fetch.h - getting what somebody shares:
 *
 *   cmd_fetch.c   the command: what of the share, where to, what it says
 *   fetch_get.c   HTTP by libcurl, over connections that others make
 *   fetch_file.c  one file on disk: resumed, checked, put in its place
 *
 *   list of the share ─▶ what is here already? ─▶ each file: DIR/.NAME.HASH.part ─▶ checked ─▶ DIR/NAME
 */
#ifndef QUDAG_BIN_FETCH_H
#define QUDAG_BIN_FETCH_H

#include "manifest.h"

#include <blake3.h>

/* ---- fetch_get.c */

/*
 * A site that is asked.  libcurl connects to |door|, as "127.0.0.1:9350", and before anything is sent there, |dial|
 * makes the connection lead to the site: the descriptor is borrowed, blocks, and so may |dial|, which returns false if
 * it could not.  |door| NULL: the site is at the Unix socket |path|.
 */
struct fetch_site {
    const char *host; /* for the header Host */
    const char *door; /* may change from one request to the next */
    bool (*dial)(void *ctx, int fd);
    void *ctx;
    char path[108];
    int fresh; /* a connection that libcurl made, not dialled yet; -1: none.  Of fetch_site_open(), as the next */
    void *curl;
};

enum fetch_end {
    FETCH_OK,
    FETCH_DIAL, /* no connection: nothing answers at |door|, or |dial| knows why */
    FETCH_CUT,  /* it ended early, or was silent for FETCH_SILENCE_S */
    FETCH_STATUS, /* the site answered, but not with what was asked for; the rest of that is not read */
    FETCH_SINK, /* the sink took no more */
};
#define FETCH_SILENCE_S 60

/* Nothing else is asked: no name is resolved, no address dialled but |door|, no proxy of the environment used, no
 * redirection followed.  False: no memory. */
bool fetch_site_open(struct fetch_site *s);
void fetch_site_close(struct fetch_site *s);

/*
 * Gets |path| (encoded, without a leading '/') from byte |from| on; what comes goes to |sink|, which returns false to
 * end it.  *status: of HTTP, 0 before there was one.
 */
enum fetch_end fetch_get(struct fetch_site *s, const char *path, uint64_t from,
                         bool (*sink)(void *ctx, const void *bytes, size_t len), void *ctx,
                         long *status);
/* An empty POST.  The answer is not read beyond its head: FETCH_SINK if there was more. */
enum fetch_end fetch_post(struct fetch_site *s, const char *path);

/* ---- fetch_file.c */

#define FETCH_FOLDERS_MAX                                                                          \
    20000 /* that one fetch makes; no share lists files of more (share_tree.h) */

/*
 * Opens the folder that the file |path| below the folder |top| goes to, no link followed: its descriptor, or minus an
 * errno.  Folders that lack are made, *may at most, which counts down; -ENOENT: one lacks, and no more may be made.
 */
int fetch_folder(int top, const char *path, unsigned *may);

enum fetch_there {
    FETCH_FREE,  /* nothing has that name */
    FETCH_SAME,  /* the file is here already */
    FETCH_OTHER, /* something else has that name */
};
/* What is under |name| in the folder |dir|; |hash|: of |size| bytes that are wanted. */
enum fetch_there fetch_look(int dir, const char *name, uint64_t size,
                            const uint8_t hash[SHARE_HASH_LEN]);

/* A file that is being fetched. */
struct fetch_file {
    int dir, fd;
    char name[SHARE_NAME_MAX + 1], part[SHARE_NAME_MAX + 1];
    uint64_t size, have; /* of the file; in the part, hashed and written */
    uint8_t want[SHARE_HASH_LEN];
    blake3_hasher hash;
    int err; /* why it took no more */
};

/* Opens the part of |name| in |dir|, and hashes what is there.  0 or an errno; EWOULDBLOCK: somebody else is at it. */
int fetch_file_open(struct fetch_file *f, int dir, const char *name, uint64_t size,
                    const uint8_t hash[SHARE_HASH_LEN]);
/* Appends; false: f->err, EFBIG if that is more than the file has. */
bool fetch_file_add(void *f, const void *bytes, size_t len);
/* From the beginning again: 0 or an errno. */
int fetch_file_restart(struct fetch_file *f);
/* Checks it and gives it its name; |replaces|: also if that is taken.  0, EEXIST, EBADMSG (another content: the part is
 * gone), or an errno. */
int fetch_file_done(struct fetch_file *f, bool replaces);
/* Closes it; the part stays for the next time. */
void fetch_file_close(struct fetch_file *f);

#endif
