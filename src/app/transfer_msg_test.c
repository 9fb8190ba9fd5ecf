/* transfer_msg_test.c - messages of the transfer protocol: round trip; malformed ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/transfer.h"

static struct transfer_msg sample(enum transfer_type type)
{
    struct transfer_msg m = {.type = type};
    if (type == TRANSFER_T_OFFER) {
        m.offer.kind = TRANSFER_FILE;
        m.offer.size = UINT64_C(1) << 40;
        memset(m.offer.id, 1, sizeof(m.offer.id));
        memset(m.offer.hash, 2, sizeof(m.offer.hash));
        memcpy(m.offer.name, "holiday.jpg", 12);
    } else if (type == TRANSFER_T_ASK) {
        m.offer.kind = TRANSFER_FILE;
        m.offer.size = UINT64_C(1) << 41;
    } else if (type == TRANSFER_T_REFUSE) {
        m.reason = TRANSFER_DISK_FULL;
    } else {
        m.n = 77;
        memset(m.hash, type == TRANSFER_T_DONE ? 3 : 0, sizeof(m.hash));
    }
    return m;
}

static void every_message_survives_the_way_and_needs_each_byte(void **state)
{
    (void)state;
    for (int type = TRANSFER_T_OFFER; type <= TRANSFER_T_ASK; type++) {
        struct transfer_msg m = sample((enum transfer_type)type), back;
        uint8_t bytes[TRANSFER_MSG_MAX];
        size_t len = transfer_encode(bytes, &m);
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *copy = malloc(cut + 1);
            assert_non_null(copy);
            memcpy(copy, bytes, cut);
            assert_int_equal(transfer_decode(&back, copy, cut), 0);
            free(copy);
        }
        memset(&back, 0, sizeof(back));
        assert_int_equal(transfer_decode(&back, bytes, len), len);
        assert_int_equal(back.type, m.type);
        assert_int_equal(back.n, m.n);
        assert_int_equal(back.reason, m.reason);
        assert_memory_equal(back.hash, m.hash, sizeof(m.hash));
        assert_memory_equal(&back.offer.id, &m.offer.id, sizeof(m.offer.id));
        assert_string_equal(back.offer.name, m.offer.name);
        assert_int_equal(back.offer.size, m.offer.size);
    }
}

static void broken_messages_are_refused_as_soon_as_they_are_seen(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\0\0\0", 3},                         /* no type */
        {"\7\0\0", 3},                         /* unknown type */
        {"\1\377\377", 3},                     /* a body larger than any */
        {"\2\0\7\0\0\0\0\0\0\0", 10},          /* accept: seven bytes */
        {"\3\0\1\0", 4},                       /* refuse: one byte */
        {"\1\0\2\1\1", 5},                     /* offer: cut */
        {"\6\0\2\1\1", 5},                     /* ask: cut */
        {"\6\0\12\2\1\0\0\0\0\0\0\0\1", 13},   /* ask: version */
        {"\6\0\12\1\2\0\0\0\0\0\0\0\1", 13},   /* ask: kind */
        {"\6\0\12\1\1\200\0\0\0\0\0\0\1", 13}, /* ask: size */
    };
    struct transfer_msg m;
    for (size_t ix = 0; ix < sizeof(bad) / sizeof(bad[0]); ix++) {
        assert_int_equal(transfer_decode(&m, (const uint8_t *)bad[ix].bytes, bad[ix].len),
                         SIZE_MAX);
    }
    struct transfer_msg offer = sample(TRANSFER_T_OFFER);
    uint8_t bytes[TRANSFER_MSG_MAX];
    static const size_t places[] = {3, 4, 21, 62, 64}; /* version, kind, size, name length, name */
    static const uint8_t values[] = {2, 2, 0x80, 9, 0};
    for (size_t ix = 0; ix < sizeof(places) / sizeof(places[0]); ix++) {
        size_t len = transfer_encode(bytes, &offer);
        bytes[places[ix]] = values[ix];
        assert_int_equal(transfer_decode(&m, bytes, len), SIZE_MAX);
    }
}

static void every_reason_has_words(void **state)
{
    (void)state;
    for (unsigned r = TRANSFER_OK; r <= TRANSFER_CLOSED + 1; r++) {
        assert_true(strlen(transfer_reason_text(r)) > 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_survives_the_way_and_needs_each_byte),
        cmocka_unit_test(broken_messages_are_refused_as_soon_as_they_are_seen),
        cmocka_unit_test(every_reason_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
