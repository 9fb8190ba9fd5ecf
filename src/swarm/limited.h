/* limited.h - protocols whose streams may run over links that a relay limits. */
#ifndef QUDAG_SRC_SWARM_LIMITED_H
#define QUDAG_SRC_SWARM_LIMITED_H

#include "base/types.h"

#define SWARM_LIMITED_MAX 8
#define SWARM_LIMITED_LEN 96 /* of a name, with its NUL */

struct swarm_limited {
    char v[SWARM_LIMITED_MAX][SWARM_LIMITED_LEN];
    size_t n;
};

struct swarm;
/*
 * Streams of |proto|, both those we open and those we serve, may run over limited links, whatever their core says.
 * ELIMIT: SWARM_LIMITED_MAX; EINVAL: not a protocol id.
 */
QUDAG_MUST_USE qudag_err swarm_proto_allow_limited(struct swarm *s, const char *proto);
/* Whether a stream of |core| that speaks |proto| (NULL: none in particular) may run over limited links. */
bool swarm_limited_ok(const struct swarm *s, unsigned core, const char *proto);

#endif
