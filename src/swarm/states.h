/*
 * states.h - what a link goes through, as programs see it.
 *
 *   dial ─▶ CONNECTING ─ an answer ─▶ HANDSHAKING ─ proven, admitted ─▶ UP ─▶ CLOSING ─▶ DOWN
 *               └──────────────────────────┴─────── it failed ───────────────────────────▲
 *   the peer dialled ─▶ UP
 *
 * CLOSING: it carries nothing any more, and its streams end one by one.  A link that others dial is none before it is
 * up: half a handshake proves nobody's address.  Circuits are no links here.
 */
#ifndef QUDAG_SRC_SWARM_STATES_H
#define QUDAG_SRC_SWARM_STATES_H

#include "base/types.h"
#include "wire/multiaddr.h"

enum swarm_link_state {
    SWARM_LINK_NONE,
    SWARM_LINK_CONNECTING,
    SWARM_LINK_HANDSHAKING,
    SWARM_LINK_UP,
    SWARM_LINK_CLOSING,
    SWARM_LINK_DOWN,
    SWARM_LINK_STATES,
};

/* Whether |to| may follow on |from|. */
bool swarm_rule_state(enum swarm_link_state from, enum swarm_link_state to);

/* Why a link ended; by whom is a part of it. */
enum swarm_link_why {
    SWARM_WHY_NONE,
    SWARM_WHY_OUR_LIMIT,
    SWARM_WHY_THEIR_LIMIT,
    SWARM_WHY_TIMEOUT, /* nothing came for too long, or the handshake took too long */
    SWARM_WHY_AUTH,    /* another peer, another key, or a certificate that is not valid */
    SWARM_WHY_POLICY,  /* not post-quantum enough for one of the two */
    SWARM_WHY_NETWORK, /* it cannot be reached */
    SWARM_WHY_PROTOCOL,
    SWARM_WHY_HERE,  /* this side wanted it no more */
    SWARM_WHY_PEER,  /* the peer wanted it no more */
    SWARM_WHY_RESET, /* the peer does not know it: it was restarted */
};

/* What |err|, with which a link ended, means; |here|: this side closed it. */
enum swarm_link_why swarm_rule_why(qudag_err err, bool here);

/* A step of one link; borrowed for the call. */
struct swarm_link_change {
    enum swarm_link_state state;
    enum swarm_link_why why; /* CLOSING, DOWN */
    qudag_err err;           /* likewise */
    uint64_t id;             /* of the link, never used again */
    struct peer_id peer;     /* len 0: not known yet; who proved it once it is up */
    struct netaddr remote;   /* family 0: none */
    bool inbound;
    const char *transport; /* "quic" */
    const char *text;      /* CLOSING, DOWN: more about it, for people; or NULL */
};

#endif
