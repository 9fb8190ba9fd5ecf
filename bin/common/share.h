/* share.h - what the server of a share and the daemon that exposes it have in common. */
#ifndef QUDAG_BIN_COMMON_SHARE_H
#define QUDAG_BIN_COMMON_SHARE_H

#define SHARE_CONNECTIONS_MAX                                                                      \
    64 /* that the server of a share has at once; more wait until one ends */

/*
 * Connections that the daemon makes to it at once, fewer than it has places, as some are just ending.  So no connection
 * waits in front of the server, where nobody knows whose it is: the daemon shares these places between callers.
 */
#define SHARE_PLACES 56

#endif
