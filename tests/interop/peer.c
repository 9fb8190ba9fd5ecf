/*
 * peer.c - a node on a leash: commands on stdin, one answer line each on stdout, log on stderr.
 *
 *   peer [--pq require|prefer|off] [--level 768|1024] [--dht PROTOCOL] [--ns NAME] [--seed FILE]
 *        [--port N | --listen MULTIADDR,...] [--idle SECONDS] [--relay yes]
 *
 *   PEER id, ADDR multiaddr, READY          at the start
 *   connect MULTIADDR                       OK
 *   reserve MULTIADDR                       OK the address at which that relay's place is ours
 *   ping ID                                 OK rtt in us
 *   agent ID                                OK agent|protocols
 *   put KEY VALUE      get KEY              OK peers that stored it; OK the value
 *   provide TEXT       find TEXT            OK count; OK ids of the providers
 *   findpeer ID                             OK addresses
 *   table ID                                OK; FAIL QUDAG_ENOTFOUND: it is not in the routing table
 *   hangup ID                               OK
 *   handshakes MULTIADDR N                  OK us in which the peer was dialled and left N times
 *   streams ID N                            OK N; so many echo streams at once
 *   send ID BYTES      fetch ID BYTES       OK SHA-256 of what went, of what came; the peer's is the same
 *   pour ID BYTES                           OK us until the peer has counted all of them
 *   half ID            refuse ID            OK; the peer ends its direction first; it resets the stream
 *   reset ID           open ID      use     OK; an echo stream that we reset, keep open, use again
 *   resets             seen                 OK how many echo streams peers reset; bytes of the last "half"
 *   links                                   OK id/direction/group/sig_remote/pq/pin of each; /relayed
 *   stats                                   OK name=value of all that are not zero
 *   quit
 *
 * What fails answers FAIL NAME text.  Public functions of the library only.
 */
#include "peer_streams.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OP_TEXT_MAX 16384
#define STREAMS_S 120 /* for what is done on streams */
#define RESERVE_S 30

static struct {
    qudag_op op; /* under way */
    bool busy;
    qudag_err err;
    char text[OP_TEXT_MAX];
    const char *kind;
} now;

static void say(const char *word, const char *text)
{
    printf("%s %s\n", word, text);
    fflush(stdout);
}

static void say_failed(qudag_err err)
{
    printf("FAIL %s %s\n", qudag_err_name(err), qudag_strerror(err));
    fflush(stdout);
}

static void on_log(void *user, const qudag_log_record *r)
{
    (void)user;
    fprintf(stderr, "%s", r->event);
    for (size_t i = 0; i < r->n; i++) {
        const qudag_log_field *f = &r->fields[i];

        if (f->text != NULL) {
            fprintf(stderr, " %s=%s", f->name, f->text);
        } else {
            fprintf(stderr, " %s=%lld", f->name, (long long)f->num);
        }
    }
    fprintf(stderr, "\n");
}

static void add(const char *text, size_t len)
{
    size_t have = strlen(now.text);

    if (have + len + 2 < sizeof now.text) {
        memcpy(now.text + have, text, len);
        now.text[have + len] = ' ';
        now.text[have + len + 1] = '\0';
    }
}

static void on_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user)
{
    char text[QUDAG_PEER_ID_TEXT_MAX];

    (void)n;
    (void)user;
    if (!now.busy || op.id != now.op.id) {
        return;
    }
    now.busy = false;
    now.err = err;
    if (strcmp(now.kind, "ping") == 0) {
        snprintf(now.text, sizeof now.text, "%llu", (unsigned long long)(res->rtt / 1000));
    } else if (strcmp(now.kind, "get") == 0) {
        add((const char *)res->value.base, res->value.len);
    } else if (strcmp(now.kind, "put") == 0 || strcmp(now.kind, "provide") == 0) {
        snprintf(now.text, sizeof now.text, "%u", res->count);
    } else if (strcmp(now.kind, "find") == 0 || strcmp(now.kind, "closest") == 0) {
        for (size_t i = 0; i < res->peers_n; i++) {
            qudag_peer_id_text(&res->peers[i], text);
            add(text, strlen(text));
        }
    } else if (strcmp(now.kind, "findpeer") == 0) {
        for (size_t i = 0; i < res->addrs_n; i++) {
            add(res->addrs[i], strlen(res->addrs[i]));
        }
    }
}

static qudag_err agent(qudag_node *n, const qudag_peer_id *id)
{
    char name[128], protocols[2048];
    qudag_err err = qudag_peer_agent(n, id, name, sizeof name, protocols, sizeof protocols);

    if (err == QUDAG_OK) {
        snprintf(now.text, sizeof now.text, "%s|%s", name, protocols);
    }
    return err;
}

