/* rules.c - decisions about what a router says, as pure functions. */
#include "core/portmap/portmap.h"

#define RENEW_MIN (4 * NS_PER_S) /* RFC 6887 11.2.1 */

const char *portmap_method_text(enum portmap_method m)
{
    static const char *const text[PORTMAP_METHODS] = {"none", "PCP", "NAT-PMP", "UPnP"};

    return text[m];
}

enum portmap_worth portmap_rule_external(const struct netaddr *external)
{
    if (external->port == 0 || netaddr_is_unspecified(external)) {
        return PORTMAP_USELESS;
    }
    if (netaddr_is_global(external)) {
        return PORTMAP_GLOBAL;
    }
    return netaddr_is_private(external) ? PORTMAP_LOCAL : PORTMAP_USELESS;
}

uint32_t portmap_rule_life(uint32_t life_s)
{
    if (life_s < PORTMAP_LIFE_MIN) {
        return PORTMAP_LIFE_MIN;
    }
    return life_s < PORTMAP_LIFE_MAX ? life_s : PORTMAP_LIFE_MAX;
}

bool portmap_rule_rebooted(uint32_t before, uint32_t epoch, uint64_t passed_s)
{
    uint64_t told = epoch - (uint64_t)before;

    if (epoch < before) {
        return before - epoch > 1; /* answers may pass each other */
    }
    return passed_s + 2 < told - told / 16 || told + 2 < passed_s - passed_s / 16;
}

uint64_t portmap_rule_renew(uint64_t left_ns)
{
    return left_ns / 2 > RENEW_MIN ? left_ns / 2 : RENEW_MIN;
}
