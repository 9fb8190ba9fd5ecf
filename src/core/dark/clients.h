/* clients.h - who may call an own address, and whom the owners of others let in (spec/dark.md 3.4). */
#ifndef QUDAG_SRC_CORE_DARK_CLIENTS_H
#define QUDAG_SRC_CORE_DARK_CLIENTS_H

#include "core/dark/dark.h"

#define DARK_AUTHS_MAX 256 /* addresses of others that we have a secret for */

/*
 * Only clients may call |a| from now on, |name| among them, who is to be given |secret|, drawn here.  Records that say
 * so leave soon (D-40).  The keys of |a| are to be saved.  ENOTFOUND: not an own address; EUNSUPPORTED: a direct one,
 * whose record names its node; EINVAL: a name that is empty, too long or not printable; EEXISTS; ELIMIT.
 */
QUDAG_MUST_USE qudag_err dark_client_add(struct dark *d, const struct dark_addr *a,
                                         const char *name, uint8_t secret[DARK_CLIENT_SECRET_LEN],
                                         tstamp now);
/*
 * |name| may call no longer; without clients nobody may.  NULL: all are removed, and anybody may.  The keys of |a| are
 * to be saved.  ENOTFOUND: no such address or client.
 */
QUDAG_MUST_USE qudag_err dark_client_remove(struct dark *d, const struct dark_addr *a,
                                            const char *name, tstamp now);
/*
 * The service behind |a| begins anew: what it was is in no record that is made from now on, and none is made before
 * dark_publish() says what it is (SPEC: dark D-41).  Nothing for an address that there is not.
 */
void dark_service_await(struct dark *d, const struct dark_addr *a);
/* Looks in at clients, |*it| from 0 on; NULL at the end.  Borrowed until the core is called again. */
const struct dark_client *dark_client_next(const struct dark *d, const struct dark_addr *a,
                                           size_t *it);
/*
 * |secret| is ours for calls to |a|, whoever of our users makes them; NULL: none is any more.  ELIMIT; ENOTFOUND: there
 * was none; EUNSUPPORTED: an address of another network.
 */
QUDAG_MUST_USE qudag_err dark_authorize(struct dark *d, const struct dark_addr *a,
                                        const uint8_t *secret);

/* The text form of a secret, NUL-terminated; its length. */
size_t dark_client_text(char dst[DARK_CLIENT_TEXT_MAX],
                        const uint8_t secret[DARK_CLIENT_SECRET_LEN]);
/* EMALFORMED: not of the form; ECHECKSUM: a typing error.  |secret| is zero then. */
QUDAG_MUST_USE qudag_err dark_client_parse(uint8_t secret[DARK_CLIENT_SECRET_LEN],
                                           const char *text);

#endif
