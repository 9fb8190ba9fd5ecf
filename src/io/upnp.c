/*
 * upnp.c - see upnp.h.
 *
 *   loop's thread: add ─▶ jobs ─▶ thread: search ─▶ description ─▶ action ─▶ over ─▶ io_post ─▶ loop's thread: done
 *
 * The thread may hang for as long as a router dribbles: what it needs belongs to it and to the owner together, and the
 * last of both frees it.
 */
#include "io/upnp.h"

#include "base/list.h"

#include <errno.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEARCH_MS 1000 /* of one search; at most two are made */
#define DEVICES_MAX 4  /* addresses at the gateway whose description is read, in one search ... */
#define DESCRIBE_S 8   /* ... none after that time */
#define URL_MAX 256
/*
 * What stands in the router's table for all of the network to read: what libminiupnpc writes for programs that say
 * nothing, and so for many.
 */
#define DESCRIPTION "libminiupnpc"
/* libminiupnpc would ask minissdpd, whose socket any user may have made. */
#define NO_DAEMON "/dev/null"

struct upnp_job {
    struct list node;
    struct portmap_upnp what;
    struct portmap_upnp_answer answer;
};

/* A router as it was found last. */
struct igd {
    bool found;
    uint8_t family;
    struct netaddr gateway;
    struct UPNPUrls urls;
    struct IGDdatas data;
};

struct upnp {
    struct io *io;
    upnp_done done;
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all that follows but |igd| */
    pthread_cond_t wake, ended;
    struct list jobs, over;
    uint32_t n;
    bool closing, gone; /* the owner is; the thread is */
    struct igd igd[2];  /* of IPv4, IPv6; the thread's */
};

/* ------------------------------------------------------------------ the router */

/* No spaces, line ends or other bytes that mean something to HTTP, no questions but those of Windows' gateways. */
static bool is_plain(const char *url)
{
    static const char *const asks[] = {"?content=uuid:", "?control=uuid:"};
    const char *query = strchr(url, '?');
    size_t len = 0;

    while (len <= URL_MAX && url[len] > ' ' && url[len] <= '~') {
        len++;
    }
    return url[len] == '\0' && len <= URL_MAX &&
           (query == NULL || strncmp(query, asks[0], strlen(asks[0])) == 0 ||
            strncmp(query, asks[1], strlen(asks[1])) == 0);
}

bool upnp_rule_url(const char *url, const struct netaddr *gateway, const struct netaddr *own)
{
    char host[NETADDR_TEXT_MAX];
    struct netaddr a = {0};

    if (strncmp(url, "http://", 7) != 0 || !is_plain(url)) {
        return false;
    }
    url += 7;
    bool six = url[0] == '[';
    url += six ? 1 : 0;
    size_t len = strcspn(url, six ? "]/" : ":/");
    size_t ip = strcspn(url, "%");
    ip = six && ip < len ? ip : len;
    if (ip >= sizeof(host) || (six && url[len] != ']')) {
        return false;
    }
    memcpy(host, url, ip);
    host[ip] = '\0';
    if (netaddr_parse_ip(&a, host) != QUDAG_OK || a.family != gateway->family ||
        six != (a.family == 6)) {
        return false;
    }
    if (a.family == 4) {
        return netaddr_same_ip(&a, gateway);
    }
    return (a.ip[0] == 0xfe && (a.ip[1] & 0xc0) == 0x80) || memcmp(a.ip, own->ip, 8) == 0;
}

static void forget(struct igd *g)
{
    if (g->found) {
        FreeUPNPUrls(&g->urls);
    }
    *g = (struct igd){.found = false};
}

static void ip_text(char *dst, size_t cap, const struct netaddr *a)
{
    char whole[NETADDR_TEXT_MAX];
    struct netaddr ip = *a;
    const char *from = whole;

    ip.port = 0;
    ip.scope = 0;
    dst[0] = '\0';
    if (netaddr_text(whole, sizeof(whole), &ip) > 0) { /* "1.2.3.4:0", "[::1]:0" */
        from += whole[0] == '[' ? 1 : 0;
        size_t len = whole[0] == '[' ? strcspn(from, "]") : strcspn(from, ":");
        (void)snprintf(dst, cap, "%.*s", (int)len, from);
    }
}

