/* codes.c - see codes.h. */
#include "core/codes.h"

/* The first row with an error is the one sent. */
static const struct {
    uint16_t code;
    qudag_err err;
} codes[] = {
    {0x1001, QUDAG_EUNSUPPORTED},                          /* no protocol in common */
    {0x1002, QUDAG_ELIMIT},                                /* resource limit exceeded */
    {0x1002, QUDAG_ENOMEM},       {0x1003, QUDAG_ELIMIT},  /* rate limited */
    {0x1004, QUDAG_EPROTO},                                /* protocol violation */
    {0x1004, QUDAG_EMALFORMED},   {0x1005, QUDAG_ECLOSED}, /* supplanted by another connection */
    {0x1006, QUDAG_ECLOSED},                               /* not used for long */
    {0x1007, QUDAG_ECLOSED},                               /* shutting down */
    {0x1008, QUDAG_EREFUSED},                              /* gated: not wanted from this peer */
    {0x1008, QUDAG_EPOLICY},
};

static const qudag_err own_codes[] = {
    QUDAG_ELIMIT,    QUDAG_ETIMEOUT, QUDAG_EUNREACHABLE, QUDAG_ENOTFOUND,
    QUDAG_ECANCELED, QUDAG_EPROTO,   QUDAG_EUNSUPPORTED, QUDAG_EEXPIRED,
    QUDAG_EREFUSED,  QUDAG_EPOLICY,  QUDAG_ECIRCUIT,     QUDAG_ECLOCK,
};

#define APP_CODES 0x2000 /* of programs, above those that libp2p has registered */

uint64_t link_code(qudag_err err)
{
    if (QUDAG_EAPP_CODE(err) >= 0) {
        return APP_CODES + (uint64_t)QUDAG_EAPP_CODE(err);
    }
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (codes[i].err == err) {
            return codes[i].code;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(own_codes); i++) {
        if (own_codes[i] == err) {
            return (uint64_t)(-(int64_t)err);
        }
    }
    return 0;
}

qudag_err link_code_error(uint64_t code)
{
    if (code >= APP_CODES && code <= APP_CODES + QUDAG_EAPP_MAX) {
        return QUDAG_EAPP((int)(code - APP_CODES));
    }
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (codes[i].code == code) {
            return codes[i].err;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(own_codes); i++) {
        if ((uint64_t)(-(int64_t)own_codes[i]) == code) {
            return own_codes[i];
        }
    }
    return QUDAG_ERESET;
}
