/*
 * limits.h - ranges and defaults of the numeric settings, and other stated maxima.
 *
 * QUDAG_LIMIT_<field> is the only place where the range of qudag_settings.<field> is written; library,
 * daemon, manual page and tests read it from here.
 */
#ifndef QUDAG_LIMITS_H
#define QUDAG_LIMITS_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUDAG_LISTEN_MAX 8            /* listen addresses of a node */
#define QUDAG_BOOTSTRAP_MAX 32        /* bootstrap peers of a node */
#define QUDAG_KEEP_MAX 32             /* kept peers */
#define QUDAG_RESERVE_MAX 8           /* circuit relays at which places are kept for a node */
#define QUDAG_NAMESPACES_MAX 8        /* open DHT namespaces; and as many with rules of their own */
#define QUDAG_NAMESPACE_LEN 32        /* bytes of the name of a namespace, without NUL */
#define QUDAG_DHT_KEY_MAX 128         /* bytes of a DHT key */
#define QUDAG_DHT_VALUE_MAX 12288     /* bytes of a DHT value */
#define QUDAG_DHT_OPEN_VALUE_MAX 4096 /* ... of an open namespace */
#define QUDAG_PROTOCOL_LEN_MAX 95     /* bytes of a protocol name, without NUL */
#define QUDAG_AGENT_LEN_MAX 64        /* bytes of the agent string, without NUL */
#define QUDAG_FAMILY_LEN_MAX 64       /* bytes of a relay family's name, without NUL */
#define QUDAG_REQUESTS_MAX 2048       /* requests of the program that may be pending at once */
#define QUDAG_STREAMS_MAX 8192        /* streams of the program that may exist at once */
#define QUDAG_STREAM_QUEUE_MAX 524288 /* bytes one open stream may have queued */
#define QUDAG_STREAM_EARLY_MAX 65536  /* ... and while it is being opened */
#define QUDAG_STREAM_OWNED_MAX 262144 /* bytes of one buffer that is handed over to a stream */
#define QUDAG_STREAM_OWNED_EARLY                                                                   \
    16 /* such buffers of a stream that is being opened, of that size in all */

/* Minimum, maximum, default, unit ("s": the field is in nanoseconds, the numbers in seconds), meaning. */
#define QUDAG_LIMIT_memory_max                                                                     \
    8388608, 17592186044416, 268435456, "bytes",                                                   \
        "Memory the node may use for peers, streams and records."
#define QUDAG_LIMIT_idle_timeout                                                                   \
    5, 86400, 300, "s", "Links without traffic are closed after this time."
#define QUDAG_LIMIT_dial_timeout                                                                   \
    1, 120, 15, "s",                                                                               \
        "A request waits so long for a link with its peer, or for its turn on one that is full."
#define QUDAG_LIMIT_handshake_timeout                                                              \
    1, 60, 10, "s", "The handshake of a link must be complete by then, at either end."
#define QUDAG_LIMIT_negotiate_timeout                                                              \
    1, 60, 10, "s", "The protocol of a stream must be agreed on by then."
#define QUDAG_LIMIT_keepalive                                                                      \
    1, 3600, 25, "s",                                                                              \
        "A link that was silent for so long shows that it lives; never later than a third of the " \
        "idle timeout.  Another than the default tells this node from others."
#define QUDAG_LIMIT_query_timeout                                                                  \
    5, 600, 60, "s", "A request of the DHT ends by then, with what was found."
#define QUDAG_LIMIT_build_timeout                                                                  \
    5, 120, 20, "s",                                                                               \
        "A circuit must be built by then, or it is given up and another path is tried.  Too "      \
        "short "                                                                                   \
        "a time makes good guards look bad."
#define QUDAG_LIMIT_links_max                                                                      \
    8, 65536, 1024, "links",                                                                       \
        "Links open at the same time.  A quarter is for dials of this node, some for guards and "  \
        "bootstrap peers; the rest is for all."
#define QUDAG_LIMIT_links_high                                                                     \
    0, 65536, 0, "links",                                                                          \
        "Above so many links those of the lowest value are closed, none that is protected or in "  \
        "use; 0: three quarters of links_max."
