/* multibase.h - self-describing text of bytes (multiformats/multibase), and base64url. */
#ifndef QUDAG_SRC_WIRE_MULTIBASE_H
#define QUDAG_SRC_WIRE_MULTIBASE_H

#include "base/types.h"

#define MULTIBASE_TEXT_MAX 512 /* bytes of text; longer ones are refused */

/*
 * Prefixes f (hex), b (base32), k (base36), z (base58btc) and u (base64url).  Writes at most |cap|
 * bytes and sets *len.  QUDAG_EMALFORMED, QUDAG_ETOOBIG, QUDAG_EUNSUPPORTED for another prefix.
 */
QUDAG_MUST_USE qudag_err multibase_decode(uint8_t *dst, size_t cap, size_t *len, struct slice text);

/* 'u' and base64url without padding, NUL-terminated; the length, or 0 when |cap| is too small. */
size_t multibase_url_encode(char *dst, size_t cap, struct slice src);

#endif
