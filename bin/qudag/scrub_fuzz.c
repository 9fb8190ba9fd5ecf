/* scrub_fuzz.c - whatever a log holds: within bounds, and no long run of letters and digits is left. */
#include "scrub.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 20 /* letters and digits in a row that are no number */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t cap = 16 * len + 16, run = 0;
    char *text = malloc(len + 1), *out = malloc(cap);

    if (text == NULL || out == NULL) {
        abort();
    }
    memcpy(text, data, len);
    text[len] = 0;
    size_t n = scrub(text, out, cap);
    if (n >= cap || strlen(out) != n) {
        abort();
    }
    for (size_t ix = 0; ix < n; ix++) {
        unsigned char c = (unsigned char)out[ix];
        run = isalpha(c) && c < 0x80 ? run + 1 : 0;
        if (run >= LONGEST) {
            abort();
        }
    }
    if (scrub(text, out, 5) > 4 || strlen(out) > 4) {
        abort();
    }
    free(text);
    free(out);
    return 0;
}
