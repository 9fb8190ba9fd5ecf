/*
 * receive_int.h - what the files of receiving share.
 *
 *   inbox_open.c    qudag_inbox_*(): the folder, its list, time            inbox.c          what lies there
 *   inbox_allowed.c peers that may send over links
 *   receive.c       one transfer in, from its stream to the folder         transfer_job.c   work on threads
 */
#ifndef QUDAG_SRC_APP_RECEIVE_INT_H
#define QUDAG_SRC_APP_RECEIVE_INT_H

#include <qudag/inbox.h>

#include "api/clients.h"
#include "api/sized.h"
#include "app/delivery.h"
#include "app/transfer_job.h"

#define TRANSFER_RECVS_MAX QUDAG_INBOX_RECEIVED_AT_ONCE

enum receive_state { OFFER, HASHING, CONTENT, STORING, SAID };

struct receive_in {
    struct receive_in *next;
    struct receives *k;
    qudag_stream stream;
    bool streaming; /* the stream lives */
    enum receive_state state;
    struct transfer_offer offer;
    char dark
        [QUDAG_DARK_TEXT_MAX]; /* to which address; from an allowed peer: its TRANSFER_PEER_PREFIX and id */
    struct transfer_job *job; /* with the file; its hash runs along with the content */
    uint64_t got, reported, reserved;
    uint64_t heard_ns, reported_ns;
    uint64_t trimmed_at;         /* |got| when others' unfinished transfers last made room */
    uint64_t since_ns, got_then; /* the pace is measured from there; 0: not yet */
    struct delivery_pace pace;
    bool fin_after; /* when |out| is written */
    size_t in_len, out_len, out_at;
    uint8_t in[TRANSFER_MSG_MAX], out[4 * TRANSFER_MSG_MAX];
};

/* A transfer of which what was there has been hashed. */
struct receive_hashed {
    uint8_t id[TRANSFER_ID_LEN];
    uint64_t at, when_ns; /* how much that was, the last time */
    unsigned idle;        /* times in a row that less than DELIVERY_HASH_BYTES more was there */
};

/* All of one node. */
struct receives {
    qudag_node *node;
    struct api_client *client;
    struct inbox inbox;
    struct receive_in *recvs;
    unsigned n_recvs;
    struct receive_hashed hashed[INBOX_PARTIALS_MAX]; /* as many as there can be; the oldest goes */
    uint64_t size_max, file_max;
    void (*arrived)(qudag_node *n, const qudag_inbox_item *item, void *user);
    void *user;
    uint64_t forgot_ns;                          /* when inbox_forget() was called last */
    uv_timer_t *timer;                           /* frees itself when closed */
    bool at_work;                                /* it runs often */
    qudag_peer_id kept[QUDAG_INBOX_ALLOWED_MAX]; /* allowed, and on disk */
    size_t n_kept;
    bool
        serving; /* the protocol is ours; else all but |node| and |client| waits for another attempt */
};

/* inbox_open.c */
/* The receiver of |n|; NULL: it has no inbox. */
struct receives *receive_of(const qudag_node *n);
/* Looks often as long as there is a transfer, else now and then. */
void receive_retime(struct receives *k);
/* What is told of |e| outside. */
void receive_item(qudag_inbox_item *out, const struct inbox_entry *e);

/* inbox_allowed.c */
/* Lets the |n| peers at |from| send from now on, and those that were allowed in an earlier life. */
QUDAG_MUST_USE qudag_err receive_allow_begin(struct receives *k, const qudag_peer_id *from,
                                             uint64_t n);
/* qudag_inbox_allow() and qudag_inbox_disallow(), but for what the peer is sending. */
QUDAG_MUST_USE qudag_err receive_allow(struct receives *k, const qudag_peer_id *peer);
QUDAG_MUST_USE qudag_err receive_disallow(struct receives *k, const qudag_peer_id *peer);

/* receive.c */
/* What |peer| is sending is refused. */
void receive_refuse_peer(struct receives *k, const qudag_peer_id *peer);
/* Callbacks of the streams; see qudag_callbacks. */
void receive_stream_in(qudag_node *n, qudag_stream s, const qudag_peer_id *from, const char *dark,
                       const char *proto, void *user);
/* Bytes of the sender: offer, then content. */
void receive_stream_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user);
/* Sends answers that had no room before. */
void receive_stream_writable(qudag_node *n, qudag_stream s, void *user);
/* The sender's stream has ended; what was received stays for its next one. */
void receive_stream_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user);
/* Reports progress, and leaves senders that are silent for too long. */
void receive_tick(struct receives *k, uint64_t now_ns);
/* Frees all of them; what was received stays on disk. */
void receive_free_all(struct receives *k);

#endif
