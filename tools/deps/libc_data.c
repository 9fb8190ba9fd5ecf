/*
 * libc_data.c - the three variables of libc that the protocol libraries refer to, for the shared library.
 *
 * Debian builds ngtcp2, libuv and zlib's static archives as PIE, not PIC: only such references keep them out of
 * a shared object.  tools/link_shared.sh lets them refer to these copies instead.
 */
#include <netinet/in.h>
#include <stdio.h>

#define OURS __attribute__((visibility("hidden")))

extern FILE *libc_data_stderr
    OURS; /* for assertions that fail, and debugging aids that we do not use */
extern char **libc_data_environ OURS; /* for uv_spawn and uv_os_environ, which we do not call */
extern const struct in6_addr libc_data_in6addr_any OURS;

FILE *libc_data_stderr;
char **libc_data_environ;
const struct in6_addr libc_data_in6addr_any = IN6ADDR_ANY_INIT;

__attribute__((constructor)) static void fill(void)
{
    libc_data_stderr = stderr;
}
