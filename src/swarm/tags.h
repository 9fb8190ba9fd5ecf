/*
 * tags.h - what the program says of peers: tags with weights, and protection.
 *
 * A peer need not be linked, nor known.  A name stands for one tag and, apart from that, for one protection; a peer is
 * protected while any protection is left.
 */
#ifndef QUDAG_SRC_SWARM_TAGS_H
#define QUDAG_SRC_SWARM_TAGS_H

#include "base/map.h"
#include "wire/peer_id.h"

#define SWARM_TAGGED_MAX 1024 /* peers */
#define SWARM_TAGS_MAX 16     /* names of one peer */
#define SWARM_TAG_NAME_MAX 31 /* bytes, without NUL */

struct swarm_tag {
    char name[SWARM_TAG_NAME_MAX + 1];
    int32_t weight;
    bool weighs, protects; /* at least one of them */
};

struct swarm_tags {
    struct mem *mem;
    struct map peers;
};

/* No tags; |seed| is unknown to peers. */
void swarm_tags_init(struct swarm_tags *t, struct mem *mem, const uint8_t seed[16]);
/* Forgets all. */
void swarm_tags_fini(struct swarm_tags *t);
/* 1 to SWARM_TAG_NAME_MAX printable ASCII characters without spaces. */
bool swarm_tag_name_valid(const char *name);
/* The tag |name| has |weight| from now on.  ELIMIT (names of the peer, peers), EINVAL (name, weight), ENOMEM. */
QUDAG_MUST_USE qudag_err swarm_tags_put(struct swarm_tags *t, const struct peer_id *peer,
                                        const char *name, int32_t weight);
/* One more protection, or the same as before; errors as above. */
QUDAG_MUST_USE qudag_err swarm_tags_protect(struct swarm_tags *t, const struct peer_id *peer,
                                            const char *name);
/* The tag, or, |protection|, the protection of that name is gone.  ENOTFOUND: there was none. */
QUDAG_MUST_USE qudag_err swarm_tags_drop(struct swarm_tags *t, const struct peer_id *peer,
                                         const char *name, bool protection);
/* The sum of the weights, and whether anything protects |peer|. */
int32_t swarm_tags_sum(const struct swarm_tags *t, const struct peer_id *peer, bool *is_protected);
/* The names of |peer|, |*it| from 0 on; NULL at the end. */
const struct swarm_tag *swarm_tags_next(const struct swarm_tags *t, const struct peer_id *peer,
                                        size_t *it);

#endif
