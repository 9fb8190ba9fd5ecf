/* init.h - the crypto libraries' own start. */
#ifndef QUDAG_SRC_CRYPTO_INIT_H
#define QUDAG_SRC_CRYPTO_INIT_H

#include "base/types.h"

/*
 * Starts OpenSSL (without reading any configuration file of the host) and libsodium.  Idempotent,
 * and safe from several threads.  A node calls it before anything else here.  QUDAG_EINTERNAL.
 */
QUDAG_MUST_USE qudag_err crypto_init(void);

/* The backend of kex.h and sign.h with its version, as backend.h names it; static. */
const char *crypto_name(void);

#endif
