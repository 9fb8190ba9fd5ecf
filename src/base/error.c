/* error.c - names, texts and categories of errors, all from the one list in qudag/error.h. */
#include "base/err.h"

const char *qudag_strerror(qudag_err err)
{
    if (QUDAG_EAPP_CODE(err) >= 0) {
        return "a code of the other program, which ended the stream with it";
    }
    switch (err) {
    case QUDAG_EAPP_FIRST:
    case QUDAG_EAPP_LAST:
        break;
    case QUDAG_OK:
        return "success";
#define XX(name, value, cat, text)                                                                 \
    case QUDAG_E##name:                                                                            \
        return text;
        QUDAG_ERR_MAP(XX)
#undef XX
    }
    return "unknown error";
}

const char *qudag_err_name(qudag_err err)
{
    if (QUDAG_EAPP_CODE(err) >= 0) {
        return "QUDAG_EAPP";
    }
    switch (err) {
    case QUDAG_EAPP_FIRST:
    case QUDAG_EAPP_LAST:
        break;
    case QUDAG_OK:
        return "QUDAG_OK";
#define XX(name, value, cat, text)                                                                 \
    case QUDAG_E##name:                                                                            \
        return "QUDAG_E" #name;
        QUDAG_ERR_MAP(XX)
#undef XX
    }
    return "QUDAG_E?";
}

qudag_err_cat qudag_err_category(qudag_err err)
{
    if (QUDAG_EAPP_CODE(err) >= 0) {
        return QUDAG_CAT_CLOSED;
    }
    switch (err) {
    case QUDAG_EAPP_FIRST:
    case QUDAG_EAPP_LAST:
        break;
    case QUDAG_OK:
        return QUDAG_CAT_OK;
#define XX(name, value, cat, text)                                                                 \
    case QUDAG_E##name:                                                                            \
        return QUDAG_CAT_##cat;
        QUDAG_ERR_MAP(XX)
#undef XX
    }
    return QUDAG_CAT_INTERNAL;
}

bool err_is_ours(qudag_err err)
{
    qudag_err_cat cat = qudag_err_category(err);

    return cat == QUDAG_CAT_USAGE || cat == QUDAG_CAT_INTERNAL || err == QUDAG_ENOMEM ||
           err == QUDAG_ECANCELED || err == QUDAG_ESTALE || err == QUDAG_EAGAIN;
}
