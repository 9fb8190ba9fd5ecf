/* share_int.h - what the files share_http.c and share_listing.c share. */
#ifndef QUDAG_BIN_SHARE_INT_H
#define QUDAG_BIN_SHARE_INT_H

#include "share_hash.h"
#include "share_http.h"

#include <microhttpd.h>
#include <pthread.h>

#define SHARE_VIEWS_MAX 4 /* at a time: one of SHARE_FILES_MAX files takes some 20 MB */

/* Which files there were when a list began; lists that begin soon after each other have the same. */
struct share_view {
    struct share_files files;
    unsigned refs; /* lists that are being sent; 0: it is free */
    uint64_t made_ns;
};

struct share_http {
    struct MHD_Daemon *mhd;
    const struct share_tree *tree;
    struct share_hashes *hashes;
    uint8_t tag_key[BLAKE3_KEY_LEN];
    void (*given)(void *ctx, const struct share_given *g);
    void *ctx;
    pthread_mutex_t lock; /* of what follows, and of |given| */
    struct share_once *once;
    bool confirmed;
    unsigned giving; /* requests for files */
    uint64_t heard_ns;
    const void *turn_of; /* the list for which a file is hashed; NULL: none */
    uint64_t turn_ns;    /* when that went on last */
    pthread_mutex_t
        page_lock; /* held while a folder's page is made, or a view, and of what follows */
    struct share_view view[SHARE_VIEWS_MAX];
};

struct share_listing;

/* One request; alive from its first byte to its end. */
struct share_request {
    struct share_http *http;
    char path[PATH_LEN];
    bool head, gives; /* gives: bytes of the file |fd| */
    int fd;
    uint64_t size, from, to; /* of the file; what is given of it */
    uint64_t sent;           /* of these, what the kernel took */
    size_t body;
    struct share_listing *list;
};

/* The answer with the list of all files, which is made while it is sent; NULL: out of memory. */
struct MHD_Response *share_listing_response(struct share_request *r);

/* Frees what belongs to it (which may be nothing); others may have theirs now. */
void share_listing_end(struct share_request *r);

#endif
