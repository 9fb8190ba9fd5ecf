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

void dark_addr_bytes(uint8_t out[DARK_ADDR_LEN], const struct dark_addr *a)
{
    out[0] = DARK_VERSION;
    out[1] = a->network;
    memcpy(out + 2, a->ed_pk, 32);
    memcpy(out + 34, a->commit, 32);
}

bool dark_network_takes(enum dark_network node, enum dark_network of)
{
    return of == DARK_NET_TEST || (of == DARK_NET_LAB) == (node == DARK_NET_LAB);
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

void dark_material(uint8_t out[DARK_MATERIAL_LEN], const struct dark_addr *a,
                   const struct dark_place *at)
{
    struct wr w = wr_init(out + DARK_ADDR_LEN, 9);

    dark_addr_bytes(out, a);
    wr_u64(&w, at->period);
    wr_u8(&w, at->replica);
}

uint64_t dark_period(walltime now)
{
    return now < 0 ? 0 : (uint64_t)now / DARK_PERIOD;
}

walltime dark_period_start(uint64_t period)
{
    return (walltime)(period * DARK_PERIOD);
}

void dark_live(uint64_t live[2], walltime now)
{
    uint64_t p = dark_period(now);
    bool first_half = now < dark_period_start(p) + DARK_PERIOD / 2;

    live[0] = p;
    live[1] = first_half ? p - (p > 0) : p + 1;
}

bool dark_near_change(walltime now)
{
    walltime into = now - dark_period_start(dark_period(now));

    return into < DARK_EDGE || into >= DARK_PERIOD - DARK_EDGE;
}

uint64_t dark_seq_next(uint64_t last, walltime now)
{
    uint64_t floor = (now < 0 ? 0 : (uint64_t)now) / DARK_STEP * DARK_STEP_SEQS;

    return last + 1 > floor ? last + 1 : floor;
}

size_t dark_slot(const struct dark_place *at)
{
    return (size_t)(at->period % 3) * DARK_REPLICAS + at->replica;
}

bool dark_place_eq(const struct dark_place *a, const struct dark_place *b)
{
    return a->period == b->period && a->replica == b->replica;
}

qudag_err dark_dht_key(uint8_t out[DARK_KEY_LEN], const struct dark_addr *a,
                       const struct dark_place *at)
{
    uint8_t material[DARK_MATERIAL_LEN];
    uint8_t param[32], blinded[32];

    dark_material(material, a, at);
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
