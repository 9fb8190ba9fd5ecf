/*
 * address.c - the text form of a dark address, and its periods.
 *
 *   version 1 | network 1 | A 32 | commitment 32 | checksum 3   = 69 bytes = 111 characters
 *   in base32, cut after 56 characters:   <56>.<55>.dark
 *
 *   hours, shifted by the address:  ... | period p-1 | period p | period p+1 | ...
 *   live pair:                             p-1, p ───┤├─ p, p+1 ─┤         (changes at half a period)
 */
#include "core/dark/dark_impl.h"

#include "base/rd.h"
#include "base/text.h"
#include "base/wr.h"
#include "crypto/hash.h"

#include <string.h>

#define CHECKSUM_LEN 3
#define BINARY_LEN (DARK_ADDR_LEN + CHECKSUM_LEN)
#define CHARS 111
#define FIRST_LABEL 56
#define SUFFIX ".dark"
#define SUFFIX_LEN 5
#define TEXT_LEN (CHARS + 1 + SUFFIX_LEN)

_Static_assert((BINARY_LEN * 8 + 4) / 5 == CHARS, "base32 length");
_Static_assert(FIRST_LABEL <= 63 && CHARS - FIRST_LABEL <= 63, "labels of a host name");
_Static_assert(TEXT_LEN < DARK_TEXT_MAX, "text fits");
_Static_assert(DARK_PERIOD % (2 * DARK_STEP) == 0, "half periods are whole steps");

void dark_addr_bytes(uint8_t out[DARK_ADDR_LEN], const struct dark_addr *a)
{
    out[0] = DARK_VERSION;
    out[1] = a->network;
    memcpy(out + 2, a->ed_pk, 32);
    memcpy(out + 34, a->commit, 32);
}

bool dark_addr_eq(const struct dark_addr *a, const struct dark_addr *b)
{
    return a->network == b->network && memcmp(a->ed_pk, b->ed_pk, 32) == 0 &&
           memcmp(a->commit, b->commit, 32) == 0;
}

static void checksum(uint8_t out[CHECKSUM_LEN], const uint8_t addr[DARK_ADDR_LEN])
{
    blake3_derive(out, CHECKSUM_LEN, "qudag dark address checksum v1",
                  (struct slice){addr, DARK_ADDR_LEN});
}

size_t dark_addr_text(char dst[DARK_TEXT_MAX], const struct dark_addr *a)
{
    uint8_t b[BINARY_LEN];
    char chars[CHARS + 1];

    dark_addr_bytes(b, a);
    checksum(b + DARK_ADDR_LEN, b);
    if (base32_encode(chars, sizeof chars, (struct slice){b, sizeof b}) != CHARS) {
        dst[0] = '\0';
        return 0;
    }
    memcpy(dst, chars, FIRST_LABEL);
    dst[FIRST_LABEL] = '.';
    memcpy(dst + FIRST_LABEL + 1, chars + FIRST_LABEL, CHARS - FIRST_LABEL);
    memcpy(dst + CHARS + 1, SUFFIX, SUFFIX_LEN + 1);
    return TEXT_LEN;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Whether |text| has the form of an address; its lower-case characters without dots then. */
static bool shape_read(uint8_t chars[CHARS], const char *text)
{
    size_t len = 0;

    while (len <= TEXT_LEN && text[len] != '\0') {
        len++;
    }
    if (len != TEXT_LEN || text[FIRST_LABEL] != '.') {
        return false;
    }
    for (size_t i = 0; i < SUFFIX_LEN; i++) {
        if (lower(text[CHARS + 1 + i]) != SUFFIX[i]) {
            return false;
        }
    }
    for (size_t i = 0; i < CHARS; i++) {
        char c = lower(text[i < FIRST_LABEL ? i : i + 1]);
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')) {
            return false;
        }
        chars[i] = (uint8_t)c;
    }
    return true;
}

