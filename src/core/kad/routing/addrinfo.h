/*
 * addrinfo.h - the id and the usable addresses of a node, packed: one entry serves all that know the same.
 */
#ifndef QUDAG_SRC_CORE_KAD_ROUTING_ADDRINFO_H
#define QUDAG_SRC_CORE_KAD_ROUTING_ADDRINFO_H

#include "base/map.h"
#include "core/kad/common/params.h"
#include "crypto/hash.h"
#include "wire/kad_msg.h"

/*
 * It never changes: a node with other addresses is another entry.  Freed with the last reference.
 */
struct kad_addrinfo {
    struct kad_addrinfo_pool *pool; /* NULL: shared with nobody */
    struct kad_addrinfo *next;      /* of the same name in |pool| */
    uint64_t name;                  /* kad_addrinfo_name() of the id */
    uint32_t refs;
    uint32_t group; /* /24 or /48 of the first address, mixed; 0: none known */
    uint16_t raw_len;
    uint8_t n_addrs;
    bool strict; /* all addresses are usable outside a lab too */
    uint8_t hash[SHA256_LEN];
    uint8_t raw[]; /* Peer message (kad_peer_write): the id, then what addresses are usable */
};

/*
 * All entries of the instances that share a scratch.  They hold the references: bounded by their tables,
 * lookups and stores.
 */
struct kad_addrinfo_pool {
    struct mem *mem;
    struct map by_name; /* to chains */
    uint32_t n;
    size_t bytes; /* of entries */
    uint64_t key[2];
};

/* Empty; entries are of |mem|. */
void kad_addrinfo_pool_init(struct kad_addrinfo_pool *pool, struct mem *mem);
void kad_addrinfo_pool_fini(struct kad_addrinfo_pool *pool); /* nobody may be left */
/* The key of the names: random.  Of no effect once somebody is in. */
void kad_addrinfo_pool_seed(struct kad_addrinfo_pool *pool, const uint64_t key[2]);
/* Bytes it takes. */
size_t kad_addrinfo_pool_size(const struct kad_addrinfo_pool *pool);
/* SipHash of an id under the pool's key: nobody who does not know the key can make two ids that share one. */
uint64_t kad_addrinfo_name(const struct kad_addrinfo_pool *pool, struct slice id);
/* SHA-256 of an id that somebody has; NULL: nobody. */
const uint8_t *kad_addrinfo_pool_hash(const struct kad_addrinfo_pool *pool, struct slice id);
/*
 * The entry whose Peer message is exactly |raw|, all usable under |lab| (borrowed); NULL: unknown.  |name|: of
 * its id.
 */
struct kad_addrinfo *kad_addrinfo_pool_find(const struct kad_addrinfo_pool *pool, uint64_t name,
                                            const struct kad_peer_raw *raw, bool lab);
/*
 * One reference.  |pool| NULL: its own, of |mem|.  |hash|: of the id.  Addresses that |lab| does not allow are
 * left out.  NULL: no memory.
 */
struct kad_addrinfo *kad_addrinfo_new(struct mem *mem, struct kad_addrinfo_pool *pool,
                                      const struct kad_peer_info *info,
                                      const uint8_t hash[SHA256_LEN], bool lab);
/* Id and addresses, unpacked. */
void kad_addrinfo_decode(struct kad_peer_info *out, const struct kad_addrinfo *a);
/* One reference more. */
struct kad_addrinfo *kad_addrinfo_ref(struct kad_addrinfo *a);
/* One less; with the last the entry is freed. */
void kad_addrinfo_unref(struct kad_addrinfo *a);

/*
 * Whether an address may be told or dialled: outside a lab none that begins with an IP address that is not
 * global (netaddr_is_global), and none with port 0.  Names pass.
 */
bool kad_addr_usable(const struct multiaddr *a, bool lab);
/* The /24 or /48 it is in; 0: not known. */
uint64_t kad_addr_group(const struct multiaddr *a);

/* The whole Peer message; borrowed. */
static inline struct slice kad_addrinfo_raw(const struct kad_addrinfo *a)
{
    return (struct slice){a->raw, a->raw_len};
}

/* The id; borrowed. */
static inline struct slice kad_addrinfo_id(const struct kad_addrinfo *a)
{
    return (struct slice){a->raw + 2, a->raw[1]};
}

#endif
