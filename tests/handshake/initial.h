/*
 * initial.h - Initial packets as a man in the middle sees them: their keys are public (RFC 9001 5.2).
 */
#ifndef QUDAG_TESTS_HANDSHAKE_INITIAL_H
#define QUDAG_TESTS_HANDSHAKE_INITIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct initial {
    uint8_t dcid[20], scid[20];
    size_t dcid_len, scid_len;
    uint64_t number;
    uint8_t token[512];
    size_t token_len;
    uint8_t body[2048]; /* frames */
    size_t body_len;
    size_t wire_len; /* bytes of the datagram it took; what follows is another packet */
};

/* Opens the first packet of a datagram; |key_id|: the id the client chose first. */
bool initial_open(struct initial *out, const uint8_t *data, size_t len, const uint8_t *key_id,
                  size_t key_id_len, bool from_server);

/* The packet sealed under |key_id| as a client's, to |dst|; its length, 0 when it does not fit. */
size_t initial_seal(uint8_t *dst, size_t cap, const struct initial *p, const uint8_t *key_id,
                    size_t key_id_len);

/* The next CRYPTO frame of |p| from *at on: where its data lies in the body and in the stream. */
bool initial_crypto(const struct initial *p, size_t *at, size_t *data, size_t *data_len,
                    uint64_t *offset);

#endif
