/* stun_test.c - messages of STUN: the vectors of RFC 5769 and RFC 8489 B.1, and what is no message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/hash.h"
#include "wire/stun.h"

#include <string.h>

#define USER                                                                                       \
    "\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82\xaf\xe3\x82\xb9" /* of 2.4, B.1 */
#define PASSWORD "VOkJxbRl1RmTxUk/WvJxBt"
#define VECTOR(name)                                                                               \
    {                                                                                              \
        (const uint8_t *)(name), sizeof(name) - 1                                                  \
    }

static const char v21[] =
    "\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
    "\x80\x22\x00\x10\x53\x54\x55\x4e\x20\x74\x65\x73\x74\x20\x63\x6c\x69\x65\x6e\x74"
    "\x00\x24\x00\x04\x6e\x00\x01\xff\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36"
    "\x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20"
    "\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71"
    "\xa2"
    "\x80\x28\x00\x04\xe5\x7a\x3b\xcf";
static const char v22[] =
    "\x01\x01\x00\x3c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
    "\x80\x22\x00\x0b\x74\x65\x73\x74\x20\x76\x65\x63\x74\x6f\x72\x20"
    "\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43"
    "\x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b\xe7"
    "\xd7"
    "\x80\x28\x00\x04\xc0\x7d\x4c\x96";
static const char v23[] =
    "\x01\x01\x00\x48\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
    "\x80\x22\x00\x0b\x74\x65\x73\x74\x20\x76\x65\x63\x74\x6f\x72\x20"
    "\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9"
    "\xd9"
    "\x00\x08\x00\x14\xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c\x82\x92\xc2\x75\xbf\xe3\xed"
    "\x41"
    "\x80\x28\x00\x04\xc8\xfb\x0b\x4c";
static const char v24[] =
    "\x00\x01\x00\x60\x21\x12\xa4\x42\x78\xad\x34\x33\xc6\xad\x72\xc0\x29\xda\x41\x2e"
    "\x00\x06\x00\x12" USER "\x00\x00"
    "\x00\x15\x00\x1c"
    "f//499k954d6OL34oL9FSTvy64sA"
    "\x00\x14\x00\x0b"
    "example.org\x00"
    "\x00\x08\x00\x14\xf6\x70\x24\x65\x6d\xd6\x4a\x3e\x02\xb8\xe0\x71\x2e\x85\xc9\xa2\x8c\xa8\x96"
    "\x66";
/* As erratum 6268 has it. */
static const char vb1[] =
    "\x00\x01\x00\x90\x21\x12\xa4\x42\x78\xad\x34\x33\xc6\xad\x72\xc0\x29\xda\x41\x2e"
    "\x00\x1e\x00\x20\x4a\x3c\xf3\x8f\xef\x69\x92\xbd\xa9\x52\xc6\x78\x04\x17\xda\x0f"
    "\x24\x81\x94\x15\x56\x9e\x60\xb2\x05\xc4\x6e\x41\x40\x7f\x17\x04"
    "\x00\x15\x00\x29"
    "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA\x00\x00\x00"
    "\x00\x14\x00\x0b"
    "example.org\x00"
    "\x00\x1d\x00\x04\x00\x02\x00\x00"
    "\x00\x1c\x00\x20\xb5\xc7\xbf\x00\x5b\x6c\x52\xa2\x1c\x51\xc5\xe8\x92\xf8\x19\x24"
    "\x13\x62\x96\xcb\x92\x7c\x43\x14\x93\x09\x27\x8c\xc6\x51\x8e\x65";

