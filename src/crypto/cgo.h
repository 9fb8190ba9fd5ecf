/*
 * cgo.h - Counter Galois Onion, the cell cipher (Tor proposal 359; ePrint 2025/583).
 *
 * A body is a 16-byte tag followed by the rest; relays always encrypt, clients always decrypt.
 * Body length and AES key length are parameters, so that the published vectors (AES-128, 509 bytes)
 * and our cells (AES-256, 1119 bytes) run through the same code.  See spec/cell-cipher.md.
 */
#ifndef QUDAG_SRC_CRYPTO_CGO_H
#define QUDAG_SRC_CRYPTO_CGO_H

#include "base/types.h"

#define CGO_TAG_LEN 16
#define CGO_AES256_KEY_MATERIAL 112 /* bytes per direction: 2 x (32 + 16) + 16 */
#define CGO_AES128_KEY_MATERIAL 80
#define CGO_BODY_MAX 2048

struct cgo_params {
    uint16_t body_len; /* bytes, tag included; 32 .. CGO_BODY_MAX */
    uint8_t key_len;   /* AES key bytes: 16 or 32 */
};

/*
 * One direction at one hop.  Never copied: the portable implementation keeps contexts of the crypto
 * library behind it.  cgo_fini releases and wipes; it may be called on a zeroed or finished object.
 *
 * An object is dead once the crypto library had no memory for the portable implementation (the others
 * cannot fail), one key has served 2^32 - 1 cells, or cgo_client_backward() recognised nothing.  It then
 * zeroes every body and recognises none, so that using it breaks the circuit and reveals nothing.
 */
struct cgo {
    _Alignas(64) uint8_t opaque[896];
};

/* Bytes of key material that cgo_init() reads for |p|. */
size_t cgo_key_material(const struct cgo_params *p);

/* |keys| holds cgo_key_material() bytes: KB | KU | K | B | N (digest "State"). */
void cgo_init(struct cgo *c, const struct cgo_params *p, const uint8_t *keys);

/* Wipes the keys and frees what the crypto library holds. */
void cgo_fini(struct cgo *c);

/* Relay, away from the client: true when the cell is for us; ack is the tag it arrived with, or 0. */
bool cgo_relay_forward(struct cgo *c, uint8_t cmd, uint8_t *body, uint8_t ack[CGO_TAG_LEN]);
/* Relay, towards the client, passing on. */
void cgo_relay_backward(struct cgo *c, uint8_t cmd, uint8_t *body);
/* Relay, towards the client, our own cell: fills the tag; ack is the tag an acknowledgement names. */
void cgo_relay_originate(struct cgo *c, uint8_t cmd, uint8_t *body, uint8_t ack[CGO_TAG_LEN]);

/* Client: seal |body| for hop |n_hops|-1 of |fwd|, filling the tag, and wrap it for all hops before. */
void cgo_client_originate(struct cgo *fwd, size_t n_hops, uint8_t cmd, uint8_t *body,
                          uint8_t ack[CGO_TAG_LEN]);
/*
 * Client: peel; the hop it came from with the tag to acknowledge, or -1 and a zero tag when no hop is
 * recognised.  Then all of |back| is dead: destroy the circuit.
 */
int cgo_client_backward(struct cgo *back, size_t n_hops, uint8_t cmd, uint8_t *body,
                        uint8_t ack[CGO_TAG_LEN]);

/*
 * A circuit that carries another one (spec/rendezvous.md 4): what goes through all hops is a body of the carried
 * circuit, which its own state seals and opens.
 */
/* Wraps |body|, sealed for the carried circuit, for all hops of |fwd|. */
void cgo_client_wrap(struct cgo *fwd, size_t n_hops, uint8_t cmd, uint8_t *body);
/*
 * As cgo_client_backward(), but a body that no hop recognises is one of the carried circuit: -1, |body| is left to be
 * opened by that one, and |back| stays alive.  If that does not recognise it either, the circuit must be destroyed.
 */
int cgo_client_unwrap(struct cgo *back, size_t n_hops, uint8_t cmd, uint8_t *body,
                      uint8_t ack[CGO_TAG_LEN]);

/* Which implementation runs here: "vaes-avx512", "aesni-pclmul" or "portable". */
const char *cgo_implementation(void);

#endif
