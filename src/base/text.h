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
qudag_err hex_decode(uint8_t *dst, size_t cap, size_t *len, struct slice text);
size_t base32_encode(char *dst, size_t cap, struct slice src);
qudag_err base32_decode(uint8_t *dst, size_t cap, size_t *len, struct slice text);
size_t base58_encode(char *dst, size_t cap, struct slice src);
qudag_err base58_decode(uint8_t *dst, size_t cap, size_t *len, struct slice text);

#endif
