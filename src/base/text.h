/* text.h - hex, base32 (RFC 4648, lower case, no padding) and base58btc. */
#ifndef QUDAG_SRC_BASE_TEXT_H
#define QUDAG_SRC_BASE_TEXT_H

#include "base/types.h"

/*
 * Each encoder writes a NUL-terminated string and returns its length, or 0 when |cap| is too small.
 * Each decoder writes at most |cap| bytes and sets |*len|; QUDAG_EMALFORMED for a character that does
 * not belong or bits left over, QUDAG_ETOOBIG when |cap| is too small.  Hex is read in either case.
 * Base58 takes at most 256 bytes of input (its work is quadratic).
 */
size_t hex_encode(char *dst, size_t cap, struct slice src);

/* Hex digits in either case, two for each byte.  QUDAG_EMALFORMED, QUDAG_ETOOBIG. */
qudag_err hex_decode(uint8_t *dst, size_t cap, size_t *len, struct slice text);

/* RFC 4648 base32, lower case, without padding. */
size_t base32_encode(char *dst, size_t cap, struct slice src);

/* The reverse, lower case only; QUDAG_EMALFORMED also for a length that no encoder makes. */
qudag_err base32_decode(uint8_t *dst, size_t cap, size_t *len, struct slice text);

/* Base58 with Bitcoin's alphabet; 0 also for more than 256 bytes. */
size_t base58_encode(char *dst, size_t cap, struct slice src);

/* The reverse; QUDAG_ETOOBIG also for more than 256 characters. */
qudag_err base58_decode(uint8_t *dst, size_t cap, size_t *len, struct slice text);

#endif
