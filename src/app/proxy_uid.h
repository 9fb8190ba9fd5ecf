/* proxy_uid.h - whose process is at the other end of a connection on this machine. */
#ifndef QUDAG_SRC_APP_PROXY_UID_H
#define QUDAG_SRC_APP_PROXY_UID_H

#include "base/types.h"

/*
 * The user id that the other end |fd|, a connected TCP socket, belongs to; PROXY_UID_UNKNOWN where the kernel does not
 * say: it is on another machine, or the kernel cannot be asked.  Does not wait.
 */
uint64_t proxy_uid_of(int fd);

#endif
