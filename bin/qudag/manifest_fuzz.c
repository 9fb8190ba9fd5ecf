/* manifest_fuzz.c - whatever a share answers, its list leads nowhere but below the folder. */
#include "manifest.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct manifest_file *f)
{
    char text[MANIFEST_LINE_MAX], harmless[PATH_LEN], name[SHARE_NAME_MAX + 1];
    struct manifest_line l = {.kind = MANIFEST_FILE, .size = f->size}, again;
    memcpy(l.hash, f->hash, sizeof(l.hash));
    memcpy(l.path, f->path, strlen(f->path) + 1);
    size_t len = manifest_write(text, &l);
    if (!manifest_read(&again, text, len - 1) || strcmp(again.path, f->path) != 0 ||
        again.size != f->size) {
        abort();
    }
    if (!share_path_harmless(harmless, f->path)) {
        return;
    }
    for (const char *it = harmless; share_path_next(&it, name);) {
        if (name[0] == 0 || name[0] == '.' || strchr(name, '/') != NULL) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char head[] =
        "qudag-share 1\nfile "
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff 3 ";
    struct manifest m;
    uint64_t bytes = 0;
    manifest_init(&m);
    bool begun = size > 0 && data[0] % 2 == 0 && manifest_push(&m, head, sizeof(head) - 1);
    (void)begun;
    (void)manifest_push(&m, (const char *)data, size);
    for (size_t ix = 0; ix < m.n; ix++) {
        check(&m.file[ix]);
        bytes += m.file[ix].size;
    }
    if (m.bytes != bytes) {
        abort();
    }
    manifest_fini(&m);
    return 0;
}
