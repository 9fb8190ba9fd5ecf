/*
 * proxy.h - a proxy on this machine: programs that know nothing of QuDAG reach dark addresses through it.
 *
 *   curl, browser, ssh ─ SOCKS5 or HTTP ─▶ 127.0.0.1:9350 ─▶ a circuit ─▶ ADDRESS.dark
 *
 * One port for SOCKS5 (RFC 1928, RFC 1929; names only), HTTP CONNECT and HTTP requests with a whole URL, told apart by
 * the first byte.  Nothing leaves the network: an IP address, or a name outside .dark, is refused, and no name is
 * ever looked up in the DNS.
 *
 * Whoever can connect to the port can use it: on loopback that is every user of this machine.  Streams to different
 * addresses, of different users of the machine (on Linux) and with different user names or passwords never share a
 * circuit.
 */
#ifndef QUDAG_PROXY_H
#define QUDAG_PROXY_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUDAG_PROXY_LISTEN_DEFAULT "127.0.0.1:9350"
#define QUDAG_PROXY_LISTEN_TEXT_MAX 64 /* an address and a port as text, with NUL */
#define QUDAG_PETNAME_MAX 63           /* bytes of a petname, without ".dark" and NUL */
#define QUDAG_PROXY_CONNECTIONS_MAX 4096

/* How a proxy serves; |size| first, see types.h. */
typedef struct qudag_proxy_options {
    uint32_t size;
    uint32_t connections_max; /* at once, 0: 512; at most QUDAG_PROXY_CONNECTIONS_MAX */
    const char *listen;       /* IP:PORT or [IP6]:PORT, port 0: any; NULL: the default */
    /*
     * Looks up the petname |name|, in lower case and without ".dark"; QUDAG_ENOTFOUND: there is none.  Called on the
     * node's thread; must not wait, nor call qudag_proxy_stop() or qudag_node_free().  NULL: there are no petnames.
     */
    qudag_err (*petname)(void *user, const char *name, char addr[QUDAG_DARK_TEXT_MAX]);
    void *user;  /* for |petname| */
    bool remote; /* |listen| may be reached from other machines */
    uint8_t pad[7];
} qudag_proxy_options;

/*
 * Starts the proxy of |n|, on its loop, until qudag_proxy_stop or qudag_node_free.  On failure |why| (may be NULL)
 * gets a sentence, cut to |why_len|.  QUDAG_EINVAL (|o|; or an address that is not of loopback without |remote|),
 * QUDAG_EEXISTS (it runs already), QUDAG_ESYSTEM (the port is taken, not permitted), QUDAG_ELIMIT, QUDAG_ENOMEM,
 * QUDAG_ESTATE (the node is being freed).
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_proxy_start(qudag_node *n, const qudag_proxy_options *o,
                                                     char *why, size_t why_len);
/* Closes the port and all connections.  Nothing where none runs. */
QUDAG_API void qudag_proxy_stop(qudag_node *n);

/* What a proxy has done. */
typedef struct qudag_proxy_info {
    uint32_t size;                            /* set by the caller, see types.h */
    uint32_t connections;                     /* now */
    char listen[QUDAG_PROXY_LISTEN_TEXT_MAX]; /* with the port it has */
    uint64_t opened;                          /* streams to dark addresses, since the start */
    uint64_t refused;              /* asked for an IP address, a name outside .dark ... */
    uint64_t failed;               /* the address was not reached, or its service refused */
    uint64_t bytes_up, bytes_down; /* to services, from services */
} qudag_proxy_info;
/* QUDAG_ENOTFOUND (none runs), QUDAG_EINVAL. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_proxy_status(const qudag_node *n, qudag_proxy_info *out);

/*
 * Whether |name| may be a petname: 1 to QUDAG_PETNAME_MAX letters of ASCII, digits and '-', neither first nor last a
 * '-', and none that stands for letters of another alphabet (xn--): two names that look alike are alike.
 */
QUDAG_API bool qudag_petname_valid(const char *name);

#ifdef __cplusplus
}
#endif
#endif
