/*
 * settings.h - what a node is made with.  node.h takes it; the ranges and defaults of the numbers are in limits.h.
 */
#ifndef QUDAG_SETTINGS_H
#define QUDAG_SETTINGS_H

#include <qudag/limits.h>
#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum qudag_pq {
    QUDAG_PQ_REQUIRE, /* post-quantum key exchange and authentication, or no link (default) */
    QUDAG_PQ_PREFER,  /* where the peer can; else plain libp2p, without anonymity features */
    QUDAG_PQ_OFF,     /* plain libp2p */
} qudag_pq;

typedef enum qudag_cipher {
    QUDAG_CIPHER_AUTO,
    QUDAG_CIPHER_CHACHA20,
    QUDAG_CIPHER_AES256
} qudag_cipher;

/* What is sent only so that others see less; what it costs is in qudag.conf(5), what it hides in spec/link.md 6. */
typedef enum qudag_padding {
    QUDAG_PADDING_YES,     /* silent links to guards, and first exchanges of circuits (default) */
    QUDAG_PADDING_REDUCED, /* the former less often and for less long */
    QUDAG_PADDING_NO,      /* neither */
} qudag_padding;

/* Whether peers are to reach this node: its addresses are tried by others, its router is asked for a port, ... */
typedef enum qudag_reachable {
    QUDAG_REACHABLE_AUTO, /* where it serves others, or the program serves peers (default) */
    QUDAG_REACHABLE_YES,
    QUDAG_REACHABLE_NO, /* nothing is announced but |announce| */
} qudag_reachable;

/* Whether this node passes bytes on between peers that cannot dial each other, as a circuit relay. */
typedef enum qudag_serve {
    QUDAG_SERVE_NO,
    QUDAG_SERVE_YES,
    QUDAG_SERVE_AUTO, /* while others can dial it, unless it only uses circuits (default) */
} qudag_serve;

/* Whether circuit relays are looked for that keep places for this node. */
typedef enum qudag_find_relays {
    QUDAG_FIND_RELAYS_AUTO, /* while peers are to reach it, and nobody can dial it (default) */
    QUDAG_FIND_RELAYS_NO,   /* only those of |reserve_at| and qudag_relay_reserve() */
} qudag_find_relays;

/* Which peers, that a relay connects us with, are told where we are, so that a direct link with them is found. */
typedef enum qudag_meet {
    QUDAG_MEET_NAMED, /* those that the program named, or with whom it has a stream open (default) */
    QUDAG_MEET_ANYONE, /* whoever came through our relays */
    QUDAG_MEET_NO,     /* nobody: what begins over a relay stays there */
} qudag_meet;

