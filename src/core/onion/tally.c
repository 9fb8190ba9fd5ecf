/* tally.c - counting; what the counts mean is onion_rule_unexplained(). */
#include "core/onion/tally.h"

#include "core/onion/rules.h"

bool onion_tally_cell(struct onion_tally *t, bool explained)
{
    if (explained) {
        t->explained++;
        return true;
    }
    t->unexplained++;
    return onion_rule_unexplained(t);
}

bool onion_tally_padding(struct onion_tally *t)
{
    if (t->padding == 0) {
        return onion_tally_cell(t, false);
    }
    t->padding--;
    return true;
}

void onion_tally_allow(struct onion_tally *t, uint32_t cells)
{
    t->padding = cells < UINT32_MAX - t->padding ? t->padding + cells : UINT32_MAX;
}
