/* netaddr_fuzz.c - an accepted address, written and read again, is the same address. */
#include "base/assert.h"
#include "base/netaddr.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[80], out[NETADDR_TEXT_MAX];
    struct netaddr a = {.port = 4001}, b = {.port = 4001};

    size_t n = size < sizeof text - 1 ? size : sizeof text - 1;
    if (n > 0) {
        memcpy(text, data, n);
    }
    text[n] = '\0';
    if (netaddr_parse_ip(&a, text) != QUDAG_OK) {
        ASSERT(a.family == 0);
        return 0;
    }
    size_t len = netaddr_text(out, sizeof out, &a);
    ASSERT(len > 5);
    ASSERT(memcmp(out + len - 5, ":4001", 5) == 0);
    char *ip = out;
    out[len - 5] = '\0';
    if (out[0] == '[') {
        ip++;
        out[len - 6] = '\0';
    }
    qudag_err err = netaddr_parse_ip(&b, ip);
    ASSERT(err == QUDAG_OK);
    ASSERT(netaddr_eq(&a, &b));
    ASSERT(netaddr_is_loopback(&a) + netaddr_is_private(&a) + netaddr_is_global(&a) <= 1);
    return 0;
}
