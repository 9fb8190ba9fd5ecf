/* isolate.c - which requests of the users of this daemon may share a circuit. */
#include "isolate.h"

#include <blake3.h>

#include <string.h>

void isolate_key(uint8_t key[QUDAG_ISOLATION_MAX], uid_t uid, const char *text)
{
    blake3_hasher h;
    blake3_hasher_init_derive_key(&h, "QuDAG isolation key of a local user v1");
    blake3_hasher_update(&h, &uid, sizeof(uid));
    blake3_hasher_update(&h, text, strlen(text));
    blake3_hasher_finalize(&h, key, QUDAG_ISOLATION_MAX);
}
