/* peer_id_fuzz.c - what is accepted as bytes or text comes back the same. */
#include "base/assert.h"
#include "wire/peer_id.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct peer_id *id)
{
    char text[PEER_ID_TEXT_MAX];
    struct peer_id back;

    ASSERT(peer_id_text(text, id) > 0);
    /* An identity multihash starts with a zero byte, so with '1'; a sha2-256 one with "Qm". */
    ASSERT(peer_id_parse(&back, text) == QUDAG_OK);
    ASSERT(memcmp(&back, id, sizeof(back)) == 0);
    ASSERT(peer_id_from_bytes(&back, peer_id_slice(id)) == QUDAG_OK);
    ASSERT(peer_id_eq(&back, id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {data, size};
    char text[192];
    struct peer_id id;
    uint8_t pk[32];

    if (peer_id_from_bytes(&id, in) == QUDAG_OK) {
        ASSERT(id.len == size && memcmp(id.b, data, size) == 0);
        round_trip(&id);
        if (peer_id_ed25519(&id, pk)) {
            struct peer_id again;
            peer_id_from_ed25519(&again, pk);
            ASSERT(peer_id_eq(&again, &id));
        }
    }
    if (peer_id_from_key_proto(&id, in) == QUDAG_OK) {
        ASSERT(id.len == (size <= 42 ? size + 2 : 34));
        round_trip(&id);
    }
    if (size < sizeof(text)) {
        if (size > 0) {
            memcpy(text, data, size);
        }
        text[size] = '\0';
        if (peer_id_parse(&id, text) == QUDAG_OK) {
            round_trip(&id);
        }
    }
    return 0;
}
