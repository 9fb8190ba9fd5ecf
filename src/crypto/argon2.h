/* argon2.h - Argon2id (RFC 9106) with one lane: what is paid with memory and time. */
#ifndef QUDAG_SRC_CRYPTO_ARGON2_H
#define QUDAG_SRC_CRYPTO_ARGON2_H

#include "base/types.h"

#define ARGON2_SALT_LEN 16
#define ARGON2_LEN_MIN 16 /* bytes of a result */
#define ARGON2_KIB_MIN 8

/*
 * One pass.  Version 1.3, no secret, no associated data.  Takes |kib| KiB, at least ARGON2_KIB_MIN, for the time of
 * the call, from the system and not from a node's own memory.  May be called from any thread.
 * ENOMEM; EINTERNAL: arguments.
 */
QUDAG_MUST_USE qudag_err argon2_id(uint8_t *out, size_t len, struct slice password,
                                   const uint8_t salt[ARGON2_SALT_LEN], uint32_t kib);
/* The same with |passes| over the memory; none: EINTERNAL. */
QUDAG_MUST_USE qudag_err argon2_id_passes(uint8_t *out, size_t len, struct slice password,
                                          const uint8_t salt[ARGON2_SALT_LEN], uint32_t kib,
                                          uint32_t passes);

#endif