/* Whether the description says what is needed, and all of it is at the gateway. */
static bool usable(const struct igd *g, const struct portmap_upnp *what)
{
    const char *control = what->internal.family == 6 ? g->urls.controlURL_6FC : g->urls.controlURL;
    const char *type =
        what->internal.family == 6 ? g->data.IPv6FC.servicetype : g->data.first.servicetype;

    return control != NULL && type[0] != '\0' && control[0] != '\0' &&
           upnp_rule_url(control, &what->gateway, &what->internal);
}

static bool describe(struct igd *g, const char *url, const struct portmap_upnp *what)
{
    char own[NETADDR_TEXT_MAX];

    if (!upnp_rule_url(url, &what->gateway, &what->internal) ||
        UPNP_GetIGDFromUrl(url, &g->urls, &g->data, own, sizeof(own)) != 1) {
        return false;
    }
    g->found = true;
    if (!usable(g, what)) {
        forget(g);
        return false;
    }
    g->gateway = what->gateway;
    return true;
}

/* Where the search goes out: libminiupnpc wants an address for IPv4, the name of an interface for IPv6. */
static bool interface_of(char *dst, size_t cap, const struct portmap_upnp *what)
{
    char name[IF_NAMESIZE];

    if (what->internal.family == 4) {
        ip_text(dst, cap, &what->internal);
        return true;
    }
    if (if_indextoname(what->gateway.scope, name) == NULL) {
        return false;
    }
    (void)snprintf(dst, cap, "%s", name);
    return true;
}