static struct slice text(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

static bool is(struct slice s, const char *t)
{
    return s.len == strlen(t) && memcmp(s.base, t, s.len) == 0;
}

static void the_request_of_rfc_5769(void **state)
{
    const struct slice d = VECTOR(v21);
    struct stun_msg m;

    (void)state;
    assert_true(stun_is(d));
    assert_int_equal(stun_parse(&m, d), QUDAG_OK);
    assert_int_equal(m.class, STUN_REQUEST);
    assert_memory_equal(m.id, v21 + 8, STUN_ID_LEN);
    assert_true(is(m.software, "STUN test client"));
    assert_true(is(m.username, "evtj:h6vY"));
    assert_true(m.has_priority && m.priority == 0x6e0001ff && !m.nominates && m.fingerprint);
    assert_int_equal(m.integrity, STUN_SHA1);
    assert_int_equal(m.n_unknown, 0);
    assert_true(stun_check(&m, d, text(PASSWORD)));
    assert_false(stun_check(&m, d, text(PASSWORD "x")));
}

static void the_answers_of_rfc_5769(void **state)
{
    const struct slice d4 = VECTOR(v22), d6 = VECTOR(v23);
    struct netaddr want = {.port = 32853};
    struct stun_msg m;

    (void)state;
    assert_int_equal(stun_parse(&m, d4), QUDAG_OK);
    assert_int_equal(m.class, STUN_SUCCESS);
    assert_int_equal(netaddr_parse_ip(&want, "192.0.2.1"), QUDAG_OK);
    assert_true(netaddr_eq(&m.mapped, &want));
    assert_true(stun_check(&m, d4, text(PASSWORD)));
    assert_int_equal(stun_parse(&m, d6), QUDAG_OK);
    assert_int_equal(netaddr_parse_ip(&want, "2001:db8:1234:5678:11:2233:4455:6677"), QUDAG_OK);
    assert_true(netaddr_eq(&m.mapped, &want));
    assert_true(stun_check(&m, d6, text(PASSWORD)));
}

/* The long-term key of 2.4 is MD5(user:realm:password), computed beforehand. */
static void the_long_term_requests(void **state)
{
    static const uint8_t md5[] = {0xe8, 0xca, 0x7a, 0xd5, 0x9d, 0x5e, 0xb0, 0x51,
                                  0x8e, 0x31, 0x29, 0x11, 0xd2, 0xda, 0xb2, 0xa9};
    const struct slice d = VECTOR(v24), b = VECTOR(vb1);
    uint8_t key[SHA256_LEN];
    struct stun_msg m;

    (void)state;
    assert_int_equal(stun_parse(&m, d), QUDAG_OK);
    assert_true(is(m.username, USER));
    assert_true(!m.fingerprint && m.n_unknown == 0);
    assert_true(stun_check(&m, d, (struct slice){md5, sizeof md5}));
    assert_int_equal(stun_parse(&m, b), QUDAG_OK);
    assert_int_equal(m.integrity, STUN_SHA256);
    assert_int_equal(m.n_unknown, 0);
    sha256(key, text(USER ":example.org:TheMatrIX"));
    assert_true(stun_check(&m, b, (struct slice){key, sizeof key}));
    key[0] ^= 1;
    assert_false(stun_check(&m, b, (struct slice){key, sizeof key}));
}

static const struct slice KEY = VECTOR("a key of a meeting");

static struct stun_msg full(void)
{
    struct stun_msg m = {.class = STUN_SUCCESS,
                         .username = text("somebody"),
                         .mapped = {.family = 6, .ip = {0x20, 1}, .port = 65535},
                         .has_priority = true,
                         .priority = 7,
                         .nominates = true,
                         .fingerprint = true,
                         .integrity = STUN_SHA256};

    memset(m.id, 0xa5, sizeof m.id);
    return m;
}

static void what_is_written_is_read_again(void **state)
{
    uint8_t buf[STUN_MSG_MAX];

    (void)state;
    for (unsigned i = 0; i < 4 * 3 * 2; i++) {
        struct stun_msg m = full(), r;
        m.class = (enum stun_class)(i & 3);
        m.integrity = (enum stun_integrity)(i / 4 % 3);
        m.fingerprint = i >= 12;
        m.error = m.class == STUN_ERROR ? STUN_UNKNOWN_ATTRIBUTE : 0;
        m.n_unknown = m.class == STUN_ERROR ? 3 : 0;
        m.unknown[2] = 0x1234;
        m.mapped.family = i % 5 == 0 ? 0 : m.mapped.family;
        m.delay_s = i % 2 == 0 ? 0 : (uint16_t)(290 + i);
        struct slice d = {buf, stun_write(buf, sizeof buf, &m, KEY)};
        assert_true(d.len > STUN_HEADER && d.len % 4 == 0);
        assert_int_equal(stun_parse(&r, d), QUDAG_OK);
        assert_int_equal(r.class, m.class);
        assert_int_equal(r.error, m.error);
        assert_int_equal(r.integrity, m.integrity);
        assert_true(r.fingerprint == m.fingerprint && r.nominates && r.priority == 7);
        assert_true(is(r.username, "somebody"));
        assert_int_equal(r.mapped.family, m.mapped.family);
        assert_int_equal(r.delay_s, m.delay_s);
        assert_true(m.mapped.family == 0 || netaddr_eq(&r.mapped, &m.mapped));
        assert_true(stun_check(&r, d, KEY) == (m.integrity != STUN_NO_INTEGRITY));
    }
}

static void there_must_be_room(void **state)
{
    struct stun_msg m = full();
    uint8_t buf[STUN_MSG_MAX];
    size_t len = stun_write(buf, sizeof buf, &m, KEY);
    char name[STUN_USERNAME_MAX + 2];

    (void)state;
    for (size_t cap = 0; cap < len; cap++) {
        assert_int_equal(stun_write(buf, cap, &m, KEY), 0);
    }
    assert_int_equal(stun_write(buf, len, &m, KEY), len);
    memset(name, 'n', sizeof name);
    m.username = (struct slice){(const uint8_t *)name, STUN_USERNAME_MAX};
    assert_int_not_equal(stun_write(buf, sizeof buf, &m, KEY), 0);
    m.username.len++;
    assert_int_equal(stun_write(buf, sizeof buf, &m, KEY), 0);
}

/* No byte of an authenticated message can be another one, whoever sends it. */
static void every_byte_counts(void **state)
{
    struct stun_msg m = full(), r;
    uint8_t buf[STUN_MSG_MAX];
    const struct slice d = {buf, stun_write(buf, sizeof buf, &m, KEY)};

    (void)state;
    for (size_t i = 0; i < d.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            buf[i] ^= (uint8_t)(1u << bit);
            assert_false(stun_parse(&r, d) == QUDAG_OK && r.fingerprint && stun_check(&r, d, KEY));
            buf[i] ^= (uint8_t)(1u << bit);
        }
    }
    for (size_t n = 0; n < d.len; n++) {
        assert_int_not_equal(stun_parse(&r, (struct slice){buf, n}), QUDAG_OK);
    }
    assert_int_equal(stun_parse(&r, d), QUDAG_OK);
}

