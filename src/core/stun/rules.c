/* rules.c - see rules.h. */
#include "core/stun/rules.h"

#include <string.h>

const uint16_t stun_lives[STUN_LIVES] = {25, 45, 75, 110};

enum stun_mapping stun_rule_mapping(const struct stun_answer *a)
{
    const struct netaddr *first = NULL;
    size_t agree = 0;

    for (size_t i = 0; i < a->n; i++) {
        const struct netaddr *m = &a->said[i].mapped;
        if (m->family == 0) {
            continue;
        }
        first = first == NULL ? m : first;
        if (!netaddr_eq(first, m)) {
            return STUN_MAPPING_DEPENDENT;
        }
        agree++;
    }
    return agree >= STUN_AGREE ? STUN_MAPPING_INDEPENDENT : STUN_MAPPING_UNKNOWN;
}

int32_t stun_rule_step(const struct stun_answer *a)
{
    const struct netaddr *last = NULL;
    int32_t step = 0;
    size_t ports = 0;

    for (size_t i = 0; i < a->n; i++) {
        const struct netaddr *m = &a->said[i].mapped;
        if (m->family == 0) {
            return 0; /* its mapping was made, and nobody says where */
        }
        int32_t here = last == NULL ? 0 : (int32_t)m->port - last->port;
        bool same =
            last == NULL || (netaddr_same_ip(last, m) && here != 0 && here <= STUN_STEP_MAX &&
                             here >= -STUN_STEP_MAX && (ports == 1 || here == step));
        if (!same) {
            return 0;
        }
        step = here;
        last = m;
        ports++;
    }
    return ports >= STUN_AGREE ? step : 0;
}

bool stun_rule_external(const struct stun_answer *a, struct netaddr *out)
{
    bool found = false;

    for (size_t i = 0; i < a->n; i++) {
        if (a->said[i].mapped.family != 0) {
            *out = a->said[i].mapped;
            found = true;
        }
    }
    return found;
}

bool stun_rule_lived(const struct stun_answer *a, bool *known)
{
    bool lived = false;

    *known = false;
    for (size_t i = 0; i < a->n; i++) {
        lived = lived || a->said[i].late;
        *known = *known || (a->said[i].mapped.family != 0 && a->said[i].err == QUDAG_OK);
    }
    return lived;
}

uint32_t stun_rule_life(const bool lived[STUN_LIVES], const bool known[STUN_LIVES])
{
    uint32_t life = 0;

    for (size_t i = 0; i < STUN_LIVES && known[i]; i++) {
        if (!lived[i]) {
            return life == 0 ? STUN_LIFE_LEAST : life;
        }
        life = stun_lives[i];
    }
    return life;
}

bool stun_rule_delays(uint16_t delay_s, size_t request, size_t answer)
{
    return delay_s > 0 && delay_s <= STUN_DELAY_MAX && request >= 2 * answer;
}