static qudag_err table(qudag_node *n, const qudag_peer_id *id)
{
    qudag_peer_id entry;
    size_t it = 0;

    while (qudag_dht_table_next(n, &it, &entry)) {
        if (memcmp(&entry, id, sizeof entry) == 0) {
            return QUDAG_OK;
        }
    }
    return QUDAG_ENOTFOUND;
}

static qudag_err links(qudag_node *n)
{
    qudag_link_info l = QUDAG_INIT(qudag_link_info);
    size_t it = 0;

    while (qudag_link_next(n, &it, &l)) {
        char id[QUDAG_PEER_ID_TEXT_MAX], text[256];

        if (l.state != QUDAG_LINK_UP) {
            continue;
        }
        qudag_peer_id_text(&l.peer, id);
        snprintf(text, sizeof text, "%s/%s/%s/%s/%d%d/pin%d%s", id, l.inbound ? "in" : "out",
                 l.group, l.sig_remote, l.pq_kex, l.pq_auth, (int)l.pin,
                 l.relayed ? "/relayed" : "");
        add(text, strlen(text));
    }
    return QUDAG_OK;
}

static qudag_err stats(qudag_node *n)
{
    qudag_stat stat = QUDAG_INIT(qudag_stat);
    size_t it = 0;

    while (qudag_node_stat_next(n, &it, &stat)) {
        char text[96];

        if (stat.value > 0) {
            snprintf(text, sizeof text, "%s=%llu", stat.name, (unsigned long long)stat.value);
            add(text, strlen(text));
        }
    }
    return QUDAG_OK;
}

static qudag_slice bytes(const char *text)
{
    return (qudag_slice){(const uint8_t *)text, strlen(text)};
}

/* What |verb| starts; *at_once: it is over already. */
static qudag_err start(qudag_node *n, const char *verb, const char *a, const char *b, bool *at_once)
{
    qudag_peer_id id;

    now.kind = verb;
    now.text[0] = '\0';
    if (strcmp(verb, "connect") == 0) {
        return qudag_connect(n, a, &now.op);
    }
    if (strcmp(verb, "put") == 0) {
        return qudag_dht_put(n, bytes(a), bytes(b), &now.op);
    }
    if (strcmp(verb, "get") == 0) {
        return qudag_dht_get(n, bytes(a), &now.op);
    }
    if (strcmp(verb, "provide") == 0) {
        return qudag_dht_provide(n, bytes(a), &now.op);
    }
    if (strcmp(verb, "find") == 0) {
        return qudag_dht_providers(n, bytes(a), &now.op);
    }
    if (strcmp(verb, "closest") == 0) {
        return qudag_dht_closest(n, bytes(a), &now.op);
    }
    if (strcmp(verb, "resets") == 0 || strcmp(verb, "seen") == 0) {
        *at_once = true;
        snprintf(now.text, sizeof now.text, "%llu",
                 (unsigned long long)(*verb == 'r' ? streams_resets() : streams_seen()));
        return QUDAG_OK;
    }
    if (strcmp(verb, "links") == 0) {
        *at_once = true;
        return links(n);
    }
    if (strcmp(verb, "stats") == 0) {
        *at_once = true;
        return stats(n);
    }
    qudag_err err = qudag_peer_id_parse(&id, a);
    if (err != QUDAG_OK) {
        return err;
    }
    if (strcmp(verb, "ping") == 0) {
        return qudag_ping(n, &id, &now.op);
    }
    if (strcmp(verb, "findpeer") == 0) {
        return qudag_dht_find_peer(n, &id, &now.op);
    }
    *at_once = true;
    return strcmp(verb, "agent") == 0    ? agent(n, &id)
           : strcmp(verb, "table") == 0  ? table(n, &id)
           : strcmp(verb, "hangup") == 0 ? qudag_disconnect(n, &id)
                                         : QUDAG_EINVAL;
}

static void answer(qudag_err err)
{
    if (err == QUDAG_OK) {
        say("OK", now.text);
    } else {
        say_failed(err);
    }
}

/* Runs the node until the request that was started is over. */
static qudag_err finish(qudag_node *n)
{
    now.busy = true;
    while (now.busy) {
        if (qudag_node_step(n, QUDAG_S) != QUDAG_OK) {
            exit(1);
        }
    }
    return now.err;
}

static qudag_err on_streams(qudag_node *n, const char *verb, const char *a, const char *b)
{
    struct timespec t;
    qudag_peer_id id;
    qudag_err err = strcmp(verb, "use") == 0 ? QUDAG_OK : qudag_peer_id_parse(&id, a);

    if (err != QUDAG_OK) {
        return QUDAG_EUNSUPPORTED;
    }
    err = streams_command(n, verb, &id, strtoull(b, NULL, 10));
    if (err != QUDAG_OK) {
        return err;
    }
    clock_gettime(CLOCK_MONOTONIC, &t);
    for (time_t end = t.tv_sec + STREAMS_S; streams_busy();) {
        if (qudag_node_step(n, QUDAG_S) != QUDAG_OK) {
            exit(1);
        }
        clock_gettime(CLOCK_MONOTONIC, &t);
        if (t.tv_sec > end) {
            streams_give_up(n);
        }
    }
    return streams_result(now.text);
}

