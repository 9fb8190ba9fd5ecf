/* settled.c - whether what we know of the network is enough to choose guards from. */
#include "core/relays/settled.h"

bool relays_view_large(const struct relays_diversity *known)
{
    return known->relays >= RELAYS_VIEW_RELAYS && known->networks >= RELAYS_VIEW_NETWORKS;
}

bool relays_view_new(uint32_t known)
{
    return known < RELAYS_VIEW_NEW_MAX;
}

bool relays_view_settled(const struct relays_view *v)
{
    if (v->lookups < RELAYS_VIEW_LOOKUPS) {
        return false;
    }
    if (relays_view_large(&v->known) && v->waiting <= v->known.relays) {
        return true; /* most of those met were looked for */
    }
    return v->age_s >= RELAYS_VIEW_MAX_S || (v->quiet >= RELAYS_VIEW_QUIET && v->waiting == 0);
}

bool relays_view_usable(const struct relays_view *v)
{
    return relays_view_settled(v) || (v->restored && v->lookups >= RELAYS_VIEW_LOOKUPS);
}
