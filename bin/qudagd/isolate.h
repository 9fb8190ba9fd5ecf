/* isolate.h - which requests of the users of this daemon may share a circuit (--isolate of qudag send). */
#ifndef QUDAG_BIN_ISOLATE_H
#define QUDAG_BIN_ISOLATE_H

#include <qudag/qudag.h>
#include <sys/types.h>

#define ISOLATE_TEXT_MAX 64 /* bytes of a name that a user gives */

/*
 * The isolation key of what the local user |uid| asked for under the name |text|: the same for both the same, and
 * another for any other user.  |text| NULL or empty: |random| of QUDAG_ISOLATION_MAX bytes, which no other request has.
 */
void isolate_key(qudag_dark_options *out, uid_t uid, const char *text, const uint8_t *random);

#endif
