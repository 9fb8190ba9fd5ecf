/* rules.c - the table of their answers is rules_test.c. */
#include "core/onion/rules.h"

bool onion_rule_early(uint32_t passed)
{
    return passed < ONION_EARLY_MAX;
}

uint8_t onion_rule_class(uint8_t type)
{
    return type == ONION_RELAY_EXTEND ? ONION_CELL_EARLY : ONION_CELL_RELAY;
}
