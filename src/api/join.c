/* join.c - qudag_node_join(): joining the network, step by step, and what it waits for in words. */
#include "api/internal.h"

#include <stdio.h>

/* What |said| means for somebody who waits; |refused|: a sentence about bootstrap peers that answered, or "". */
static void waits_for(char *out, size_t cap, const struct api_phase *said, const char *refused)
{
    switch (said->phase) {
    case QUDAG_PHASE_START:
    case QUDAG_PHASE_DIAL:
        (void)snprintf(out, cap, "%u of %u bootstrap peers have answered%s%s", (unsigned)said->a,
                       (unsigned)said->b, refused[0] != 0 ? "; " : "", refused);
        break;
    case QUDAG_PHASE_LOOKUP:
        (void)snprintf(out, cap, "the network around this node is looked up; %u nodes are known",
                       (unsigned)said->a);
        break;
    case QUDAG_PHASE_ANNOUNCE:
        (void)snprintf(out, cap, "this relay's descriptor is to be stored by others");
        break;
    case QUDAG_PHASE_RELAYS:
        (void)snprintf(out, cap, "%u relays are known, %u are needed%s%s: more must join",
                       (unsigned)said->a, (unsigned)said->b,
                       said->a >= said->b ? ", of more networks" : "",
                       said->err == QUDAG_ECLOCK ? ", and this machine's clock is wrong" : "");
        break;
    case QUDAG_PHASE_FAILED:
        (void)snprintf(out, cap, "%s; it is tried again",
                       refused[0] != 0 ? refused : qudag_strerror(said->err));
        break;
    case QUDAG_PHASE_READY:
        (void)snprintf(out, cap, "%s", "");
        break;
    }
}

static qudag_err step_until_ready(qudag_node *n, qudag_ns within)
{
    tstamp now = io_now(), end = tstamp_after(now, within);

    while (n->said.phase != QUDAG_PHASE_READY) {
        now = io_now();
        if (now >= end) {
            return QUDAG_ETIMEOUT;
        }
        qudag_err err = qudag_node_step(n, end - now < NS_PER_S ? end - now : NS_PER_S);
        if (err != QUDAG_OK) {
            return err;
        }
    }
    return QUDAG_OK;
}

qudag_err qudag_node_join(qudag_node *n, qudag_ns within, char *why, size_t why_len)
{
    char refused[QUDAG_JOIN_TEXT_MAX] = "";

    if (why != NULL && why_len > 0) {
        why[0] = '\0';
    }
    if (n == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = n->started ? QUDAG_OK : qudag_node_start(n);
    if (err == QUDAG_OK) {
        err = step_until_ready(n, within);
    }
    if (err == QUDAG_ETIMEOUT && why != NULL && why_len > 0) {
        qudag_node_join_text(n, refused, sizeof(refused));
        waits_for(why, why_len, &n->said, refused);
    }
    return err;
}
