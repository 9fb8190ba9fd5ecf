/* isolate.h - which requests of the users of this daemon may share a circuit (--isolate of qudag send). */
#ifndef QUDAG_BIN_ISOLATE_H
#define QUDAG_BIN_ISOLATE_H

#include <qudag/qudag.h>
#include <sys/types.h>

#define ISOLATE_TEXT_MAX 64 /* bytes of a name that a user gives */

/*
 * The isolation key of what the local user |uid| asked for under the name |text|: the same for both the same, and
 * another for any other user.
 */
void isolate_key(uint8_t key[QUDAG_ISOLATION_MAX], uid_t uid, const char *text);

#endif
