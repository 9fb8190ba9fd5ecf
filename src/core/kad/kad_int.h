/*
 * kad_int.h - the core as its rooms make it up, for the files of this folder.
 *
 *   kad.c          public functions, events and ticks to the rooms        scratch.c      what instances share
 *   request.h      requests: request.c, get.c, put.c                      maintenance.c  what is done without one
 *
 *   common/   env, params, distance, rules (what may be stored), refusal (counters), frame
 *   routing/  addrinfo, contact, table (k-buckets), contacts, departed, netsize, prefix_key
 *   lookup/   candidates, lookup, rpc, rtt          storage/  store, republish, persist
 *   server/   serve, limits
 *
 * Arrows between rooms go to the left and up only (DEPS): routing knows common; lookup and storage know routing;
 * server knows storage; nothing below this folder knows struct kad.
 */
#ifndef QUDAG_SRC_CORE_KAD_KAD_INT_H
#define QUDAG_SRC_CORE_KAD_KAD_INT_H

#include "core/kad/request.h"
#include "core/kad/server/serve.h"
#include "core/kad/storage/persist.h"

#include <limits.h>

#define KAD_MAINTAIN (60 * NS_PER_S)
#define KAD_REFRESH (600 * NS_PER_S)
#define KAD_REJOIN_MIN (30 * NS_PER_S)
#define KAD_FILLED UINT_MAX

struct kad_scratch {
    struct kad_shared shared;
    struct kad_buffers buf;
};

/* Requests: running, and reported ones that are freed once that was carried out. */
struct kad_requests {
    struct list running, ended;
    uint32_t n, n_after, n_internal; /* of the caller; of these reported; our own */
    uint32_t max, quorum;
    uint64_t life_ns;
};

/* What is done without a request: when. */
struct kad_maintenance {
    tstamp next, next_check, next_heal, next_alone, rejoin_at, rejoin_wait;
    unsigned fill; /* next part of a bucket to be filled after a bootstrap; KAD_FILLED: none */
    bool filling;  /* one is */
};

/* What every call touches stands first, and what is rarely looked at last: a loop may have thousands of them. */
struct kad {
    struct kad_env env;
    struct kad_requests requests;
    struct kad_maintenance care;
    struct kad_rpcs rpcs;
    struct kad_server server;
    struct kad_routing routing;
    struct kad_storage storage;
    struct kad_rules rules;
    struct kad_scratch *scratch;
    bool own_scratch;
    const char *protocol;
};

/* Every call of the core begins here: frees requests whose reports were carried out, notes the room in |out|. */
void kad_call_begin(struct kad *k, const struct acts *out);

/* ---- maintenance.c ---- */

/* The first check and refresh are due within a minute or so of |now|. */
void kad_maintenance_init(struct kad *k, tstamp now);
/* Whatever is due. */
void kad_maintain(struct kad *k, tstamp now, struct acts *out);
/* When something is. */
tstamp kad_maintenance_at(const struct kad *k);

#endif
