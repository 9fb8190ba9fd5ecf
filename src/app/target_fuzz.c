/* target_fuzz.c - any text as a virtual port with its target: what is accepted is written, and reads the same. */
#include "app/target.h"
#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[300], why[TARGET_WHY_LEN], once[TARGET_SPEC_MAX], twice[TARGET_SPEC_MAX];
    struct target_port p;
    size_t len = size < sizeof(text) - 1 ? size : sizeof(text) - 1;

    memcpy(text, data, len);
    text[len] = '\0';
    if (target_port_parse(&p, text, why) != QUDAG_OK) {
        ASSERT(why[0] != '\0' && memchr(why, 0, sizeof(why)) != NULL);
        return 0;
    }
    ASSERT(target_port_text(once, sizeof(once), &p) > 0);
    ASSERT(target_port_parse(&p, once, why) == QUDAG_OK);
    ASSERT(target_port_text(twice, sizeof(twice), &p) > 0 && strcmp(once, twice) == 0);
    return 0;
}