static time_t seconds(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* Whether no answer before |d| named the same address. */
static bool is_first(const struct UPNPDev *all, const struct UPNPDev *d)
{
    while (all != d && strcmp(all->descURL, d->descURL) != 0) {
        all = all->pNext;
    }
    return all == d;
}

static bool search(struct igd *g, const struct portmap_upnp *what)
{
    /* a version 2 answers to 1, too (UPnP device architecture 1.3.2) */
    static const char *const types[] = {"urn:schemas-upnp-org:device:InternetGatewayDevice:1",
                                        "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
                                        NULL};
    char at[NETADDR_TEXT_MAX];
    int err = 0, n = 0;

    if (!interface_of(at, sizeof(at), what)) {
        return false;
    }
    struct UPNPDev *all = upnpDiscoverDevices(types, SEARCH_MS, at, NO_DAEMON, UPNP_LOCAL_PORT_ANY,
                                              what->internal.family == 6, 2, &err, 0);
    time_t until = seconds() + DESCRIBE_S;
    for (const struct UPNPDev *d = all; d != NULL && !g->found && n < DEVICES_MAX; d = d->pNext) {
        if (is_first(all, d) && upnp_rule_url(d->descURL, &what->gateway, &what->internal) &&
            seconds() < until) {
            n++; /* what leads elsewhere takes nobody's turn */
            (void)describe(g, d->descURL, what);
        }
    }
    freeUPNPDevlist(all);
    return g->found;
}

/* The router's, as it is known or found. */
static struct igd *router(struct upnp *u, const struct portmap_upnp *what, bool *fresh)
{
    struct igd *g = &u->igd[what->internal.family == 6 ? 1 : 0];

    *fresh = false;
    if (g->found && netaddr_same_ip(&g->gateway, &what->gateway) && usable(g, what)) {
        return g;
    }
    forget(g);
    *fresh = true;
    return search(g, what) ? g : NULL;
}

/* ------------------------------------------------------------------ actions */

struct texts {
    char internal[NETADDR_TEXT_MAX], port[8], external[8], life[12], pinhole[8];
    const char *protocol;
};

static void make_texts(struct texts *t, const struct portmap_upnp *what)
{
    ip_text(t->internal, sizeof(t->internal), &what->internal);
    (void)snprintf(t->port, sizeof(t->port), "%u", what->internal.port);
    (void)snprintf(t->external, sizeof(t->external), "%u", what->external);
    (void)snprintf(t->life, sizeof(t->life), "%u", what->life_s);
    (void)snprintf(t->pinhole, sizeof(t->pinhole), "%u", what->pinhole);
    t->protocol = what->tcp ? "TCP" : "UDP";
}

static uint16_t port_of(const char *text)
{
    unsigned long v = strtoul(text, NULL, 10);

    return v <= UINT16_MAX ? (uint16_t)v : 0;
}

static bool second_version(const char *type)
{
    size_t len = strlen(type);

    return len > 2 && strcmp(type + len - 2, ":1") != 0;
}

/* What the router says of the time that is left, as it may grant less than was asked for. */
static uint32_t time_left(const struct igd *g, const struct texts *t, const char *external)
{
    char client[64] = "", port[16] = "", text[128] = "", on[16] = "", left[32] = "";

    if (UPNP_GetSpecificPortMappingEntry(g->urls.controlURL, g->data.first.servicetype, external,
                                         t->protocol, NULL, client, port, text, on,
                                         left) != UPNPCOMMAND_SUCCESS) {
        return 0;
    }
    unsigned long v = strtoul(left, NULL, 10);
    return v <= PORTMAP_LIFE_MAX ? (uint32_t)v : PORTMAP_LIFE_MAX;
}

static bool is_closing(struct upnp *u)
{
    (void)pthread_mutex_lock(&u->lock);
    bool closing = u->closing;
    (void)pthread_mutex_unlock(&u->lock);
    return closing;
}

static int map4(struct upnp *u, const struct igd *g, const struct portmap_upnp *what,
                struct portmap_upnp_answer *a)
{
    const char *control = g->urls.controlURL, *type = g->data.first.servicetype;
    char ip[64] = "", reserved[8] = "";
    struct texts t;
    int err;

    make_texts(&t, what);
    (void)snprintf(reserved, sizeof(reserved), "%s", t.external);
    if (second_version(type)) { /* it chooses another port where ours is taken */
        err = UPNP_AddAnyPortMapping(control, type, t.external, t.port, t.internal, DESCRIPTION,
                                     t.protocol, NULL, t.life, reserved);
    } else {
        err = UPNP_AddPortMapping(control, type, t.external, t.port, t.internal, DESCRIPTION,
                                  t.protocol, NULL, t.life);
    }
    if (err != UPNPCOMMAND_SUCCESS) {
        return err;
    }
    a->external = (struct netaddr){.family = 4, .port = port_of(reserved)};
    if (is_closing(u)) {
        return PORTMAP_UPNP_OK; /* nobody asks where it is: it is closed again */
    }
    if (UPNP_GetExternalIPAddress(control, type, ip) != UPNPCOMMAND_SUCCESS ||
        netaddr_parse_ip(&a->external, ip) != QUDAG_OK) {
        a->external = (struct netaddr){.family = 4};
    }
    a->external.port = port_of(reserved);
    a->life_s = what->life_s == 0 ? 0 : time_left(g, &t, reserved);
    return PORTMAP_UPNP_OK;
}

/* A pinhole: nothing is translated. */
static int map6(const struct igd *g, const struct portmap_upnp *what, struct portmap_upnp_answer *a)
{
    const char *control = g->urls.controlURL_6FC, *type = g->data.IPv6FC.servicetype;
    char id[8] = "";
    struct texts t;

    make_texts(&t, what);
    a->external = what->internal;
    a->pinhole = what->pinhole;
    a->life_s = what->life_s;
    if (what->pinhole != 0 &&
        UPNP_UpdatePinhole(control, type, t.pinhole, t.life) == UPNPCOMMAND_SUCCESS) {
        return PORTMAP_UPNP_OK;
    }
    int err = UPNP_AddPinhole(control, type, "", "0", t.internal, t.port, what->tcp ? "6" : "17",
                              t.life, id);
    a->pinhole = port_of(id);
    return err == UPNPCOMMAND_SUCCESS ? PORTMAP_UPNP_OK : err;
}

static int unmap(const struct igd *g, const struct portmap_upnp *what)
{
    struct texts t;

    make_texts(&t, what);
    if (what->internal.family == 6) {
        return UPNP_DeletePinhole(g->urls.controlURL_6FC, g->data.IPv6FC.servicetype, t.pinhole);
    }
    return UPNP_DeletePortMapping(g->urls.controlURL, g->data.first.servicetype, t.external,
                                  t.protocol, NULL);
}

static void work_on(struct upnp *u, struct upnp_job *j)
{
    const struct portmap_upnp *what = &j->what;

    /* One that is known may have gone: then it is searched for once more. */
    for (bool fresh = false; !fresh;) {
        struct igd *g = router(u, what, &fresh);
        if (g == NULL) {
            j->answer.code = PORTMAP_UPNP_NO_ROUTER;
            return;
        }
        j->answer = (struct portmap_upnp_answer){0};
        int err = what->remove                 ? unmap(g, what)
                  : what->internal.family == 6 ? map6(g, what, &j->answer)
                                               : map4(u, g, what, &j->answer);
        j->answer.code = err < 0 ? PORTMAP_UPNP_NO_SENSE : err;
        if (err >= 0) {
            return;
        }
        forget(g);
    }
}

/* ------------------------------------------------------------------ the thread */

/* Makes of a job that opened something the one that closes it again; false: there is nothing to close. */
static bool turn(struct upnp_job *j)
{
    if (j->what.remove || j->answer.code != PORTMAP_UPNP_OK) {
        return false;
    }
    j->what.remove = true;
    j->what.external = j->answer.external.port;
    j->what.pinhole = j->answer.pinhole;
    return true;
}

/* Of one whose answer nobody wants, by the owner. */
static void undo(struct upnp *u, struct upnp_job *j)
{
    if (!turn(j)) {
        free(j);
        return;
    }
    (void)pthread_mutex_lock(&u->lock);
    u->n++;
    list_push_back(&u->jobs, &j->node);
    (void)pthread_cond_signal(&u->wake);
    (void)pthread_mutex_unlock(&u->lock);
}

/* Tells what is over.  The owner may add from there. */
static void collect(void *upnp, void *unused)
{
    struct upnp *u = upnp;
    (void)unused;

    for (;;) {
        (void)pthread_mutex_lock(&u->lock);
        struct upnp_job *j =
            list_empty(&u->over) ? NULL : LIST_ENTRY(u->over.next, struct upnp_job, node);
        if (j != NULL) {
            list_del(&j->node);
        }
        (void)pthread_mutex_unlock(&u->lock);
        if (j == NULL) {
            return;
        }
        if (u->done(u->ctx, j->what.id, &j->answer)) {
            free(j);
        } else {
            undo(u, j);
        }
    }
}

static void free_jobs(struct list *l)
{
    LIST_EACH_SAFE(it, tmp, l)
    {
        free(LIST_ENTRY(it, struct upnp_job, node));
    }
    list_init(l);
}

/* By the last of thread and owner. */
static void destroy(struct upnp *u)
{
    forget(&u->igd[0]);
    forget(&u->igd[1]);
    free_jobs(&u->jobs);
    free_jobs(&u->over);
    (void)pthread_cond_destroy(&u->wake);
    (void)pthread_cond_destroy(&u->ended);
    (void)pthread_mutex_destroy(&u->lock);
    free(u);
}

/*
 * The next job, with the lock: while the owner is there, any; afterwards, those that remove, and what was opened and
 * is told to nobody any more.
 */
static struct upnp_job *next(struct upnp *u)
{
    while (u->closing && !list_empty(&u->over)) {
        struct upnp_job *j = LIST_ENTRY(u->over.next, struct upnp_job, node);
        list_del(&j->node);
        if (turn(j)) {
            return j;
        }
        free(j);
    }
    LIST_EACH_SAFE(it, tmp, &u->jobs)
    {
        struct upnp_job *j = LIST_ENTRY(it, struct upnp_job, node);
        list_del(&j->node);
        u->n--;
        if (!u->closing || j->what.remove) {
            return j;
        }
        free(j);
    }
    return NULL;
}

static void *run(void *upnp)
{
    struct upnp *u = upnp;

    (void)pthread_mutex_lock(&u->lock);
    for (;;) {
        struct upnp_job *j = next(u);
        if (j == NULL && u->closing) {
            break;
        }
        if (j == NULL) {
            (void)pthread_cond_wait(&u->wake, &u->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&u->lock);
        work_on(u, j);
        (void)pthread_mutex_lock(&u->lock);
        if (j->what.remove) {
            free(j);
        } else {
            list_push_back(&u->over, &j->node);
            if (!u->closing) {                          /* or next() undoes it */
                (void)io_post(u->io, collect, u, NULL); /* refused: with the next one, or never */
            }
        }
    }
    bool last = u->gone;
    u->gone = true;
    (void)pthread_cond_signal(&u->ended);
    (void)pthread_mutex_unlock(&u->lock);
    if (last) {
        destroy(u);
    }
    return NULL;
}

qudag_err upnp_new(struct upnp **out, struct io *io, upnp_done done, void *ctx)
{
    struct upnp *u = calloc(1, sizeof(*u));
    pthread_condattr_t monotonic; /* upnp_free() waits by it: the calendar may be set meanwhile */
    pthread_attr_t attr;
    sigset_t all, before;

    *out = u;
    if (u == NULL) {
        return QUDAG_ENOMEM;
    }
    u->io = io;
    u->done = done;
    u->ctx = ctx;
    list_init(&u->jobs);
    list_init(&u->over);
    (void)pthread_mutex_init(&u->lock, NULL);
    (void)pthread_cond_init(&u->wake, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&u->ended, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)sigfillset(&all); /* SIGPIPE too: libminiupnpc's writes raise it */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int failed = pthread_create(&u->thread, &attr, run, u);
    (void)pthread_attr_destroy(&attr);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        destroy(u);
        *out = NULL;
        return QUDAG_ESYSTEM;
    }
    return QUDAG_OK;
}

void upnp_free(struct upnp *u)
{
    struct timespec until;

    if (u == NULL) {
        return;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += UPNP_END_MS / 1000;
    (void)pthread_mutex_lock(&u->lock);
    u->closing = true;
    (void)pthread_cond_signal(&u->wake);
    int err = 0;
    while (!u->gone && err == 0) {
        err = pthread_cond_timedwait(&u->ended, &u->lock, &until);
    }
    bool last = u->gone;
    u->gone = true; /* the thread that hangs frees it when it comes back */
    (void)pthread_mutex_unlock(&u->lock);
    if (last) {
        destroy(u);
    }
}

qudag_err upnp_add(struct upnp *u, const struct portmap_upnp *what)
{
    struct upnp_job *j = calloc(1, sizeof(*j));
    qudag_err err = j == NULL ? QUDAG_ENOMEM : QUDAG_OK;

    if (err != QUDAG_OK) {
        return err;
    }
    j->what = *what;
    (void)pthread_mutex_lock(&u->lock);
    if (u->n >= UPNP_JOBS_MAX) {
        err = QUDAG_ELIMIT;
    } else {
        u->n++;
        list_push_back(&u->jobs, &j->node);
        (void)pthread_cond_signal(&u->wake);
    }
    (void)pthread_mutex_unlock(&u->lock);
    if (err != QUDAG_OK) {
        free(j);
    }
    return err;
}