#define QUDAG_LIMIT_links_low                                                                      \
    0, 65536, 0, "links",                                                                          \
        "Above links_high links are closed down to so many; 0: three quarters of links_high."
#define QUDAG_LIMIT_links_grace                                                                    \
    1, 3600, 20, "s", "A link that is up for less than this does not count as too many."
#define QUDAG_LIMIT_network_share                                                                  \
    1, 100, 25, "percent",                                                                         \
        "Of the places for links with strangers, what one network (a /24 of IPv4, a /48 of "       \
        "IPv6) may take; a wider one (/16, /32) twice that.  In a lab all of them."
#define QUDAG_LIMIT_streams_per_peer                                                               \
    8, 4096, 256, "streams", "Streams one peer may have open to us, for each protocol."
#define QUDAG_LIMIT_circuits_max                                                                   \
    4, 1000000, 4096, "circuits", "Circuits at the same time, own and carried."
#define QUDAG_LIMIT_hops 1, 7, 3, "relays", "Relays in a circuit."
#define QUDAG_LIMIT_clean_circuits                                                                 \
    0, 8, 2, "circuits",                                                                           \
        "Circuits of each length that wait, all but their last hop, while this node uses "         \
        "circuits: what it begins is there sooner.  None wait after an hour without a use."
#define QUDAG_LIMIT_relays_min                                                                     \
    0, 64, 0, "relays",                                                                            \
        "Relay descriptors gathered before circuits are built; 0: one more than a circuit has."
#define QUDAG_LIMIT_dark_delay_ms                                                                  \
    0, 10000, 100, "ms",                                                                           \
        "A lookup of a dark address begins after a random time up to this: who causes one "        \
        "cannot spot it by its moment.  Price: half of it per lookup."
#define QUDAG_LIMIT_dark_dummies                                                                   \
    0, 60, 0, "per hour",                                                                          \
        "Cover lookups an hour, on average, at times of their own: a lookup does not show that "   \
        "somebody looks something up.  Price: about 40 KB each, and padding of a guard link that " \
        "would sleep."
#define QUDAG_LIMIT_dark_work_max                                                                  \
    0, 1048576, 32768, "tries",                                                                    \
        "Work spent on one introduction to a hidden service that many call, at most: a try takes " \
        "about 0.1 ms of one core.  More is asked for by services under attack; less means that "  \
        "others are met first."
#define QUDAG_LIMIT_dht_records_max                                                                \
    16, 1000000, 4096, "records",                                                                  \
        "Records stored for others; those farthest from this node are evicted first."
#define QUDAG_LIMIT_dht_providers_max                                                              \
    16, 1000000, 4096, "providers", "Provider records stored for others."
#define QUDAG_LIMIT_dht_bytes_max                                                                  \
    65536, 68719476736, 33554432, "bytes", "Total size of the records stored for others."

#define QUDAG_LIMIT_circuit_relay_places                                                           \
    1, 4096, 128, "places", "As a circuit relay: peers that may be reached through this node."
#define QUDAG_LIMIT_circuit_relay_circuits                                                         \
    1, 4096, 512, "circuits",                                                                      \
        "As a circuit relay: circuits at the same time, 16 for each peer at most."
#define QUDAG_LIMIT_circuit_relay_time                                                             \
    0, 86400, 0, "s", "As a circuit relay: a circuit is ended after this time; 0: never."
#define QUDAG_LIMIT_circuit_relay_bytes                                                            \
    0, 17592186044416, 0, "bytes",                                                                 \
        "As a circuit relay: a circuit is ended after so many bytes in one direction; 0: never."
#define QUDAG_LIMIT_circuit_relay_rate                                                             \
    0, 1000000000, 8388608, "bytes",                                                               \
        "As a circuit relay: bytes a second for all circuits together, shared alike; 0: any."
#define QUDAG_LIMIT_circuit_relay_rate_peer                                                        \
    0, 1000000000, 4194304, "bytes",                                                               \
        "As a circuit relay: bytes a second for all circuits of one peer; 0: any."
#define QUDAG_LIMIT_circuit_relay_rate_circuit                                                     \
    0, 1000000000, 2097152, "bytes",                                                               \
        "As a circuit relay: bytes a second for one circuit, both ways; 0: any."
