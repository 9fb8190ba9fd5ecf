/*
 * natbox_main.c - a router for real packets: what the kernel routes into a TUN device comes out of it translated,
 * late, or not at all.
 *
 *   natbox TUN CONTROL EXTERNAL INSIDE/BITS [INSIDE/BITS ...]
 *
 * TUN is the name of the device, which is made here; CONTROL a stream socket that takes a line a connection
 * (router_command.c).  Begins without a NAT.  Ends with its standard input.
 */
#include "router.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define LINE_MAX_LEN 512

static void die(const char *what)
{
    fprintf(stderr, "natbox: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int open_tun(const char *name)
{
    struct ifreq want = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0) {
        die("/dev/net/tun");
    }
    snprintf(want.ifr_name, sizeof want.ifr_name, "%s", name);
    if (ioctl(fd, TUNSETIFF, &want) != 0) {
        die(name);
    }
    return fd;
}

static int open_control(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof at.sun_path) {
        errno = ENAMETOOLONG;
        die(path);
    }
    memcpy(at.sun_path, path, strlen(path) + 1);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 16) != 0) {
        die(path);
    }
    return fd;
}

static void add_net(struct router *r, const char *text)
{
    char ip[64];
    unsigned bits;
    struct netaddr a = {0};

    if (sscanf(text, "%63[^/]/%u", ip, &bits) != 2 || netaddr_parse_ip(&a, ip) != QUDAG_OK ||
        bits > (a.family == 4 ? 32u : 128u) || !router_add_net(r, &a, bits)) {
        errno = EINVAL;
        die(text);
    }
}

/* Commands are short and come from tests on this machine: one at a time, and whole. */
static void control(struct router *r, int listener)
{
    char line[LINE_MAX_LEN], answer[LINE_MAX_LEN];
    struct timeval patience = {.tv_sec = 1};
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    ssize_t n;

    if (fd < 0) {
        return;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    n = recv(fd, line, sizeof line - 1, 0);
    line[n > 0 ? n : 0] = 0;
    router_command(r, line, now_ns(), answer, sizeof answer);
    n = send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    (void)n;
    close(fd);
}

static void read_tun(struct router *r, int tun)
{
    static uint8_t b[ROUTER_PACKET_MAX];

    for (unsigned i = 0; i < BATCH; i++) {
        ssize_t n = read(tun, b, sizeof b);
        if (n <= 0) {
            return;
        }
        router_packet(r, b, (size_t)n, now_ns());
    }
}

static void write_tun(struct router *r, int tun)
{
    const uint8_t *b;
    size_t len;

    while ((len = router_leaving(r, &b, now_ns())) > 0) {
        ssize_t n = write(tun, b, len); /* what the kernel does not take is lost, as on a link */
        (void)n;
    }
}

static void run(struct router *r, int tun, int listener)
{
    struct pollfd on[3] = {{tun, POLLIN, 0}, {listener, POLLIN, 0}, {0, POLLIN, 0}};

    for (;;) {
        uint64_t next = router_next(r), now = now_ns();
        uint64_t wait = next <= now ? 0 : next - now;
        struct timespec t = {(time_t)(wait / NS_PER_S), (long)(wait % NS_PER_S)};
        char c;

        if (ppoll(on, 3, next == TSTAMP_NEVER ? NULL : &t, NULL) > 0) {
            if (on[0].revents != 0) {
                read_tun(r, tun);
            }
            if (on[1].revents != 0) {
                control(r, listener);
            }
            if (on[2].revents != 0 && read(0, &c, 1) <= 0) {
                return;
            }
        }
        write_tun(r, tun);
    }
}

int main(int argc, char **argv)
{
    static struct router r;
    static struct rng_stream stream;
    uint8_t seed[32];
    struct rng rng;
    int tun, listener;

    if (argc < 5) {
        fprintf(stderr, "usage: natbox TUN CONTROL EXTERNAL INSIDE/BITS ...\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1000UL);
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        die("getrandom");
    }
    rng_stream_init(&stream, seed);
    rng = rng_of_stream(&stream);
    router_init(&r, &rng);
    if (netaddr_parse_ip(&r.cfg.external, argv[3]) != QUDAG_OK) {
        errno = EINVAL;
        die(argv[3]);
    }
    for (int i = 4; i < argc; i++) {
        add_net(&r, argv[i]);
    }
    tun = open_tun(argv[1]);
    listener = open_control(argv[2]);
    run(&r, tun, listener);
    router_fini(&r);
    close(listener);
    close(tun);
    return 0;
}
