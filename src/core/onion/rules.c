/* rules.c - the table of their answers is rules_test.c. */
#include "core/onion/rules.h"

#include "base/err.h"

#define EXTEND_FAILS_MIN NS_PER_S
#define EXTEND_FAILS_MAX (3 * NS_PER_S)
#define UNEXPLAINED_MAX 20    /* cells; a few may be late, see onion_mux_recv() */
#define UNEXPLAINED_EVERY 100 /* and one more with so many that meant something */

bool onion_rule_path(const struct peer_id *path, size_t n, bool service, const struct peer_id *self)
{
    for (size_t at = 1; at <= n; at++) { /* places count from 1; 0 is ours */
        for (size_t before = 0; before < at; before++) {
            const struct peer_id *other = before == 0 ? self : &path[before - 1];
            bool again = at == n && !service && at - before >= ONION_APART;
            if (peer_id_eq(&path[at - 1], other) && !again) {
                return false;
            }
        }
    }
    return n >= 1 && n <= ONION_HOPS_MAX;
}

bool onion_rule_early(uint32_t passed)
{
    return passed < ONION_EARLY_MAX;
}

bool onion_rule_unexplained(const struct onion_tally *t)
{
    return t->unexplained <= UNEXPLAINED_MAX + t->explained / UNEXPLAINED_EVERY;
}

uint8_t onion_rule_destroy(bool creating, qudag_err err)
{
    if (!creating) {
        return onion_reason_of(QUDAG_ECLOSED);
    }
    bool limit = err == QUDAG_ELIMIT || err == QUDAG_ENOMEM;
    return onion_reason_of(limit ? QUDAG_ELIMIT : QUDAG_EAUTH);
}

uint8_t onion_rule_truncated(bool extending)
{
    return onion_reason_of(extending ? QUDAG_EUNREACHABLE : QUDAG_ECLOSED);
}

uint8_t onion_rule_reset(bool client, qudag_err err)
{
    if (QUDAG_EAPP_CODE(err) >= 0) {
        return onion_reason_of(err); /* what one program says to the other, on purpose */
    }
    if (client || err == QUDAG_OK || (err_is_ours(err) && err != QUDAG_ENOMEM)) {
        return onion_reason_of(QUDAG_ERESET);
    }
    return onion_reason_of(err == QUDAG_ENOMEM ? QUDAG_ELIMIT : err);
}

bool onion_rule_leg(uint8_t props, bool inbound)
{
    return (props & ONION_NEED) == ONION_NEED && ((props & LINK_INBOUND) != 0) == inbound;
}

tstamp onion_rule_extend_fails_at(tstamp start, uint32_t random)
{
    uint64_t spread = EXTEND_FAILS_MAX - EXTEND_FAILS_MIN;

    return tstamp_after(start, EXTEND_FAILS_MIN + (spread >> 32) * random +
                                   ((spread & UINT32_MAX) * random >> 32));
}

uint8_t onion_rule_class(uint8_t type)
{
    return type == ONION_RELAY_EXTEND ? ONION_CELL_EARLY : ONION_CELL_RELAY;
}
