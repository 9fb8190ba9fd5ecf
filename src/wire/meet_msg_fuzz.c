/* meet_msg_fuzz.c - whatever is accepted is written again, read again and compared. */
#include "base/assert.h"
#include "wire/meet_msg.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t out[MEET_MSG_MAX + 2];
    struct slice in = {data, size};
    struct meet_msg m, back;
    size_t used, again;

    while (meet_msg_read(&m, in, &used) == QUDAG_OK && used > 0) {
        struct wr w = wr_init(out, sizeof(out));
        ASSERT(used <= in.len && m.n <= MEET_CANDIDATES_MAX);
        meet_msg_write(&w, &m);
        ASSERT(wr_ok(&w) && wr_done(&w).len <= used);
        ASSERT(meet_msg_read(&back, wr_done(&w), &again) == QUDAG_OK);
        ASSERT(again == wr_done(&w).len && memcmp(&m, &back, sizeof(m)) == 0);
        in = slice_rest(in, used);
    }
    return 0;
}
