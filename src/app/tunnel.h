/*
 * tunnel.h - the tunnel protocol (spec/tunnel.md): a byte stream to a virtual port of a dark service.
 *
 *   opener                                   answerer
 *     port (2), content ...        ──▶         connects to the target of that port
 *                                  ◀──         status (1); 0: content ..., else the end
 *
 * Both sides as parsers without input or output of their own: what arrived goes in, how much of it was the protocol's
 * comes out.
 */
#ifndef QUDAG_SRC_APP_TUNNEL_H
#define QUDAG_SRC_APP_TUNNEL_H

#include "base/types.h"

#define TUNNEL_PROTOCOL "/qudag/tunnel/1.0.0"
#define TUNNEL_REQUEST_LEN 2

/* What an answerer says of the target. */
enum tunnel_status {
    TUNNEL_CONNECTED = 0,
    TUNNEL_NO_PORT,    /* the service has no such virtual port */
    TUNNEL_REFUSED,    /* the target refused the connection: nothing listens there */
    TUNNEL_UNREACHED,  /* the target cannot be reached, or failed otherwise */
    TUNNEL_FULL,       /* too many connections at present */
    TUNNEL_STATUS_END, /* what follows is unknown */
};

/* The request, as it arrives; zeroed at first. */
struct tunnel_request {
    uint8_t len, bytes[TUNNEL_REQUEST_LEN];
};
/* Writes the request for |port|. */
void tunnel_request_put(uint8_t out[TUNNEL_REQUEST_LEN], uint16_t port);
/* Takes from |data| what is missing; how many bytes that were. */
size_t tunnel_request_take(struct tunnel_request *r, struct slice data);
/* Whether it is whole, and *port known. */
bool tunnel_request_port(const struct tunnel_request *r, uint16_t *port);

enum tunnel_answer_state {
    TUNNEL_WAITING, /* for the status */
    TUNNEL_OPEN,    /* connected: all that follows is content */
    TUNNEL_DENIED,  /* not connected: only the end may follow */
};
/* The answer, as it arrives; zeroed at first. */
struct tunnel_answer {
    enum tunnel_answer_state state;
    enum tunnel_status status;
};
/*
 * |data| came, and the end behind it if |fin|; *used of its bytes are the protocol's, the rest is content.
 * QUDAG_EPROTO: an unknown status, content behind a denial, or the end before a status (*used is 0).
 */
QUDAG_MUST_USE qudag_err tunnel_answer_take(struct tunnel_answer *a, struct slice data, bool fin,
                                            size_t *used);
/* What a program is told about a status: QUDAG_OK, EUNSUPPORTED (no such port), EREFUSED, EUNREACHABLE, ELIMIT. */
qudag_err tunnel_status_err(enum tunnel_status status);
/* A sentence about it, for people; static. */
const char *tunnel_status_text(enum tunnel_status status);

#endif
