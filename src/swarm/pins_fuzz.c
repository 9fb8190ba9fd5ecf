/* pins_fuzz.c - what is read back from disk: refused, or written as it was read. */
#include "base/assert.h"
#include "swarm/pins.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[16] = {1};
    uint8_t name[SWARM_PIN_NAME_LEN] = {0};
    struct swarm_pins pins;
    struct swarm_pin_change c;
    struct mem mem;

    mem_init(&mem, NULL, 0);
    swarm_pins_init(&pins, &mem, seed, 4, true);
    if (size >= sizeof(name)) { /* as if the name were right */
        memcpy(name, data + size - sizeof(name), sizeof(name));
    }
    if (swarm_pins_restore(&pins, name, (struct slice){data, size}) == QUDAG_OK) {
        swarm_pins_change_all(&pins);
        ASSERT(swarm_pins_change(&pins, 0, &c));
        ASSERT(memcmp(c.name, name, sizeof(name)) == 0);
        ASSERT(c.len == size && memcmp(c.bytes, data, size) == 0);
        ASSERT(!swarm_pins_change(&pins, 0, &c));
    }
    swarm_pins_fini(&pins);
    ASSERT(mem.used == 0);
    return 0;
}
