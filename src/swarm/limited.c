/* limited.c - names of protocols, and whose streams may run over links that a relay limits. */
#include "swarm/internal.h"

#include <string.h>

_Static_assert(SWARM_LIMITED_LEN == SWARM_PROTO_LEN_MAX + 1, "one length");

bool swarm_proto_valid(const char *proto)
{
    size_t len = strlen(proto);

    if (len < 2 || len > SWARM_PROTO_LEN_MAX || proto[0] != '/') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (proto[i] <= ' ' || proto[i] > '~') {
            return false;
        }
    }
    return true;
}

qudag_err swarm_proto_allow_limited(struct swarm *s, const char *proto)
{
    if (!swarm_proto_valid(proto)) {
        return QUDAG_EINVAL;
    }
    if (swarm_limited_ok(s, SWARM_CORES_MAX, proto)) {
        return QUDAG_OK;
    }
    if (s->limited.n == SWARM_LIMITED_MAX) {
        return QUDAG_ELIMIT;
    }
    memcpy(s->limited.v[s->limited.n++], proto, strlen(proto) + 1);
    return QUDAG_OK;
}

bool swarm_limited_ok(const struct swarm *s, unsigned core, const char *proto)
{
    bool ok = core < s->n_cores && s->core[core].ops->limited_ok;

    for (size_t i = 0; proto != NULL && !ok && i < s->limited.n; i++) {
        ok = strcmp(s->limited.v[i], proto) == 0;
    }
    return ok;
}
