/* tunnel.c - see tunnel.h. */
#include "app/tunnel.h"

void tunnel_request_put(uint8_t out[TUNNEL_REQUEST_LEN], uint16_t port)
{
    out[0] = (uint8_t)(port >> 8);
    out[1] = (uint8_t)port;
}

size_t tunnel_request_take(struct tunnel_request *r, struct slice data)
{
    size_t n = 0;

    while (n < data.len && r->len < TUNNEL_REQUEST_LEN) {
        r->bytes[r->len++] = data.base[n++];
    }
    return n;
}

bool tunnel_request_port(const struct tunnel_request *r, uint16_t *port)
{
    if (r->len < TUNNEL_REQUEST_LEN) {
        return false;
    }
    *port = (uint16_t)(r->bytes[0] << 8 | r->bytes[1]);
    return true;
}

qudag_err tunnel_answer_take(struct tunnel_answer *a, struct slice data, bool fin, size_t *used)
{
    *used = 0;
    if (a->state == TUNNEL_WAITING && data.len > 0) {
        if (data.base[0] >= TUNNEL_STATUS_END) {
            return QUDAG_EPROTO;
        }
        a->status = (enum tunnel_status)data.base[0];
        a->state = a->status == TUNNEL_CONNECTED ? TUNNEL_OPEN : TUNNEL_DENIED;
        *used = 1;
    }
    if (a->state == TUNNEL_DENIED && data.len > *used) {
        return QUDAG_EPROTO;
    }
    return a->state == TUNNEL_WAITING && fin ? QUDAG_EPROTO : QUDAG_OK;
}

static const struct {
    qudag_err err;
    const char *text;
} statuses[TUNNEL_STATUS_END] = {
    [TUNNEL_CONNECTED] = {QUDAG_OK, "connected"},
    [TUNNEL_NO_PORT] = {QUDAG_EUNSUPPORTED, "the service has no such port"},
    [TUNNEL_REFUSED] = {QUDAG_EREFUSED,
                        "the service is up, but what it passes on to refuses connections"},
    [TUNNEL_UNREACHED] = {QUDAG_EUNREACHABLE,
                          "the service is up, but cannot reach what it passes on to"},
    [TUNNEL_FULL] = {QUDAG_ELIMIT, "the service has too many connections at present"},
};

qudag_err tunnel_status_err(enum tunnel_status status)
{
    return status < TUNNEL_STATUS_END ? statuses[status].err : QUDAG_EPROTO;
}

const char *tunnel_status_text(enum tunnel_status status)
{
    return status < TUNNEL_STATUS_END ? statuses[status].text : "an answer that is not known";
}
