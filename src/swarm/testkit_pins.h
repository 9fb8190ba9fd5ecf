/* testkit_pins.h - a small table of what peers have proven, and peers by number.  Include cmocka.h before. */
#ifndef QUDAG_SRC_SWARM_TESTKIT_PINS_H
#define QUDAG_SRC_SWARM_TESTKIT_PINS_H

#include "swarm/testkit.h"

#define BOTH (LINK_PQ_KEX | LINK_PQ_AUTH)
#define MAX 64 /* of the small tables */

static struct mem mem;
static struct swarm_pins pins;
static const uint8_t seed[16] = {4};

static inline struct peer_id id_no(uint32_t n)
{
    uint8_t pk[32] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), 9};
    struct peer_id p;

    peer_id_from_ed25519(&p, pk);
    return p;
}

static inline int small(void **state)
{
    (void)state;
    mem_init(&mem, NULL, 0);
    swarm_pins_init(&pins, &mem, seed, MAX, true);
    return 0;
}

static inline int small_gone(void **state)
{
    (void)state;
    swarm_pins_fini(&pins);
    return mem.used == 0 ? 0 : -1;
}

static inline void learn(uint32_t n, enum swarm_pin_source source, uint64_t net)
{
    uint8_t hash[SWARM_PIN_LEN] = {(uint8_t)n, 7};
    struct swarm_claim claim = {BOTH, hash};
    struct peer_id id = id_no(n);
    bool first;

    assert_int_equal(swarm_pins_learn(&pins, &id, source, net, &claim, &first), QUDAG_OK);
}

static inline bool knows(uint32_t n)
{
    struct peer_id id = id_no(n);

    return swarm_pins_get(&pins, &id) != NULL;
}

static inline bool to_write(struct swarm_pin_change *c)
{
    swarm_pins_due(&pins);
    return swarm_pins_change(&pins, 0, c);
}

#endif
