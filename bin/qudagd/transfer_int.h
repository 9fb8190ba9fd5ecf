/* transfer_int.h - what the files transfer*.c share. */
#ifndef QUDAG_BIN_TRANSFER_INT_H
#define QUDAG_BIN_TRANSFER_INT_H

#include "inbox.h"
#include "transfer.h"
#include "unsent.h"

#include <blake3.h>

#include <stdatomic.h>

#define TRANSFER_SENDS_MAX 8 /* at work; more wait their turn */
#define TRANSFER_RECVS_MAX 16
#define NS_PER_S UINT64_C(1000000000)

/* Work on files that may take long, on a thread of libuv's pool; |done| is called on the loop. */
struct transfer_job {
    uv_work_t work;
    bool busy;
    atomic_bool stop; /* asks run() to give up */
    void *owner;
    void (*run)(struct transfer_job *j);
    void (*done)(struct transfer_job *j);
    int fd, err;
    uint64_t from, to; /* hashing: this part of fd; |from| is the thread's while it runs */
    atomic_uint_least64_t hashed; /* bytes so far, for whoever watches */
    blake3_hasher hash;
    char dir[PATH_LEN], path[PATH_LEN], name[TRANSFER_NAME_MAX + 1]; /* storing */
};

/* Runs j->run on a thread of the pool and then j->done on the loop; false: it could not be queued. */
bool transfer_job_start(struct daemon *d, struct transfer_job *j);

void transfer_job_hash(struct transfer_job *j);  /* run: fd from..to into hash */
void transfer_job_store(struct transfer_job *j); /* run: sync fd, move path into dir under name */

struct transfers {
    struct daemon *d;
    struct inbox inbox;
    struct transfer_out *sends;
    struct transfer_in *recvs;
    unsigned n_sends, n_recvs;
    uint64_t size_max, file_max;
    struct unsent_table unsent; /* ended before they were delivered */
    uint64_t forgot_ns;         /* when inbox_forget() was called last */
};

/* transfer_send.c; false: not one of these */
bool transfer_out_data(struct transfers *k, qudag_stream s, qudag_slice data);

/* Sends more of the content. */
bool transfer_out_pump_stream(struct transfers *k, qudag_stream s);

/* Its circuit is too old: what is left goes over another one. */
void transfer_out_old(struct transfers *k, qudag_stream s);

/* The stream has ended: another attempt, or the end of the transfer. */
bool transfer_out_closed(struct transfers *k, qudag_stream s, qudag_err why);

/* Starts transfers that waited for their turn, and ends those that took too long. */
void transfer_out_tick(struct transfers *k, uint64_t now_ns);

/* Frees all of them, without an answer to their requests. */
void transfer_out_free_all(struct transfers *k);

/* transfer_recv.c */
void transfer_in_new(struct transfers *k, qudag_stream s, const char *dark);

/* Bytes of the sender: offer, then content. */
bool transfer_in_data(struct transfers *k, qudag_stream s, qudag_slice data, bool fin);

/* Sends answers that had no room before. */
bool transfer_in_flush_stream(struct transfers *k, qudag_stream s);

/* The sender's stream has ended; what was received stays for its next one. */
bool transfer_in_closed(struct transfers *k, qudag_stream s);

/* Reports progress, and leaves senders that are silent for too long. */
void transfer_in_tick(struct transfers *k, uint64_t now_ns);

/* Frees all of them; what was received stays on disk. */
void transfer_in_free_all(struct transfers *k);

#endif