qudag_err dark_addr_parse(struct dark_addr *a, const char *text)
{
    uint8_t chars[CHARS];
    uint8_t b[BINARY_LEN];
    uint8_t sum[CHECKSUM_LEN];
    size_t len;

    if (!shape_read(chars, text)) {
        return QUDAG_EMALFORMED;
    }
    /* 0, 1, 8, 9 and stray last bits occur in no address: somebody mistyped one. */
    if (base32_decode(b, sizeof b, &len, (struct slice){chars, CHARS}) != QUDAG_OK ||
        len != BINARY_LEN) {
        return QUDAG_ECHECKSUM;
    }
    checksum(sum, b);
    if (memcmp(sum, b + DARK_ADDR_LEN, CHECKSUM_LEN) != 0) {
        return QUDAG_ECHECKSUM;
    }
    if (b[0] != DARK_VERSION || b[1] > DARK_NET_LAB) {
        return QUDAG_EUNSUPPORTED;
    }
    a->network = b[1];
    memcpy(a->ed_pk, b + 2, 32);
    memcpy(a->commit, b + 34, 32);
    return QUDAG_OK;
}

void dark_commitment(uint8_t out[32], const uint8_t pq_pk[MLDSA65_PK_LEN])
{
    blake3_derive(out, 32, "qudag dark commitment ML-DSA-65 v1",
                  (struct slice){pq_pk, MLDSA65_PK_LEN});
}

void dark_material(uint8_t out[DARK_MATERIAL_LEN], const struct dark_addr *a, uint64_t period)
{
    struct wr w = wr_init(out + DARK_ADDR_LEN, 8);

    dark_addr_bytes(out, a);
    wr_u64(&w, period);
}

/* Seconds of the calendar, shifted so that periods of |a| begin at multiples of DARK_PERIOD. */
static uint64_t shift_of(const struct dark_addr *a)
{
    uint8_t b[DARK_ADDR_LEN];
    uint8_t h[8];

    dark_addr_bytes(b, a);
    blake3_derive(h, sizeof h, "qudag dark period offset v1", (struct slice){b, sizeof b});
    struct rd r = rd_init((struct slice){h, sizeof h});
    return rd_u64(&r) % (DARK_PERIOD / DARK_STEP) * DARK_STEP;
}

static uint64_t shifted(const struct dark_addr *a, walltime now)
{
    return (now < 0 ? 0 : (uint64_t)now) + shift_of(a);
}

uint64_t dark_period(const struct dark_addr *a, walltime now)
{
    return shifted(a, now) / DARK_PERIOD;
}

void dark_live(uint64_t live[2], const struct dark_addr *a, walltime now)
{
    uint64_t t = shifted(a, now);
    uint64_t p = t / DARK_PERIOD;

    live[0] = p;
    live[1] = t % DARK_PERIOD < DARK_PERIOD / 2 ? p - (p > 0) : p + 1;
}

walltime dark_live_until(const struct dark_addr *a, walltime now)
{
    uint64_t t = shifted(a, now) + DARK_PERIOD / 2;

    return (now < 0 ? 0 : now) + (walltime)(DARK_PERIOD - t % DARK_PERIOD);
}

walltime dark_period_end(const struct dark_addr *a, uint64_t period)
{
    return (walltime)((period + 1) * DARK_PERIOD + DARK_PERIOD / 2 - shift_of(a));
}

uint64_t dark_seq_next(const struct dark_addr *a, uint64_t last, walltime now)
{
    uint64_t floor = shifted(a, now) / DARK_STEP * DARK_STEP_SEQS;

    return last + 1 > floor ? last + 1 : floor;
}

uint64_t dark_seq_base(uint64_t period)
{
    uint64_t steps = DARK_PERIOD / DARK_STEP;

    return period == 0 ? 0 : (period * steps - steps / 2) * DARK_STEP_SEQS;
}

qudag_err dark_dht_key(uint8_t out[DARK_KEY_LEN], const struct dark_addr *a, uint64_t period)
{
    uint8_t material[DARK_MATERIAL_LEN];
    uint8_t param[32], blinded[32];

    dark_material(material, a, period);
    blake3_derive(param, sizeof param, "qudag dark blinding v1",
                  (struct slice){material, sizeof material});
    qudag_err err = ed25519_blind_public(blinded, a->ed_pk, param);
    if (err != QUDAG_OK) {
        return err;
    }
    uint8_t *index = out + DARK_KEY_LEN - DHT_DARK_INDEX_LEN;
    memcpy(out, DHT_DARK_PREFIX, DARK_KEY_LEN - DHT_DARK_INDEX_LEN);
    blake3_derive(index, DHT_DARK_INDEX_LEN, "qudag dark index v1",
                  (struct slice){blinded, sizeof blinded});
    return QUDAG_OK;
}
