/* channel.h - a channel as its tests see it: one file keeps it (channel.c). */
#ifndef QUDAG_SRC_API_CHANNEL_H
#define QUDAG_SRC_API_CHANNEL_H

#include "api/internal.h"
#include "sec/tls_stream.h"

struct channel_keys;

struct qudag_channel {
    struct channel_keys *keys;
    struct tls_stream *tls;
    size_t output_max; /* bytes */
    tstamp until;      /* TSTAMP_NEVER: not ready yet */
    qudag_err err;     /* failed for a reason of ours */
    const char *why;
};

#endif
