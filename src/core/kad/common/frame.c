/* frame.c - one message of a stream. */
#include "core/kad/common/frame.h"

#include "wire/kad_msg.h"

int kad_frame(struct slice in, struct slice *msg, size_t *used)
{
    size_t len = 0;

    for (size_t i = 0; i < 3; i++) {
        if (i == in.len) {
            return 0;
        }
        len |= (size_t)(in.base[i] & 0x7fu) << (7 * i);
        if ((in.base[i] & 0x80u) != 0) {
            continue;
        }
        if ((in.base[i] == 0 && i > 0) || len > KAD_MSG_IN_MAX) {
            return -1;
        }
        if (len > in.len - i - 1) {
            return 0;
        }
        *msg = (struct slice){in.base + i + 1, len};
        *used = i + 1 + len;
        return 1;
    }
    return -1;
}