/* Ranges and defaults of the numbers: limits.h.  Strings and lists are copied by qudag_node_new(). */
typedef struct qudag_settings {
    uint32_t size;                  /* set by qudag_settings_default */
    qudag_log_level log_level;      /* least severe level passed to |log|; default INFO */
    const qudag_identity *identity; /* required; must outlive the node */
    const char *const *listen;      /* multiaddrs of QUIC and TCP; default: QUIC, any address, any
                                          port, IPv4 and IPv6; where the machine has only one IP
                                          version, a wildcard of the other is left out.  Addresses
                                          of TCP are dialled with or without one to listen at */
    size_t listen_n;                /* at most QUDAG_LISTEN_MAX */
    const char *const *bootstrap;   /* multiaddrs with /p2p/ID, and "#" HEX64, the hash of the
                                          peer's ML-DSA key, if known; at least one a name, of
                                          TCP, or of an IP version in which |listen| has QUIC;
                                          names are resolved */
    size_t bootstrap_n;             /* at most QUDAG_BOOTSTRAP_MAX */
    const qudag_mem *mem;           /* NULL: malloc; must outlive the node */
    void *uv_loop;                  /* a uv_loop_t to live on; NULL: an own one, driven by
                                          qudag_node_run or qudag_node_step */
    void (*log)(void *user, const qudag_log_record *rec); /* |user| as given to qudag_node_new */
    qudag_pq pq;                                          /* default QUDAG_PQ_REQUIRE */
    qudag_cipher cipher;                                  /* default QUDAG_CIPHER_AUTO */
    const char *dht_protocol; /* NULL: "/qudag/kad/1.0.0", in a lab "/qudag-lab/kad/1.0.0" */
    const char *const *open_namespaces; /* DHT namespaces whose records may hold anything, unsigned;
                                          NULL: "app" alone; not NULL and none: none */
    size_t open_namespaces_n;           /* at most QUDAG_NAMESPACES_MAX */
    const char *store_dir;              /* directory in which the DHT persists what it stores for
                                          others and what we publish; created if missing; one node
                                          each.  NULL: memory only */
    const char *agent;                  /* agent string sent to peers; NULL: "qudag" */
    const char *family;          /* name shared by all relays of one operator: no circuit uses
                                          two of them.  Others see its hash only.  NULL: none */
    uint64_t dht_bytes_max;      /* total size of the records stored for others */
    uint64_t memory_max;         /* bytes the node may allocate */
    qudag_ns idle_timeout;       /* of links */
    uint32_t dht_records_max;    /* records stored for others */
    uint32_t dht_providers_max;  /* provider records stored for others */
    uint32_t links_max;          /* links open at the same time */
    uint32_t streams_per_peer;   /* streams one peer may have open to us, for each protocol */
    uint32_t circuits_max;       /* circuits at the same time, own and carried */
    uint32_t relays_min;         /* descriptors gathered before circuits are built; 0: hops + 1 */
    uint16_t security_level;     /* 768 (default): X25519MLKEM768; 1024: SecP384r1MLKEM1024 */
    uint8_t hops;                /* relays in a circuit */
    bool relay;                  /* carry circuits for others; default true */
    bool dht_server;             /* answer DHT requests of others; default true */
    bool lab;                    /* test network: no address diversity rules, NO ANONYMITY */
    uint8_t network_share, pad;  /* percent of the places for strangers for one network; zero */
    const char *const *announce; /* multiaddrs that others are told instead of what the node finds
                                          out: those of a forwarded port, for example */
    size_t announce_n;           /* at most QUDAG_LISTEN_MAX; 0: what the node finds out */
    uint32_t dark_delay_ms;      /* random wait before a lookup of a dark address, at most */
    uint8_t dark_dummies;        /* cover lookups an hour, on average; default 0 */
    bool dark_hide_cache;   /* users do not see by the time what others asked for; default true */
    bool small_network;     /* circuits although the network hides nobody; a lab implies it */
    uint8_t clean_circuits; /* circuits of each length that wait for a use */
    qudag_padding padding;  /* default QUDAG_PADDING_YES */
    uint32_t dark_work_max; /* most tries, on average, of the proof of work for one introduction to
                               a hidden service that many call, whatever it asks for; made on a thread
                               of the library's own; 0: none, others are met first then */
    qudag_ns dial_timeout;  /* of a request, for a link with its peer */
    qudag_ns handshake_timeout, negotiate_timeout; /* of links; of the protocol of a stream */
    qudag_ns keepalive;                    /* after so long a silent link shows that it lives */
    qudag_ns query_timeout, build_timeout; /* of a request of the DHT; of a circuit */
    qudag_ns links_grace;                  /* in which a new link does not count as too many */
    uint32_t links_high, links_low;  /* see qudag_peer_protect(); 0: 3/4 of links_max, of that */
    const char *const *keep;         /* kept peers, see qudag_peer_keep() */
    size_t keep_n;                   /* at most QUDAG_KEEP_MAX */
    const char *const *reserve_at;   /* circuit relays, see qudag_relay_reserve() */
    size_t reserve_at_n;             /* at most QUDAG_RESERVE_MAX */
    uint64_t circuit_relay_bytes;    /* of each circuit, each way; 0: no limit */
    uint64_t circuit_relay_rate;     /* bytes a second of all circuits together; 0: no limit */
    qudag_ns circuit_relay_time;     /* of each circuit; 0: no limit */
    uint32_t circuit_relay_places;   /* peers that may be reached through this node */
    uint32_t circuit_relay_circuits; /* at the same time */
    qudag_serve circuit_relay;       /* default QUDAG_SERVE_AUTO */
    qudag_meet meet;                 /* default QUDAG_MEET_NAMED */
    qudag_reachable reachable;       /* default QUDAG_REACHABLE_AUTO */
    qudag_find_relays find_relays;   /* default QUDAG_FIND_RELAYS_AUTO */
    /* Of circuits with a peer that is no node of this project; those of all hold for them, too. */
    uint64_t circuit_relay_stranger_bytes;
    qudag_ns circuit_relay_stranger_time;
    uint64_t circuit_relay_rate_peer;    /* bytes a second of all circuits of one peer */
    uint64_t circuit_relay_rate_circuit; /* of one circuit */
    bool
        port_mapping; /* the router is asked for ports where peers are to reach the node; default true */
    uint8_t nat_pad[7];
} qudag_settings;

/* Fills |s| with defaults; |size| is the caller's sizeof(*s), and becomes s->size. */
QUDAG_API void qudag_settings_default(qudag_settings *s, uint32_t size);
#define QUDAG_SETTINGS_INIT(s) qudag_settings_default((s), (uint32_t)sizeof(*(s)))

#ifdef __cplusplus
}
#endif
#endif