static qudag_err handshakes(qudag_node *n, const char *address, unsigned long many)
{
    const char *text = strrchr(address, '/');
    qudag_err err = QUDAG_OK;
    struct timespec t, from;
    qudag_peer_id id;

    if (text == NULL || qudag_peer_id_parse(&id, text + 1) != QUDAG_OK) {
        return QUDAG_EINVAL;
    }
    now.kind = "handshakes";
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (unsigned long i = 0; i < many && err == QUDAG_OK; i++) {
        err = qudag_connect(n, address, &now.op);
        if (err == QUDAG_OK) {
            err = finish(n);
        }
        if (err == QUDAG_OK) {
            err = qudag_disconnect(n, &id);
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &t);
    snprintf(now.text, sizeof now.text, "%lld",
             (long long)(t.tv_sec - from.tv_sec) * 1000000 + (t.tv_nsec - from.tv_nsec) / 1000);
    return err;
}

/* Has a place kept at |relay|, and waits for it. */
static qudag_err reserve(qudag_node *n, const char *relay)
{
    qudag_err err = qudag_relay_reserve(n, relay);
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    for (time_t end = t.tv_sec + RESERVE_S; err == QUDAG_OK && t.tv_sec < end;) {
        qudag_place place = QUDAG_INIT(qudag_place);
        size_t it = 0;

        if (qudag_place_next(n, &it, &place) && place.left > 0 && place.addr[0] != '\0') {
            snprintf(now.text, sizeof now.text, "%s", place.addr);
            return QUDAG_OK;
        }
        err = qudag_node_step(n, 20 * QUDAG_MS);
        clock_gettime(CLOCK_MONOTONIC, &t);
    }
    return err == QUDAG_OK ? QUDAG_ETIMEOUT : err;
}

/* One command line; false: quit. */
static bool command(qudag_node *n, char *line)
{
    char *save = NULL;
    const char *verb = strtok_r(line, " \n", &save);
    const char *a = strtok_r(NULL, " \n", &save);
    const char *b = strtok_r(NULL, " \n", &save);
    bool at_once = false;

    if (verb == NULL || strcmp(verb, "quit") == 0) {
        return false;
    }
    a = a != NULL ? a : "";
    b = b != NULL ? b : "";
    if (strcmp(verb, "handshakes") == 0) {
        answer(handshakes(n, a, strtoul(b, NULL, 10)));
        return true;
    }
    if (strcmp(verb, "reserve") == 0) {
        answer(reserve(n, a));
        return true;
    }
    qudag_err err = on_streams(n, verb, a, b);
    if (err == QUDAG_EUNSUPPORTED) {
        err = start(n, verb, a, b, &at_once);
        err = err == QUDAG_OK && !at_once ? finish(n) : err;
    }
    answer(err);
    return true;
}

static int serve(qudag_node *n)
{
    static char buf[OP_TEXT_MAX];
    size_t len = 0;

    for (;;) {
        qudag_ns wait = qudag_node_timeout(n);
        struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = qudag_node_fd(n), .events = POLLIN}};
        ssize_t got;
        char *end;

        (void)poll(fds, 2, wait > QUDAG_S ? 1000 : (int)(wait / QUDAG_MS) + 1);
        if (qudag_node_step(n, 0) != QUDAG_OK) {
            return 1;
        }
        if (fds[0].revents == 0) {
            continue;
        }
        got = read(STDIN_FILENO, buf + len, sizeof buf - 1 - len);
        if (got <= 0) {
            return 0;
        }
        len += (size_t)got;
        buf[len] = '\0';
        while ((end = strchr(buf, '\n')) != NULL) {
            size_t used = (size_t)(end - buf) + 1;

            *end = '\0';
            if (!command(n, buf)) {
                return 0;
            }
            memmove(buf, buf + used, len - used + 1);
            len -= used;
        }
    }
}

static qudag_pq pq_of(const char *text)
{
    return strcmp(text, "off") == 0      ? QUDAG_PQ_OFF
           : strcmp(text, "prefer") == 0 ? QUDAG_PQ_PREFER
                                         : QUDAG_PQ_REQUIRE;
}

