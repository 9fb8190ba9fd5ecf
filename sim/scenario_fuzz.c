/* scenario_fuzz.c - any bytes as a scenario file: refused with a reason, or within all limits. */
#include "base/assert.h"
#include "sim/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct scenario sc;
    struct scenario_error e = {.what = NULL};

    if (scenario_parse(&sc, (struct slice){data, size}, &e) != QUDAG_OK) {
        ASSERT(e.what != NULL);
        return 0;
    }
    ASSERT(sc.nodes >= 2 && sc.nodes <= SIM_NODES_MAX);
    ASSERT(sc.bootstrap < sc.nodes);
    ASSERT(sc.until > 0 && sc.value_size <= KAD_VALUE_MAX);
    ASSERT(sc.start == START_WARM || (sc.fixed == 0 && sc.dead == 0));
    ASSERT(sc.fixed == 0 || sc.until <= SIM_STATIC_UNTIL);
    ASSERT(sc.n_faults <= SIM_FAULTS_MAX && sc.n_phases <= SIM_PHASES_MAX);
    for (size_t i = 0; i < sc.n_phases; i++) {
        ASSERT(sc.phase[i].name[0] != 0 && sc.phase[i].name[SIM_NAME_MAX - 1] == 0);
        ASSERT(sc.phase[i].to <= sc.until);
    }
    return 0;
}