#define QUDAG_LIMIT_circuit_relay_stranger_time                                                    \
    0, 86400, 600, "s",                                                                            \
        "As a circuit relay: this time for a circuit with another implementation; 0: as others."
#define QUDAG_LIMIT_circuit_relay_stranger_bytes                                                   \
    0, 17592186044416, 16777216, "bytes",                                                          \
        "As a circuit relay: so many bytes for a circuit with another implementation; 0: as "      \
        "others."

/* XX(field) for every setting that has a range. */
#define QUDAG_LIMITS(XX)                                                                           \
    XX(memory_max)                                                                                 \
    XX(idle_timeout)                                                                               \
    XX(dial_timeout)                                                                               \
    XX(handshake_timeout)                                                                          \
    XX(negotiate_timeout)                                                                          \
    XX(keepalive)                                                                                  \
    XX(query_timeout)                                                                              \
    XX(build_timeout)                                                                              \
    XX(links_max)                                                                                  \
    XX(links_high)                                                                                 \
    XX(links_low)                                                                                  \
    XX(links_grace)                                                                                \
    XX(network_share)                                                                              \
    XX(streams_per_peer)                                                                           \
    XX(circuits_max)                                                                               \
    XX(hops)                                                                                       \
    XX(clean_circuits)                                                                             \
    XX(relays_min)                                                                                 \
    XX(dark_delay_ms)                                                                              \
    XX(dark_dummies)                                                                               \
    XX(dark_work_max)                                                                              \
    XX(dht_records_max)                                                                            \
    XX(dht_providers_max)                                                                          \
    XX(dht_bytes_max)                                                                              \
    XX(circuit_relay_places)                                                                       \
    XX(circuit_relay_circuits)                                                                     \
    XX(circuit_relay_time)                                                                         \
    XX(circuit_relay_bytes)                                                                        \
    XX(circuit_relay_rate)                                                                         \
    XX(circuit_relay_rate_peer)                                                                    \
    XX(circuit_relay_rate_circuit)                                                                 \
    XX(circuit_relay_stranger_time)                                                                \
    XX(circuit_relay_stranger_bytes)

/* One column of a field's limits, as a constant expression: QUDAG_LIMIT_MAX(hops) is 7. */
#define QUDAG_LIMIT_MIN(field) QUDAG_LIMIT_PICK_(QUDAG_LIMIT_1_, QUDAG_LIMIT_##field)
#define QUDAG_LIMIT_MAX(field) QUDAG_LIMIT_PICK_(QUDAG_LIMIT_2_, QUDAG_LIMIT_##field)
#define QUDAG_LIMIT_DEFAULT(field) QUDAG_LIMIT_PICK_(QUDAG_LIMIT_3_, QUDAG_LIMIT_##field)
#define QUDAG_LIMIT_UNIT(field) QUDAG_LIMIT_PICK_(QUDAG_LIMIT_4_, QUDAG_LIMIT_##field)
#define QUDAG_LIMIT_HELP(field) QUDAG_LIMIT_PICK_(QUDAG_LIMIT_5_, QUDAG_LIMIT_##field)
#define QUDAG_LIMIT_PICK_(column, ...) column(__VA_ARGS__)
#define QUDAG_LIMIT_1_(min, max, def, unit, help) (min)
#define QUDAG_LIMIT_2_(min, max, def, unit, help) (max)
#define QUDAG_LIMIT_3_(min, max, def, unit, help) (def)
#define QUDAG_LIMIT_4_(min, max, def, unit, help) unit
#define QUDAG_LIMIT_5_(min, max, def, unit, help) help

/* The same at run time, for programs that cannot read C headers. */
typedef struct qudag_limit {
    uint32_t size; /* set by the caller, see types.h */
    uint32_t pad;
    const char *name; /* the field of qudag_settings */
    uint64_t min, max, def;
    const char *unit; /* "s": |min|, |max| and |def| are seconds, the field is nanoseconds */
    const char *help;
} qudag_limit;
/* The limits one after the other; false at the end, or if out->size is not set.  *it starts at 0. */
QUDAG_API bool qudag_limit_next(size_t *it, qudag_limit *out);

#ifdef __cplusplus
}
#endif
#endif