/* The same keys each time FILE is named; made when it is not there. */
static qudag_err identity(qudag_identity **out, const char *file)
{
    uint8_t saved[QUDAG_IDENTITY_LEN];
    FILE *f = file != NULL ? fopen(file, "rb") : NULL;
    qudag_err err;

    if (f != NULL) {
        size_t got = fread(saved, 1, sizeof saved, f);

        fclose(f);
        return qudag_identity_load(out, (qudag_slice){saved, got});
    }
    err = qudag_identity_generate(out);
    if (err == QUDAG_OK && file != NULL && (f = fopen(file, "wb")) != NULL) {
        qudag_identity_save(*out, saved);
        (void)fwrite(saved, 1, sizeof saved, f);
        fclose(f);
    }
    return err;
}

static qudag_err read_options(qudag_settings *s, const char **ns, const char **seed, int argc,
                              char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--pq") == 0) {
            s->pq = pq_of(argv[i + 1]);
            s->relay = s->pq != QUDAG_PQ_OFF;
        } else if (strcmp(argv[i], "--dht") == 0) {
            s->dht_protocol = argv[i + 1];
        } else if (strcmp(argv[i], "--level") == 0) {
            s->security_level = (uint16_t)strtoul(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--ns") == 0) {
            *ns = argv[i + 1];
            s->open_namespaces = ns;
            s->open_namespaces_n = 1;
        } else if (strcmp(argv[i], "--seed") == 0) {
            *seed = argv[i + 1];
        } else if (strcmp(argv[i], "--relay") == 0) {
            s->circuit_relay = strcmp(argv[i + 1], "yes") == 0 ? QUDAG_SERVE_YES : QUDAG_SERVE_NO;
            s->circuit_relay_bytes = 0; /* as the relays of the others here */
            s->circuit_relay_time = 0;
            s->circuit_relay_stranger_bytes = 0;
            s->circuit_relay_stranger_time = 0;
            s->circuit_relay_rate = s->circuit_relay_rate_peer = s->circuit_relay_rate_circuit = 0;
        } else if (strcmp(argv[i], "--reachable") == 0) {
            s->reachable =
                strcmp(argv[i + 1], "yes") == 0 ? QUDAG_REACHABLE_YES : QUDAG_REACHABLE_NO;
        } else if (strcmp(argv[i], "--idle") == 0) {
            s->idle_timeout = strtoull(argv[i + 1], NULL, 10) * QUDAG_S;
        } else if (strcmp(argv[i], "--port") != 0 && strcmp(argv[i], "--listen") != 0) {
            return QUDAG_EINVAL;
        }
    }
    return QUDAG_OK;
}

int main(int argc, char **argv)
{
    static char where[256] = "/ip4/127.0.0.1/udp/0/quic-v1";
    const char *listen[QUDAG_LISTEN_MAX];
    const char *ns = NULL, *seed = NULL;
    qudag_callbacks cb = {.size = sizeof(cb), .op_done = on_done};
    qudag_identity *id = NULL;
    qudag_node *n = NULL;
    char text[QUDAG_ADDR_TEXT_MAX];
    qudag_peer_id self;
    qudag_settings s;
    char *rest = NULL;
    size_t it = 0;
    int status = 1;

    QUDAG_SETTINGS_INIT(&s);
    s.listen = listen;
    s.lab = true;
    s.log = on_log;
    s.log_level = QUDAG_LOG_DEBUG;
    s.streams_per_peer = QUDAG_LIMIT_MAX(streams_per_peer);
    streams_callbacks(&cb);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--port") == 0) {
            snprintf(where, sizeof where, "/ip4/127.0.0.1/udp/%.5s/quic-v1", argv[i + 1]);
        } else if (strcmp(argv[i], "--listen") == 0) {
            snprintf(where, sizeof where, "%s", argv[i + 1]);
        }
    }
    for (char *a = strtok_r(where, ",", &rest); a != NULL && s.listen_n < QUDAG_LISTEN_MAX;
         a = strtok_r(NULL, ",", &rest)) {
        listen[s.listen_n++] = a;
    }
    qudag_err err = read_options(&s, &ns, &seed, argc, argv);
    if (err == QUDAG_OK) {
        err = identity(&id, seed);
    }
    s.identity = id;
    if (err == QUDAG_OK) {
        err = qudag_node_new(&n, &s, &cb, NULL);
    }
    if (err == QUDAG_OK) {
        err = streams_serve(n);
    }
    if (err == QUDAG_OK) {
        err = qudag_node_start(n);
    }
    if (err == QUDAG_OK) {
        qudag_node_peer_id(n, &self);
        qudag_peer_id_text(&self, text);
        say("PEER", text);
        while (qudag_node_addr_next(n, &it, text)) {
            say("ADDR", text);
        }
        say("READY", "");
        status = serve(n);
    } else {
        say_failed(err);
    }
    qudag_node_free(n);
    qudag_identity_free(id);
    return status;
}
