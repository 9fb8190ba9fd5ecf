/* rules.h - what answers of STUN servers show of a NAT, as pure functions. */
#ifndef QUDAG_SRC_CORE_STUN_RULES_H
#define QUDAG_SRC_CORE_STUN_RULES_H

#include "core/stun/stun.h"

#define STUN_AGREE 3     /* servers, each of a network of its own, before anything is concluded */
#define STUN_STEP_MAX 64 /* ports; two mappings further apart come from no counter */
/* The life of a mapping: what is tried, s; keepalives come at 0.7 of what was found, so no more is of use. */
#define STUN_LIVES 4
extern const uint16_t stun_lives[STUN_LIVES];
#define STUN_LIFE_LEAST 15 /* s; taken where less than the first of them is found */

enum stun_mapping { STUN_MAPPING_UNKNOWN, STUN_MAPPING_INDEPENDENT, STUN_MAPPING_DEPENDENT };

/* RFC 4787 4.1: the same address and port for all destinations, or not; two that differ say so at once. */
enum stun_mapping stun_rule_mapping(const struct stun_answer *a);
/*
 * The distance between the ports of mappings that were made one after the other (in_turn, from a fresh socket), where
 * STUN_AGREE show the same; 0: there is none.
 */
int32_t stun_rule_step(const struct stun_answer *a);
/* Where the last server that was asked sees the socket; false: none answered. */
bool stun_rule_external(const struct stun_answer *a, struct netaddr *out);
/*
 * Whether a mapping lived for a->delay_s: a second answer came.  *known: false when no server gives such.  A single
 * packet that is lost proves nothing: who did not get it shall have asked two.
 */
bool stun_rule_lived(const struct stun_answer *a, bool *known);
/* The life, s, from what was found for stun_lives[]; 0: not known, as nothing was. */
uint32_t stun_rule_life(const bool lived[STUN_LIVES], const bool known[STUN_LIVES]);

/* Whether a request is answered twice: it must be as long as both answers, so that nobody gains by a spoofed one. */
bool stun_rule_delays(uint16_t delay_s, size_t request, size_t answer);

#endif
