/*
 * send_peer.c - deliveries to a peer that the program named: over links, and not anonymous (send.h).
 *
 *   stream ─ no address led to it ─▶ the DHT is asked ─▶ stream ─▶ as to an address (send_try.c)
 *
 *   relayed link ─ a direct one is up ─▶ another stream there, from where the receiver is ─ it falls silent ─▶ back
 *
 * A stream cannot be moved from link to link; a transfer can, for it resumes (spec/transfer.md 3).
 */
#include "app/send_int.h"

#include <stdio.h>

#define MOVE_NS (2 * NS_PER_S) /* between two: each makes the receiver hash what it has */

qudag_err send_open_link(struct send_out *s)
{
    qudag_err err = qudag_protocol_allow_limited(s->k->node, TRANSFER_PEER_PROTO);

    if (err == QUDAG_OK) {
        err = qudag_stream_open(s->k->node, &s->peer, TRANSFER_PEER_PROTO, &s->stream);
    }
    if (err == QUDAG_OK) {
        err = api_client_stream(s->k->client, s->stream);
    }
    s->streaming = err == QUDAG_OK;
    s->on_circuit = true; /* what follows is the link's */
    return err;
}

static qudag_err look(struct send_out *s)
{
    qudag_err err = qudag_dht_find_peer(s->k->node, &s->peer, &s->op);

    if (err == QUDAG_OK) {
        err = api_client_op(s->k->client, s->op);
    }
    s->looking = err == QUDAG_OK;
    return err;
}

qudag_err send_open_peer(struct send_out *s)
{
    s->unfound = false;
    if (s->look && look(s) == QUDAG_OK) {
        return QUDAG_OK;
    }
    return send_open_link(s);
}

bool send_moves(struct send_out *s, uint64_t now_ns)
{
    bool may = s->peer.len > 0 && s->streaming && s->open && s->state == OUT_CONTENT &&
               transfer_since(now_ns, s->moved_ns) > MOVE_NS;

    if (!may || !api_stream_moves(s->k->node, s->stream)) {
        return false;
    }
    log_event(api_logger(s->k->node), LOG_INFO, "transfer.moves", LOG_NUM("bytes", s->acked));
    s->moved_ns = now_ns;
    s->moves++;
    return true;
}

bool send_peer_refuses(struct send_out *s, qudag_err *why)
{
    if (*why == QUDAG_EREFUSED || *why == QUDAG_EUNSUPPORTED) {
        send_fail(s, QUDAG_SEND_END_REFUSED, QUDAG_EREFUSED,
                  "the peer takes nothing from this node: it allows others, or nobody");
        return true;
    }
    /* A relay's limit, or ours: not the receiver's, which says so in words. */
    if (*why == QUDAG_ELIMIT && (!s->open || s->short_lived)) {
        *why = QUDAG_ECLOSED;
    }
    return false;
}