/* A request with |attrs| behind the header. */
static qudag_err parse_with(struct stun_msg *m, const char *attrs, size_t len)
{
    uint8_t d[STUN_HEADER + 128] = {0, 1, 0, (uint8_t)len, 0x21, 0x12, 0xa4, 0x42};

    memcpy(d + STUN_HEADER, attrs, len);
    return stun_parse(m, (struct slice){d, STUN_HEADER + len});
}
#define PARSE(m, attrs) parse_with(m, attrs, sizeof(attrs) - 1)

static void attributes_are_what_they_must_be(void **state)
{
    static const struct {
        const char *attrs;
        size_t len;
    } bad[] = {
#define BAD(a) {a, sizeof(a) - 1}
        BAD("\x00\x20\x00\x08\x00\x03\0\0\0\0\0\0"),             /* no such family */
        BAD("\x00\x20\x00\x04\x00\x01\0\0"),                     /* an address without one */
        BAD("\x00\x20\x00\x0c\x00\x01\0\0\0\0\0\0\0\0\0\0"),     /* too long */
        BAD("\x00\x24\x00\x08\0\0\0\0\0\0\0\0"),                 /* PRIORITY of eight bytes */
        BAD("\x00\x25\x00\x04\0\0\0\0"),                         /* USE-CANDIDATE has none */
        BAD("\x00\x09\x00\x04\0\0\x02\0"),                       /* error 200 */
        BAD("\x00\x09\x00\x04\0\0\x04\x64"),                     /* 4 and 100 */
        BAD("\x00\x09\x00\x04\0\0\x07\0"),                       /* error 700 */
        BAD("\x00\x09\x00\x02\0\0\0\0"),                         /* half of one */
        BAD("\x00\x08\x00\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), /* SHA-1 cut off */
        BAD("\x00\x1c\x00\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), /* SHA-256 cut off */
        BAD("\x80\x28\x00\x04\0\0\0\0"),                         /* a wrong fingerprint */
        BAD("\x80\x22\x00\x09\0\0\0\0"),                         /* longer than the message */
        BAD("\x80\x22"),
    };
    struct stun_msg m;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(parse_with(&m, bad[i].attrs, bad[i].len), QUDAG_EMALFORMED);
        assert_int_equal(m.n_unknown + m.integrity_at + m.username.len, 0);
    }
    assert_int_equal(PARSE(&m, "\x00\x03\x00\x04\0\0\0\x06\x80\x03\x00\x00\x7f\xff\x00\x01x\0\0\0"),
                     QUDAG_OK);
    assert_int_equal(m.n_unknown, 2);
    assert_true(m.unknown[0] == 3 && m.unknown[1] == 0x7fff);
    /* the first of two counts, and an XORed address before a plain one */
    assert_int_equal(PARSE(&m, "\x00\x01\x00\x08\0\1\0\1\1\1\1\1\x00\x20\x00\x08\0\1\0\0\0\0\0\0"
                               "\x00\x20\x00\x08\0\1\0\2\2\2\2\2"),
                     QUDAG_OK);
    assert_int_equal(m.mapped.port, 0x2112);
    assert_int_equal(PARSE(&m, "\x00\x06\x00\x01"
                               "a\0\0\0\x00\x06\x00\x01"
                               "b\0\0\0"),
                     QUDAG_OK);
    assert_true(is(m.username, "a"));
    assert_int_equal(PARSE(&m, "\x00\x24\x00\x04\0\0\0\1\x00\x24\x00\x04\0\0\0\2"
                               "\xfd\xa6\x00\x04\0\3\0\0\xfd\xa6\x00\x04\0\4\0\0"),
                     QUDAG_OK);
    assert_true(m.priority == 1 && m.delay_s == 3);
}

/* RFC 8489 14.5: an attacker may append, and nobody shall heed it. */
static void what_stands_behind_the_integrity_is_ignored(void **state)
{
    uint8_t d[STUN_MSG_MAX] = {0};
    struct stun_msg m = {.class = STUN_REQUEST, .integrity = STUN_SHA256}, r;
    size_t len = stun_write(d, sizeof d, &m, KEY);

    (void)state;
    memcpy(d + len,
           "\x00\x25\x00\x00\x00\x06\x00\x04"
           "evil\x7f\xff\x00\x00",
           16);
    d[3] = (uint8_t)(d[3] + 16);
    assert_int_equal(stun_parse(&r, (struct slice){d, len + 16}), QUDAG_OK);
    assert_true(!r.nominates && r.username.base == NULL && r.n_unknown == 0);
    assert_true(stun_check(&r, (struct slice){d, len + 16}, KEY));
}

static void other_things_are_no_messages(void **state)
{
    uint8_t d[STUN_HEADER] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42};
    struct stun_msg m;

    (void)state;
    assert_int_equal(stun_parse(&m, (struct slice){d, sizeof d}), QUDAG_OK);
    d[1] = 3; /* Allocate, of TURN */
    assert_int_equal(stun_parse(&m, (struct slice){d, sizeof d}), QUDAG_EUNSUPPORTED);
    d[1] = 1;
    d[0] = 0x40;
    assert_false(stun_is((struct slice){d, sizeof d}));
    d[0] = 0;
    d[3] = 2; /* not a multiple of four */
    assert_false(stun_is((struct slice){d, sizeof d}));
    d[3] = 4; /* more than there is */
    assert_int_equal(stun_parse(&m, (struct slice){d, sizeof d}), QUDAG_EMALFORMED);
    assert_int_equal(stun_parse(&m, (struct slice){NULL, 0}), QUDAG_EMALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_of_rfc_5769),
        cmocka_unit_test(the_answers_of_rfc_5769),
        cmocka_unit_test(the_long_term_requests),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(there_must_be_room),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(attributes_are_what_they_must_be),
        cmocka_unit_test(what_stands_behind_the_integrity_is_ignored),
        cmocka_unit_test(other_things_are_no_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
