/* ack.c - when what was received is acknowledged. */
#include "quic/ack.h"

bool quic_ack_waits(const struct quic_ack *a)
{
    return a->settled && !a->work && !a->congested && a->packets < QUIC_ACK_PACKETS;
}
