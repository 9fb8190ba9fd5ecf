/* multiaddr_fuzz.c - what is accepted as bytes or text comes back the same. */
#include "base/assert.h"
#include "wire/multiaddr.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct multiaddr *m)
{
    char text[8 * MULTIADDR_MAX];
    struct multiaddr back;
    struct netaddr a;
    struct peer_id id;

    ASSERT(multiaddr_from_bytes(&back, multiaddr_slice(m)) == QUDAG_OK);
    ASSERT(memcmp(&back, m, sizeof(back)) == 0);
    ASSERT(multiaddr_text(text, sizeof(text), m) == strlen(text));
    ASSERT(strlen(text) > 0);
    ASSERT(multiaddr_parse(&back, text) == QUDAG_OK);
    ASSERT(memcmp(&back, m, sizeof(back)) == 0);
    if (multiaddr_to_netaddr(m, &a)) {
        struct netaddr again;
        multiaddr_quic(&back, &a, multiaddr_peer(m, &id) ? &id : NULL);
        ASSERT(multiaddr_to_netaddr(&back, &again) && netaddr_eq(&a, &again));
    }
    if (multiaddr_to_tcp(m, &a)) {
        struct netaddr again;
        multiaddr_tcp(&back, &a, multiaddr_peer(m, &id) ? &id : NULL);
        ASSERT(multiaddr_to_tcp(&back, &again) && netaddr_eq(&a, &again));
    }
    back = *m;
    multiaddr_strip_peer(&back);
    ASSERT(back.len <= m->len && memcmp(back.b, m->b, back.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[1024];
    struct multiaddr m;
    uint8_t pin[32];
    bool has;

    if (multiaddr_from_bytes(&m, (struct slice){data, size}) == QUDAG_OK) {
        ASSERT(m.len == size);
        round_trip(&m);
    }
    if (size < sizeof(text)) {
        if (size > 0) {
            memcpy(text, data, size);
        }
        text[size] = '\0';
        if (multiaddr_parse(&m, text) == QUDAG_OK) {
            round_trip(&m);
        }
        if (multiaddr_parse_pinned(&m, pin, &has, text) == QUDAG_OK) {
            round_trip(&m);
        }
    }
    return 0;
}
