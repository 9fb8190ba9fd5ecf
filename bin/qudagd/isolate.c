/* isolate.c - which requests of the users of this daemon may share a circuit. */
#include "isolate.h"

#include <blake3.h>

#include <string.h>

void isolate_key(qudag_dark_options *out, uid_t uid, const char *text, const uint8_t *random)
{
    *out = (qudag_dark_options)QUDAG_INIT(qudag_dark_options);
    out->isolation_len = QUDAG_ISOLATION_MAX;
    if (text == NULL || text[0] == 0) {
        memcpy(out->isolation, random, QUDAG_ISOLATION_MAX);
        return;
    }
    blake3_hasher h;
    blake3_hasher_init_derive_key(&h, "QuDAG isolation key of a local user v1");
    blake3_hasher_update(&h, &uid, sizeof(uid));
    blake3_hasher_update(&h, text, strlen(text));
    blake3_hasher_finalize(&h, out->isolation, QUDAG_ISOLATION_MAX);
}
