/* archive_fuzz.c - an export of anybody: entries stay inside it, and their names inside the folder. */
#include "archive.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[ARCHIVE_NAME_MAX + 1];
    const uint8_t *bytes;
    size_t at = 0, n;
    while (archive_next(data, size, &at, name, &bytes, &n)) {
        if (at > size || bytes + n != data + at ||
            (archive_may_hold(name) && strstr(name, "..") != NULL)) {
            abort();
        }
    }
    (void)archive_whole(data, size);
    return 0;
}
