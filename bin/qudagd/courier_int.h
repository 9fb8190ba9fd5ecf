/* courier_int.h - what the courier's files share. */
#ifndef QUDAG_BIN_COURIER_INT_H
#define QUDAG_BIN_COURIER_INT_H

#include "courier.h"
#include "inbox.h"

#include <blake3.h>

#include <stdatomic.h>

#define COURIER_SENDS_MAX 8
#define COURIER_RECVS_MAX 16
#define NS_PER_S UINT64_C(1000000000)

/* Work on files that may take long, on a thread of libuv's pool; |done| is called on the loop. */
struct job {
    uv_work_t work;
    bool busy;
    atomic_bool stop; /* asks run() to give up */
    void *owner;
    void (*run)(struct job *j);
    void (*done)(struct job *j);
    int fd, err;
    uint64_t from, to; /* hashing: this part of fd */
    blake3_hasher hash;
    char dir[PATH_LEN], path[PATH_LEN], name[COURIER_NAME_MAX + 1]; /* storing */
};
bool job_start(struct daemon *d, struct job *j);
void job_hash(struct job *j);  /* run: fd from..to into hash */
void job_store(struct job *j); /* run: sync fd, move path into dir under name */

struct courier {
    struct daemon *d;
    struct inbox inbox;
    struct send *sends;
    struct recv *recvs;
    unsigned n_sends, n_recvs;
    uint64_t size_max, file_max;
};

/* courier_send.c; false: not one of these */
bool send_data(struct courier *k, qudag_stream s, qudag_slice data);
bool send_pump_stream(struct courier *k, qudag_stream s);
bool send_closed(struct courier *k, qudag_stream s, qudag_err why);
bool send_op_done(struct courier *k, qudag_op op, qudag_err err, const qudag_result *res);
void send_tick(struct courier *k, uint64_t now_ns);
void send_free_all(struct courier *k);
/* courier_recv.c */
void recv_new(struct courier *k, qudag_stream s, const char *dark);
bool recv_data(struct courier *k, qudag_stream s, qudag_slice data, bool fin);
bool recv_flush_stream(struct courier *k, qudag_stream s);
bool recv_closed(struct courier *k, qudag_stream s);
void recv_tick(struct courier *k, uint64_t now_ns);
void recv_free_all(struct courier *k);

#endif
