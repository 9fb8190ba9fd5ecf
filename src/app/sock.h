/* sock.h - stream sockets of this machine, non-blocking; nothing here raises SIGPIPE.  Errors are errno's values. */
#ifndef QUDAG_SRC_APP_SOCK_H
#define QUDAG_SRC_APP_SOCK_H

#include "app/target.h"

/*
 * Dials |to|; *fd is the caller's.  0: connected, or EINPROGRESS: it will be once it can be written, see sock_error().
 * On another error *fd is -1.
 */
int sock_dial(int *fd, const struct target *to);
/* Listens at |at| (port 0: any); *fd is the caller's.  0, or the error. */
int sock_listen(int *fd, const struct netaddr *at);
/* The address it is bound to; false: none. */
bool sock_bound(int fd, struct netaddr *out);
/* The next connection that waits at |listening|; -1: none, errno says why. */
int sock_accept(int listening);
/* What became of a dial; 0: connected. */
int sock_error(int fd);
/* send() and recv(): the number of bytes, 0 from sock_recv(): the end; or minus the error. */
long sock_send(int fd, const void *p, size_t len);
/* The same to read. */
long sock_recv(int fd, void *p, size_t max);
/* Nothing more is sent. */
void sock_shut(int fd);
/* Closes it; |reset|: the other side is to see that it was cut off, where the kind of socket has a way to say so. */
void sock_close(int fd, bool reset);

#endif
