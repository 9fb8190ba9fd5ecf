/* refusal.h - why something a peer sent was refused; counters. */
#ifndef QUDAG_SRC_CORE_KAD_COMMON_REFUSAL_H
#define QUDAG_SRC_CORE_KAD_COMMON_REFUSAL_H

#include "base/types.h"

/* Why something a peer sent was refused: X(NAME, name, the total it belongs to, what was wrong with it). */
#define KAD_REFUSAL_LIST(X)                                                                        \
    X(OVERSIZED, oversized, bad_messages, "the message is longer than the limit")                  \
    X(MALFORMED, malformed, bad_messages, "the message cannot be read, or ended too early")        \
    X(UNKNOWN_TYPE, unknown_type, bad_messages, "the message has an unknown type")                 \
    X(FIELD_SIZE, field_size, bad_messages, "a key, value or time is over its limit")              \
    X(NO_KEY, no_key, bad_messages, "the request has no key")                                      \
    X(UNASKED, unasked, bad_messages, "an answer nobody asked for")                                \
    X(OTHER_TYPE, other_type, bad_messages, "an answer of another type than the request")          \
    X(UNREAD, unread, bad_messages, "it sends more before it has read its answers")                \
    X(RATE_PEER, rate_peer, bad_messages, "too many requests of one peer")                         \
    X(RATE_NETWORK, rate_network, bad_messages, "too many requests of one network")                \
    X(RATE_ALL, rate_all, bad_messages, "too many requests of all peers together")                 \
    X(RATE_STORE, rate_store, bad_messages, "too many records to be checked at once")              \
    X(QUOTA, quota, refused_records, "the peer, or its network, stored enough for this hour")      \
    X(NO_RECORD, no_record, refused_records, "a request to store holds nothing to be stored")      \
    X(NAMESPACE, namespace, refused_records, "the key is in no namespace known here")              \
    X(OTHER_KEY, other_key, refused_records, "the record is for another key")                      \
    X(VALUE_SIZE, value_size, refused_records, "the value is larger than its namespace allows")    \
    X(INVALID, invalid, refused_records, "the record's form or signature is not valid")            \
    X(EXPIRED, expired, refused_records, "the record has expired")                                 \
    X(CLOCK, clock, refused_records, "the record is of a time too far ahead of our clock")         \
    X(STALE, stale, refused_records, "the record is older than the one held")                      \
    X(FULL, full, refused_records, "the store is full of what is nearer to us")                    \
    X(NO_MEMORY, no_memory, refused_records, "there is no memory for it")                          \
    X(PROVIDER_OTHER, provider_other, refused_records, "a provider that is not the sender")        \
    X(PROVIDER_ADDR, provider_addr, refused_records, "a provider without an address of use")       \
    X(PEER_MANY, peer_many, dropped_peers, "more peers or addresses than an answer may name")      \
    X(PEER_ID, peer_id, dropped_peers, "a peer whose id cannot be read")                           \
    X(PEER_SELF, peer_self, dropped_peers, "an answer that names us")                              \
    X(PEER_ADDR, peer_addr, dropped_peers, "a private, local or otherwise useless address")        \
    X(PEER_CROWD, peer_crowd, dropped_peers, "too many peers of one network in an answer")         \
    X(PEER_TWICE, peer_twice, dropped_peers, "a peer named twice in one answer")

enum kad_refusal {
#define X(NAME, name, total, text) KAD_REFUSED_##NAME,
    KAD_REFUSAL_LIST(X)
#undef X
        KAD_REFUSALS
};

/* A word for tools ("rate_peer"), a sentence for people; static, "?" for what is none. */
const char *kad_refusal_name(enum kad_refusal r);
const char *kad_refusal_text(enum kad_refusal r); /* the sentence */

/* Why a value was refused that kad_validate() or the store refused with |err|. */
enum kad_refusal kad_refusal_of(qudag_err err);
/* Why kad_msg_decode() refused a message with |err|. */
enum kad_refusal kad_refusal_of_msg(qudag_err err);

/* Counters; the last lines hold what is there now, and what may be. */
struct kad_stats {
    uint64_t rpcs_out, rpcs_in, timeouts, wide_searches, refused_records, dropped_peers,
        bad_messages;
    uint64_t refused[KAD_REFUSALS]; /* the last three, by reason */
    uint64_t masked;                /* requests that hid their key from nodes on the way */
    uint64_t restored, restore_refused, evicted, record_bytes;
    uint32_t table, records, providers, requests, published;
    uint64_t record_bytes_max; /* what there may be of the lines above */
    uint32_t records_max, providers_max;
};
/* Counts |n| of |why|, and in the total it belongs to. */
void kad_refusal_count(struct kad_stats *s, enum kad_refusal why, size_t n);

#endif
