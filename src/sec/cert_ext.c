/* cert_ext.c - see cert_ext.h. */
#include "sec/cert_ext.h"

#include <string.h>

enum { VERSION_KEY = 1, VERSION_NAME = 2 };
enum { DER_INTEGER = 0x02, DER_OCTETS = 0x04, DER_UTF8 = 0x0c, DER_SEQUENCE = 0x30 };

static void der_head(struct wr *w, uint8_t tag, size_t len)
{
    wr_u8(w, tag);
    if (len < 0x80) {
        wr_u8(w, (uint8_t)len);
    } else if (len < 0x100) {
        wr_u8(w, 0x81);
        wr_u8(w, (uint8_t)len);
    } else {
        wr_u8(w, 0x82);
        wr_u16(w, (uint16_t)len);
    }
}

/* The content of the next element, which must have |tag| and a minimal length below 64 KiB. */
static struct slice der_read(struct rd *r, uint8_t tag)
{
    size_t len;

    if (rd_u8(r) != tag) {
        r->err = true;
    }
    len = rd_u8(r);
    if (len == 0x81) {
        len = rd_u8(r);
        r->err |= len < 0x80;
    } else if (len == 0x82) {
        len = rd_u16(r);
        r->err |= len < 0x100;
    } else if (len >= 0x80) {
        r->err = true;
    }
    return rd_ok(r) ? rd_bytes(r, len) : (struct slice){NULL, 0};
}

static size_t der_len(size_t len)
{
    return len + (len < 0x80 ? 2 : len < 0x100 ? 3 : 4);
}

void cert_ext_libp2p_write(struct wr *w, struct slice key_proto, struct slice sig)
{
    der_head(w, DER_SEQUENCE, der_len(key_proto.len) + der_len(sig.len));
    der_head(w, DER_OCTETS, key_proto.len);
    wr_slice(w, key_proto);
    der_head(w, DER_OCTETS, sig.len);
    wr_slice(w, sig);
}

static void write_identity(struct wr *w, uint8_t version, struct slice what)
{
    const size_t role_len = sizeof CERT_ROLE - 1;

    der_head(w, DER_SEQUENCE, der_len(1) + der_len(role_len) + der_len(what.len));
    der_head(w, DER_INTEGER, 1);
    wr_u8(w, version);
    der_head(w, DER_UTF8, role_len);
    wr_bytes(w, CERT_ROLE, role_len);
    der_head(w, DER_OCTETS, what.len);
    wr_slice(w, what);
}

void cert_ext_pq_write(struct wr *w, const uint8_t pq_pk[MLDSA65_PK_LEN])
{
    write_identity(w, VERSION_KEY, (struct slice){pq_pk, MLDSA65_PK_LEN});
}

void cert_ext_pq_name_write(struct wr *w, const uint8_t pq_hash[32])
{
    write_identity(w, VERSION_NAME, (struct slice){pq_hash, 32});
}

qudag_err cert_ext_libp2p_read(struct slice value, struct slice *key_proto, struct slice *sig)
{
    struct rd outer = rd_init(value);
    struct rd r = rd_init(der_read(&outer, DER_SEQUENCE));
    struct slice k, s;

    if (!rd_done(&outer)) {
        return QUDAG_EMALFORMED;
    }
    k = der_read(&r, DER_OCTETS);
    s = der_read(&r, DER_OCTETS);
    if (!rd_done(&r)) {
        return QUDAG_EMALFORMED;
    }
    *key_proto = k;
    *sig = s;
    return QUDAG_OK;
}

qudag_err cert_ext_pq_read(struct slice value, struct cert_ext_pq *out)
{
    struct rd outer = rd_init(value);
    struct rd r = rd_init(der_read(&outer, DER_SEQUENCE));
    struct slice version, role, what;

    if (!rd_done(&outer)) {
        return QUDAG_EMALFORMED;
    }
    version = der_read(&r, DER_INTEGER);
    role = der_read(&r, DER_UTF8);
    what = der_read(&r, DER_OCTETS);
    if (!rd_done(&r) || version.len != 1 || role.len != sizeof CERT_ROLE - 1 ||
        memcmp(role.base, CERT_ROLE, role.len) != 0) {
        return QUDAG_EMALFORMED;
    }
    if (version.base[0] == VERSION_KEY && what.len == MLDSA65_PK_LEN) {
        *out = (struct cert_ext_pq){.pk = what.base};
        return QUDAG_OK;
    }
    if (version.base[0] == VERSION_NAME && what.len == 32) {
        *out = (struct cert_ext_pq){.hash = what.base};
        return QUDAG_OK;
    }
    return QUDAG_EMALFORMED;
}

qudag_err cert_signed_part(uint8_t *buf, size_t cap, struct slice *out, const X509 *crt)
{
    static const char prefix[] = "libp2p-tls-handshake:";
    const size_t prefix_len = sizeof prefix - 1;
    X509_PUBKEY *spki = X509_get_X509_PUBKEY(crt);
    int len = i2d_X509_PUBKEY(spki, NULL);
    unsigned char *p = buf + prefix_len;

    if (len <= 0) {
        return QUDAG_EMALFORMED;
    }
    if (cap < prefix_len || (size_t)len > cap - prefix_len) {
        return QUDAG_ETOOBIG;
    }
    memcpy(buf, prefix, prefix_len);
    if (i2d_X509_PUBKEY(spki, &p) != len) {
        return QUDAG_EINTERNAL;
    }
    *out = (struct slice){buf, prefix_len + (size_t)len};
    return QUDAG_OK;
}
