/*
 * share_http.h - the server of a share: HTTP/1.1 on a listening socket, by libmicrohttpd, with threads of its own.
 *
 *   GET /                        the page of the share; /FOLDER/ that of a folder in it
 *   GET /FOLDER/FILE             a file, or a range of it
 *   GET /.well-known/qudag-share       names, sizes and hashes (manifest.h)
 *   POST /.well-known/qudag-share/done all was fetched and checked
 *
 * No answer says anything of this machine: no program's name, date, time of a file, path, or number of an inode.
 */
#ifndef QUDAG_BIN_SHARE_HTTP_H
#define QUDAG_BIN_SHARE_HTTP_H

#include "share_once.h"

#include "common/share.h"

#define SHARE_SILENCE_S 120  /* a connection on which nothing moves is closed */
#define SHARE_BODY_MAX 65536 /* bytes of a request's body, which is not read */

/* A request for a file that has ended. */
struct share_given {
    const char *path;
    uint64_t size, from, to; /* of the file; what was handed over of it */
    bool cut;                /* the connection ended before the range did */
};

struct share_http;

/*
 * Serves |tree| on the listening socket |fd|, which it takes over.  |given| is called for each request of a file, from
 * other threads, one at a time.  |files|: what is to be taken before share_http_over(); borrowed for the call.
 * NULL: out of memory, or no thread.
 */
struct share_http *share_http_new(const struct share_tree *tree, const struct share_files *files,
                                  int fd, void (*given)(void *ctx, const struct share_given *g),
                                  void *ctx);

/* Closes all connections and waits for their threads (NULL allowed). */
void share_http_free(struct share_http *h);

/* Whether all was taken once: who fetched it confirmed that, or has been silent since. */
bool share_http_over(struct share_http *h);

#endif
