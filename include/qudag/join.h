/* join.h - joining the network, for programs that have nothing else to do meanwhile. */
#ifndef QUDAG_JOIN_H
#define QUDAG_JOIN_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUDAG_JOIN_WAITS_MAX 800 /* bytes of the longest sentence, with NUL */

/*
 * Starts |n| if it was not started, and steps it until circuits can be built (QUDAG_PHASE_READY), at most |within|.
 * QUDAG_OK: they can; QUDAG_ETIMEOUT: not yet, and |why| (may be NULL) gets a sentence for people, what it waits for;
 * call it again to go on.  Callbacks run meanwhile, as in qudag_node_step(), so that the phase callback is not needed
 * for it.  QUDAG_ECANCELED: qudag_node_stop(); QUDAG_ESTATE: called in a callback, or the node lives on a loop of the
 * program's; QUDAG_EINVAL; what qudag_node_start() says.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_node_join(qudag_node *n, qudag_ns within, char *why,
                                                   size_t why_len);

#ifdef __cplusplus
}
#endif
#endif
