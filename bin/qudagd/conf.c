/*
 * conf.c - reads qudag.conf strictly.
 *
 *   file ─ inih ─▶ section, key, value ─▶ row of the table ─▶ value checked by type and range
 *
 * inih does not pass the line number to its handler, so it is given a reader that counts lines.
 */
#include "conf.h"

#include <qudag/peer.h>
#include <qudag/proxy.h>

#include "common/fileio.h"
#include "logrules.h"

#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define CONF_MAX (1 << 20) /* bytes of a configuration that is changed */

/* Where a key goes in qudag_settings. */
#define INTO(field)                                                                                \
    .at = offsetof(qudag_settings, field), .width = sizeof(((qudag_settings *)0)->field)
#define LIVE .live = true
/* A number of the library's, with the range and the words the library has for it. */
#define NUMBER(kind, field)                                                                        \
    .type = (kind), .min = QUDAG_LIMIT_MIN(field), .max = QUDAG_LIMIT_MAX(field),                  \
    .def = QUDAG_LIMIT_DEFAULT(field), .unit = QUDAG_LIMIT_UNIT(field),                            \
    .help = QUDAG_LIMIT_HELP(field), INTO(field)
#define WORDS(default_word, list) .type = CONF_WORD, .unset = (default_word), .words = (list)
#define SWITCH(default_word) .type = CONF_BOOL, .unset = (default_word)
#define TEXT(shortest, longest) .type = CONF_TEXT, .min = (shortest), .max = (longest)
#define LIST(count, longest) .type = CONF_LIST, .min = 1, .max = (longest), .most = (count)

const struct conf_row conf_table[CONF_KEYS] = {
    [CONF_LISTEN] = {"node", "listen", LIST(QUDAG_LISTEN_MAX, 150), INTO(listen),
                     .unset = "/ip4/0.0.0.0/udp/4433/quic-v1, /ip6/::/udp/4433/quic-v1, "
                              "/ip4/0.0.0.0/tcp/4433, /ip6/::/tcp/4433",
                     .help =
                         "Addresses to listen on, QUIC (udp/PORT/quic-v1) and TCP (tcp/PORT); port "
                         "0 takes any free one.  At most 8, one per line.  A wildcard of an IP "
                         "version that this machine lacks is left out."},
    [CONF_ANNOUNCE] = {"node", "announce", LIST(QUDAG_LISTEN_MAX, 150), INTO(announce), .unset = "",
                       .help =
                           "Addresses that others are told instead of those the node finds out, as "
                           "of a forwarded port; at most 8, one per line."},
    [CONF_BOOTSTRAP] = {"node", "bootstrap", LIST(QUDAG_BOOTSTRAP_MAX, QUDAG_ADDR_TEXT_MAX - 1),
                        INTO(bootstrap), .unset = "",
                        .help =
                            "Peers to join the network through: multiaddr with /p2p/ID, and #HASH "
                            "of the peer's ML-DSA-65 key if known.  Names (/dns4, /dns6, /dns, "
                            "/dnsaddr) are asked for at each attempt."},
    [CONF_AGENT] = {"node", "agent", TEXT(0, QUDAG_AGENT_LEN_MAX), INTO(agent), .unset = "",
                    .help = "Agent string sent to peers; empty: qudag, without a version."},
    [CONF_MEMORY_MAX] = {"node", "memory_max", NUMBER(CONF_SIZE, memory_max),
                         .scaled = "a quarter of this machine's memory, from 64M to 1G"},
    [CONF_SHUTDOWN] = {"node", "shutdown_s", .type = CONF_INT, .min = 0, .max = 3600, .def = 10,
                       .unit = "s",
                       .help = "When the daemon is to end, what runs (transfers, connections, "
                               "requests) gets so long to end by itself; nothing new is taken.",
                       LIVE},
    [CONF_PQ] = {"link", "pq", WORDS("require", "require|prefer|off"), INTO(pq),
                 .help =
                     "Post-quantum key exchange and authentication: require it, prefer it, or go "
                     "without."},
    [CONF_LEVEL] = {"link", "security_level", WORDS("768", "768|1024"), INTO(security_level),
                    .help =
                        "Key exchange of links: 768 is X25519MLKEM768, 1024 SecP384r1MLKEM1024."},
    [CONF_CIPHER] = {"link", "cipher", WORDS("auto", "auto|chacha20|aes256"), INTO(cipher),
                     .help = "Cipher of links; auto: the fastest on this processor."},
    [CONF_IDLE_TIMEOUT] = {"link", "idle_timeout_s", NUMBER(CONF_INT, idle_timeout), LIVE},
    [CONF_DIAL_TIMEOUT] = {"link", "dial_timeout_s", NUMBER(CONF_INT, dial_timeout), LIVE},
    [CONF_HANDSHAKE_TIMEOUT] = {"link", "handshake_timeout_s", NUMBER(CONF_INT, handshake_timeout),
                                LIVE},
    [CONF_NEGOTIATE_TIMEOUT] = {"link", "negotiate_timeout_s", NUMBER(CONF_INT, negotiate_timeout),
                                LIVE},
    [CONF_KEEPALIVE] = {"link", "keepalive_s", NUMBER(CONF_INT, keepalive), LIVE},
    [CONF_LINKS_MAX] = {"link", "links_max", NUMBER(CONF_INT, links_max),
                        .scaled = "one for each 256K of memory_max, from 64 to 4096"},
    [CONF_LINKS_HIGH] = {"link", "links_high", NUMBER(CONF_INT, links_high)},
    [CONF_LINKS_LOW] = {"link", "links_low", NUMBER(CONF_INT, links_low)},
    [CONF_LINKS_GRACE] = {"link", "links_grace_s", NUMBER(CONF_INT, links_grace)},
    [CONF_NETWORK_SHARE] = {"link", "network_share", NUMBER(CONF_INT, network_share)},
    [CONF_STREAMS_PER_PEER] = {"link", "streams_per_peer", NUMBER(CONF_INT, streams_per_peer)},
    [CONF_KEEP] = {"peers", "keep", LIST(QUDAG_KEEP_MAX, QUDAG_ADDR_TEXT_MAX - 1), INTO(keep),
                   .unset = "",
                   .help =
                       "Peers with which a link stands at all times: peer id, or multiaddr with "
                       "/p2p/ID and, if known, #HASH of its ML-DSA-65 key."},
    [CONF_RESERVE_AT] =
        {"peers", "reserve_at", LIST(QUDAG_RESERVE_MAX, QUDAG_ADDR_TEXT_MAX - 1), INTO(reserve_at),
         .unset = "",
         .help = "Circuit relays at which places are kept, so that peers who cannot "
                 "dial this node reach it through them: multiaddr with /p2p/ID and, if "
                 "known, #HASH, or peer id."},
    [CONF_REACHABLE] = {"nat", "reachable", WORDS("auto", "auto|yes|no"), INTO(reachable),
                        .help =
                            "Whether peers are to reach this node: others try its addresses, and "
                            "those that answer are told.  auto: where it serves others, or a "
                            "program serves peers; no: nothing is told but [node] announce."},
    [CONF_PORT_MAPPING] = {"nat", "port_mapping", SWITCH("yes"), INTO(port_mapping),
                           .help =
                               "Ask the router (PCP, NAT-PMP, UPnP) to open the ports that are "
                               "listened at, where peers are to reach this node and need that."},
    [CONF_FIND_RELAYS] = {"nat", "relays", WORDS("auto", "auto|no"), INTO(find_relays),
                          .help = "Circuit relays that keep places for this node are chosen by "
                                  "itself while peers are to reach it and nobody can dial it; no: "
                                  "only those of [peers] reserve_at."},
    [CONF_MEET] = {"nat", "meet", WORDS("named", "named|anyone|no"), INTO(meet),
                   .help = "Which peers are told where this node is when a relay connects them "
                           "with it, so that a direct link is found.  named: those a program "
                           "named or speaks with."},
    [CONF_CIRCUIT_RELAY] = {"circuit_relay", "serve", WORDS("auto", "no|yes|auto"),
                            INTO(circuit_relay),
                            .help =
                                "Pass on bytes of peers that cannot dial each other; this "
                                "node learns who talks to whom, when and how much, not what.  "
                                "auto: while others can dial it, unless it only uses circuits."},
    [CONF_CIRCUIT_RELAY_PLACES] = {"circuit_relay", "places",
                                   NUMBER(CONF_INT, circuit_relay_places)},
    [CONF_CIRCUIT_RELAY_CIRCUITS] = {"circuit_relay", "circuits",
                                     NUMBER(CONF_INT, circuit_relay_circuits)},
    [CONF_CIRCUIT_RELAY_TIME] = {"circuit_relay", "time_s", NUMBER(CONF_INT, circuit_relay_time)},
    [CONF_CIRCUIT_RELAY_BYTES] = {"circuit_relay", "bytes", NUMBER(CONF_SIZE, circuit_relay_bytes)},
    [CONF_CIRCUIT_RELAY_RATE] = {"circuit_relay", "rate", NUMBER(CONF_SIZE, circuit_relay_rate)},
    [CONF_CIRCUIT_RELAY_RATE_PEER] = {"circuit_relay", "rate_peer",
                                      NUMBER(CONF_SIZE, circuit_relay_rate_peer)},
    [CONF_CIRCUIT_RELAY_RATE_CIRCUIT] = {"circuit_relay", "rate_circuit",
                                         NUMBER(CONF_SIZE, circuit_relay_rate_circuit)},
    [CONF_CIRCUIT_RELAY_STRANGER_TIME] = {"circuit_relay", "stranger_time_s",
                                          NUMBER(CONF_INT, circuit_relay_stranger_time)},
    [CONF_CIRCUIT_RELAY_STRANGER_BYTES] = {"circuit_relay", "stranger_bytes",
                                           NUMBER(CONF_SIZE, circuit_relay_stranger_bytes)},
    [CONF_DHT_PROTOCOL] = {"dht", "protocol", TEXT(0, QUDAG_PROTOCOL_LEN_MAX), INTO(dht_protocol),
                           .unset = "",
                           .help =
                               "DHT protocol id; nodes with different ids form separate networks; "
                               "empty: /qudag/kad/1.0.0, in a lab /qudag-lab/kad/1.0.0."},
    [CONF_DHT_SERVER] = {"dht", "server", SWITCH("yes"), INTO(dht_server),
                         .help = "Store records for others and answer their requests."},
    [CONF_OPEN_NAMESPACES] = {"dht", "open_namespaces",
                              LIST(QUDAG_NAMESPACES_MAX, QUDAG_NAMESPACE_LEN),
                              INTO(open_namespaces), .unset = "app",
                              .help = "Namespaces whose records may hold any unsigned value."},
    [CONF_QUERY_TIMEOUT] = {"dht", "query_timeout_s", NUMBER(CONF_INT, query_timeout), LIVE},
    [CONF_DHT_STORE] = {"dht", "store", SWITCH("yes"),
                        .help =
                            "Persist what is stored for others and what is republished, so that "
                            "it survives a restart."},
    [CONF_DHT_STORE_DIR] = {"dht", "store_dir", TEXT(0, 1000), .unset = "",
                            .help = "Folder of the store; empty: store in the state folder."},
    [CONF_DHT_RECORDS_MAX] = {"dht", "records_max", NUMBER(CONF_INT, dht_records_max)},
    [CONF_DHT_BYTES_MAX] = {"dht", "bytes_max", NUMBER(CONF_SIZE, dht_bytes_max)},
    [CONF_DHT_PROVIDERS_MAX] = {"dht", "providers_max", NUMBER(CONF_INT, dht_providers_max)},
    [CONF_HOPS] = {"onion", "hops", NUMBER(CONF_INT, hops)},
    [CONF_CLEAN_CIRCUITS] = {"onion", "clean_circuits", NUMBER(CONF_INT, clean_circuits)},
    [CONF_BUILD_TIMEOUT] = {"onion", "build_timeout_s", NUMBER(CONF_INT, build_timeout), LIVE},
    [CONF_RELAY] = {"onion", "relay", SWITCH("yes"), INTO(relay),
                    .help = "Relay circuits for others."},
    [CONF_FAMILY] = {"onion", "family", TEXT(0, QUDAG_FAMILY_LEN_MAX), INTO(family), .unset = "",
                     .help = "Name that all relays of one operator share: no circuit uses two of "
                             "them.  Others see only its hash; empty: none."},
    [CONF_CIRCUITS_MAX] = {"onion", "circuits_max", NUMBER(CONF_INT, circuits_max)},
    [CONF_SMALL_NETWORK] = {"onion", "small_network", SWITCH("no"), INTO(small_network), LIVE,
                            .help = "Use circuits although the network has fewer than 60 relays "
                                    "in 20 networks, and so hides nobody."},
    [CONF_PADDING] = {"onion", "padding", WORDS("yes", "yes|reduced|no"), INTO(padding),
                      .help =
                          "Padding of silent links to guards, and of the first exchange of each "
                          "circuit; reduced: the former less often and for less long."},
    [CONF_DARK_DELAY_MS] = {"dark", "delay_ms", NUMBER(CONF_INT, dark_delay_ms)},
    [CONF_DARK_DUMMIES] = {"dark", "dummies", NUMBER(CONF_INT, dark_dummies)},
    [CONF_DARK_WORK_MAX] = {"dark", "work_max", NUMBER(CONF_INT, dark_work_max)},
    [CONF_DARK_HIDE_CACHE] =
        {"dark", "hide_cache", SWITCH("yes"), INTO(dark_hide_cache),
         .help = "What one user looked up is answered to another as late as a lookup of "
                 "his own would be, so that the time tells nothing."},
    [CONF_LOG_LEVEL] = {"log", "level", WORDS("info", "error|warn|info|debug"), INTO(log_level),
                        LIVE, .help = "Minimum severity to log."},
    [CONF_LOG_LEVELS] = {"log", "levels", LIST(CONF_LIST_MAX, 24), LIVE, .unset = "",
                         .help =
                             "Levels of areas that differ from it, as kad=debug, link=warn.  The "
                             "area is what a line's event begins with, up to the dot; qudag log "
                             "level changes them while the daemon runs."},
    [CONF_LOG_NETWORK] = {"log", "network", SWITCH("no"), LIVE,
                          .help = "Write addresses and peer ids to the log."},
    [CONF_LOG_FILE] = {"log", "file", TEXT(0, 1023), .unset = "", LIVE,
                       .help = "Log file; empty: standard error."},
    [CONF_INBOX_DIR] = {"inbox", "dir", TEXT(0, 1023), .unset = "",
                        .help = "Where received messages and files go; empty: inbox in the state "
                                "folder."},
    [CONF_INBOX_SIZE_MAX] =
        {"inbox", "size_max", CONF_SIZE, 0, INT64_MAX, "10G", "bytes",
         .help = "Total inbox size limit; 0 disables receiving, and senders are told so."},
    [CONF_INBOX_FILE_MAX] = {"inbox", "file_max", CONF_SIZE, 0, INT64_MAX, "4G", "bytes",
                             .help = "Largest file accepted."},
    [CONF_INBOX_FROM] =
        {"inbox", "from", LIST(CONF_LIST_MAX, QUDAG_PEER_ID_TEXT_MAX - 1), .unset = "",
         .help = "Peer ids that may send over links, not anonymously, beside those of qudag peer "
                 "allow.  With one, the DHT and circuit relays lead to this node."},
    [CONF_PROXY_LISTEN] =
        {"proxy", "listen", TEXT(3, QUDAG_PROXY_LISTEN_TEXT_MAX - 1), .unset = "auto",
         .help = "Where the proxy for browsers and other programs listens, SOCKS5 and HTTP on one "
                 "port, for every user of this machine; auto: " QUDAG_PROXY_LISTEN_DEFAULT " if "
                 "free, in a lab any free port; off: nowhere."},
    [CONF_PROXY_REMOTE] = {"proxy", "remote", SWITCH("no"),
                           .help = "The proxy may listen on an address that other machines reach; "
                                   "all of them can use it then."},
    [CONF_PROXY_CONNECTIONS] = {"proxy", "connections_max", CONF_INT, 8,
                                QUDAG_PROXY_CONNECTIONS_MAX, "512", "connections",
                                .scaled = "512, or a quarter of the file descriptors if that is "
                                          "less",
                                .help = "Connections to the proxy at once; one user of the machine "
                                        "gets about half of them."},
    [CONF_USER] = {"process", "user", TEXT(0, 32), .unset = "",
                   .help = "User that a daemon started by root becomes before it reads a key; "
                           "empty: it stays who started it."},
    [CONF_SANDBOX] = {"process", "sandbox", WORDS("auto", "auto|yes|no"),
                      .help = "Give up programs, other folders and the system calls that a node "
                              "does not use; auto: where the kernel can, yes: or end."},
    [CONF_LOCK_MEMORY] = {"process", "lock_memory", WORDS("auto", "auto|yes|no"),
                          .help = "Keep all memory out of the swap; auto: where the limit of "
                                  "locked memory is infinite, yes: or end."},
    [CONF_METRICS_LISTEN] =
        {"metrics", "listen", TEXT(3, 120), .unset = "off",
         .help = "Where Prometheus reads the metrics, at /metrics: 127.0.0.1:PORT, [::1]:PORT or "
                 "unix:/PATH, never an address that other machines reach; off: nowhere.  Every "
                 "user of this machine can read them."},
    [CONF_METRICS_WEB] = {"metrics", "web", SWITCH("no"),
                          .help =
                              "A page for browsers is there, too, at /: state, links, circuits, "
                              "resources, refusals and the last hour, without names of peers."},
    [CONF_LAB] = {"lab", "lab", SWITCH("no"), INTO(lab),
                  .help =
                      "Test network: relays may have private addresses and be in one network, and "
                      "the log may contain everything.  NO ANONYMITY."},
};

static char *copy_text(const char *base, size_t len)
{
    char *out = malloc(len + 1);
    if (out != NULL) {
        memcpy(out, base, len);
        out[len] = 0;
    }
    return out;
}

static void clear(struct conf_value *v)
{
    for (size_t ix = 0; ix < v->n; ix++) {
        free(v->list[ix]);
    }
    free(v->text);
    *v = (struct conf_value){0};
}

/* Which of "a|b|c" |value| is, or -1. */
static int64_t word_ix(const char *words, const char *value)
{
    size_t len = strlen(value);
    for (int64_t ix = 0; *words != 0; ix++) {
        size_t n = strcspn(words, "|");
        if (n == len && strncasecmp(words, value, n) == 0) {
            return ix;
        }
        words += n + (words[n] == '|');
    }
    return -1;
}

static bool parse_int(const char *value, bool suffix, int64_t *out)
{
    char *end;
    errno = 0;
    long long n = strtoll(value, &end, 10);
    if (errno != 0 || end == value) {
        return false;
    }
    int shift = 0;
    if (suffix && *end != 0) {
        const char *units = "kmgt", *at = strchr(units, *end | 0x20);
        if (at == NULL || *at == 0) {
            return false;
        }
        shift = 10 * (int)(at - units + 1);
        end++;
        if (end[0] == 'i' && end[1] == 'B') {
            end += 2;
        }
    }
    if (*end != 0 || (shift != 0 && (n < 0 || n > (INT64_MAX >> shift)))) {
        return false;
    }
    *out = (int64_t)n * ((int64_t)1 << shift); /* shift is 0 where n is negative */
    return true;
}

static void keep_fault(const char *one, char *why, size_t why_len)
{
    qudag_peer_id id;
    if (one[0] == '/') {
        if (qudag_multiaddr_parse(NULL, one, QUDAG_ADDR_BOOTSTRAP, why, why_len) == QUDAG_OK) {
            why[0] = 0;
        }
    } else if (qudag_peer_id_parse(&id, one) != QUDAG_OK) {
        (void)snprintf(why, why_len, "%.100s: neither a peer id nor a multiaddr with /p2p/ID; %s",
                       one, QUDAG_PEER_ID_FORM);
    }
}

static void from_fault(const char *one, char *why, size_t why_len)
{
    qudag_peer_id id;
    if (qudag_peer_id_parse(&id, one) != QUDAG_OK) {
        (void)snprintf(why, why_len, "%.100s: not a peer id; %s", one, QUDAG_PEER_ID_FORM);
    }
}

/* What is wrong with one value of a list, as a sentence that begins with the value; empty: nothing. */
static void fault_of(enum conf_key key, const char *one, char *why, size_t why_len)
{
    qudag_addr_use use = key == CONF_LISTEN     ? QUDAG_ADDR_LISTEN
                         : key == CONF_ANNOUNCE ? QUDAG_ADDR_DIAL
                                                : QUDAG_ADDR_BOOTSTRAP;
    char area[LOG_AREA_LEN];
    qudag_log_level level;

    why[0] = 0;
    if (one == NULL) {
        (void)snprintf(why, why_len, "out of memory");
    } else if ((key == CONF_LISTEN || key == CONF_ANNOUNCE || key == CONF_BOOTSTRAP) &&
               qudag_multiaddr_parse(NULL, one, use, why, why_len) == QUDAG_OK) {
        why[0] = 0;
    } else if (key == CONF_INBOX_FROM) {
        from_fault(one, why, why_len);
    } else if (key == CONF_KEEP || key == CONF_RESERVE_AT) {
        keep_fault(one, why, why_len);
    } else if (key == CONF_LOG_LEVELS && log_area_parse(one, area, &level, why, why_len)) {
        why[0] = 0;
    }
}

static bool add_one(struct conf *c, enum conf_key key, const char *value, size_t len,
                    const char *where)
{
    const struct conf_row *row = &conf_table[key];
    struct conf_value *v = &c->v[key];
    char why[LOG_WHY_LEN];
    if (v->n == row->most) {
        (void)snprintf(c->why, sizeof(c->why), "%s: [%s] %s: more than %zu values", where,
                       row->section, row->key, row->most);
        return false;
    }
    if (len > (size_t)row->max) {
        (void)snprintf(c->why, sizeof(c->why), "%s: [%s] %s: a value of %zu characters, at most %d",
                       where, row->section, row->key, len, (int)row->max);
        return false;
    }
    char *one = copy_text(value, len);
    fault_of(key, one, why, sizeof(why));
    if (why[0] != 0) {
        (void)snprintf(c->why, sizeof(c->why), "%s: [%s] %s: %s", where, row->section, row->key,
                       why);
        free(one);
        return false;
    }
    v->list[v->n++] = one;
    return true;
}

static bool add_list(struct conf *c, enum conf_key key, const char *value, const char *where)
{
    while (*value != 0) {
        value += strspn(value, ", \t");
        size_t len = strcspn(value, ", \t");
        if (len > 0 && !add_one(c, key, value, len, where)) {
            return false;
        }
        value += len;
    }
    return true;
}

static bool set_num(struct conf *c, enum conf_key key, const char *value, const char *where)
{
    const struct conf_row *row = &conf_table[key];
    int64_t n = -1;
    if (row->type == CONF_WORD) {
        n = word_ix(row->words, value);
        if (n < 0) {
            (void)snprintf(c->why, sizeof(c->why), "%s: [%s] %s: %.60s is none of %s", where,
                           row->section, row->key, value, row->words);
            return false;
        }
    } else if (row->type == CONF_BOOL) {
        n = word_ix("no|yes|false|true|off|on|0|1", value);
        if (n < 0) {
            (void)snprintf(c->why, sizeof(c->why), "%s: [%s] %s: %.60s is neither yes nor no",
                           where, row->section, row->key, value);
            return false;
        }
        n &= 1;
    } else if (!parse_int(value, row->type == CONF_SIZE, &n)) {
        (void)snprintf(c->why, sizeof(c->why), "%s: [%s] %s: %.60s is not a number%s", where,
                       row->section, row->key, value,
                       row->type == CONF_SIZE ? " of bytes (as 500, 64K, 10M, 2G)" : "");
        return false;
    } else if (n < row->min || n > row->max) {
        (void)snprintf(c->why, sizeof(c->why), "%s: [%s] %s: %.60s is not within %lld to %lld %s",
                       where, row->section, row->key, value, (long long)row->min,
                       (long long)row->max, row->unit);
        return false;
    }
    c->v[key].num = n;
    return true;
}

static bool set(struct conf *c, enum conf_key key, const char *value, enum conf_source source,
                const char *where)
{
    const struct conf_row *row = &conf_table[key];
    struct conf_value *v = &c->v[key];
    if (v->source != source || row->type != CONF_LIST) {
        clear(v);
    }
    v->source = source;
    switch (row->type) {
    case CONF_LIST:
        return add_list(c, key, value, where);
    case CONF_TEXT:
        if (strlen(value) > (size_t)row->max || (*value != 0 && strlen(value) < (size_t)row->min)) {
            (void)snprintf(c->why, sizeof(c->why), "%s: [%s] %s: must have %d to %d characters",
                           where, row->section, row->key, (int)row->min, (int)row->max);
            return false;
        }
        v->text = copy_text(value, strlen(value));
        return v->text != NULL;
    case CONF_INT:
    case CONF_BOOL:
    case CONF_WORD:
    case CONF_SIZE:
        break;
    }
    return set_num(c, key, value, where);
}

bool conf_init(struct conf *c)
{
    *c = (struct conf){0};
    for (int ix = 0; ix < CONF_KEYS; ix++) {
        char number[32];
        if (!set(c, (enum conf_key)ix, conf_default(&conf_table[ix], number, sizeof(number)),
                 CONF_UNSET, "default")) {
            conf_fini(c);
            return false;
        }
    }
    return true;
}

void conf_fini(struct conf *c)
{
    for (int ix = 0; ix < CONF_KEYS; ix++) {
        clear(&c->v[ix]);
    }
}

/* The key of that name; CONF_KEYS: c->why says what might have been meant. */
static enum conf_key find(struct conf *c, const char *section, const char *key, const char *where)
{
    const char *names[CONF_KEYS], *near = NULL;
    size_t n = 0, sections = 0;
    for (int ix = 0; ix < CONF_KEYS; ix++) {
        if (strcmp(conf_table[ix].section, section) != 0) {
            continue;
        }
        if (strcmp(conf_table[ix].key, key) == 0) {
            return (enum conf_key)ix;
        }
        names[n++] = conf_table[ix].key;
    }
    if (n > 0) {
        near = text_nearest(key, names, n);
        (void)snprintf(c->why, sizeof(c->why), "%s: [%s] has no key %.60s%s%s%s", where, section,
                       key, near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
                       near == NULL ? "" : "?");
        for (int ix = 0; near == NULL && ix < CONF_KEYS; ix++) {
            if (strcmp(conf_table[ix].key, key) == 0) {
                (void)snprintf(c->why, sizeof(c->why), "%s: [%s] has no key %.60s; it is in [%s]",
                               where, section, key, conf_table[ix].section);
            }
        }
        return CONF_KEYS;
    }
    for (int ix = 0; ix < CONF_KEYS; ix++) {
        if (ix == 0 || strcmp(conf_table[ix].section, conf_table[ix - 1].section) != 0) {
            names[sections++] = conf_table[ix].section;
        }
    }
    if (section[0] == 0) {
        (void)snprintf(c->why, sizeof(c->why), "%s: %.60s is outside any [section]", where, key);
        return CONF_KEYS;
    }
    near = text_nearest(section, names, sections);
    (void)snprintf(c->why, sizeof(c->why), "%s: there is no section [%.60s]%s%s%s", where, section,
                   near == NULL ? "" : "; did you mean [", near == NULL ? "" : near,
                   near == NULL ? "" : "]?");
    return CONF_KEYS;
}

/* What inih hands around while a file is read. */
struct reading {
    struct conf *c;
    FILE *file;
    const char *path;
    int line;
    bool failed;
};

static char *next_line(char *to, int room, void *stream)
{
    struct reading *r = stream;
    char *got = r->failed ? NULL : fgets(to, room, r->file);
    if (got == NULL) {
        return NULL;
    }
    r->line++;
    if (strchr(got, '\n') == NULL && !feof(r->file)) {
        (void)snprintf(r->c->why, sizeof(r->c->why),
                       "%s:%d: a line of more than %d characters; give a list as several lines",
                       r->path, r->line, room - 2);
        r->failed = true;
        return NULL;
    }
    return got;
}

static int handle(void *user, const char *section, const char *key, const char *value)
{
    struct reading *r = user;
    char where[PATH_LEN + 16];
    (void)snprintf(where, sizeof(where), "%.300s:%d", r->path, r->line);
    if (r->failed) {
        return 0;
    }
    enum conf_key k = find(r->c, section, key, where);
    if (k == CONF_KEYS || !set(r->c, k, value, CONF_FILE, where)) {
        r->failed = true;
        return 0;
    }
    r->c->v[k].line = r->line;
    return 1;
}

bool conf_read(struct conf *c, const char *path)
{
    struct reading r = {.c = c, .path = path, .file = fopen(path, "re")};
    if (r.file == NULL) {
        (void)snprintf(c->why, sizeof(c->why), "%.300s: %s", path, strerror(errno));
        return false;
    }
    int bad = ini_parse_stream(next_line, &r, handle, &r);
    if (bad != 0 && !r.failed) {
        (void)snprintf(c->why, sizeof(c->why),
                       "%.300s:%d: neither a [section], nor key = value, nor a comment", path,
                       bad > 0 ? bad : r.line);
        r.failed = true;
    }
    if (ferror(r.file) && !r.failed) {
        (void)snprintf(c->why, sizeof(c->why), "%.300s: cannot be read: %s", path, strerror(errno));
        r.failed = true;
    }
    (void)fclose(r.file);
    return !r.failed;
}

/* Where line |nth|, from 1, of |text| begins; its end if there is none. */
static size_t line_at(const char *text, int nth)
{
    const char *at = text;
    for (int ix = 1; ix < nth; ix++) {
        at += strcspn(at, "\n");
        at += *at != 0;
    }
    return (size_t)(at - text);
}

/* |text| with "key = value" in place of line |line|, or in a section at its end (0).  The caller frees it. */
static char *with_line(const char *text, const struct conf_row *row, const char *value, int line)
{
    size_t len = strlen(text), keep = line == 0 ? len : line_at(text, line);
    size_t rest = line == 0 ? len : line_at(text, line + 1), cap = len + 256 + strlen(value);
    char *all = malloc(cap);
    int n =
        all == NULL ? -1
        : line == 0
            ? snprintf(all, cap, "%s%s\n[%s]\n%s = %s\n", text,
                       len > 0 && text[len - 1] != '\n' ? "\n" : "", row->section, row->key, value)
            : snprintf(all, cap, "%.*s%s = %s\n%s", (int)keep, text, row->key, value, text + rest);
    if (n < 0 || (size_t)n >= cap) {
        free(all);
        return NULL;
    }
    return all;
}

/* Sets |row| to |value| in the file at |path|, in place of line |line| of it (0: at its end).  errno, or 0. */
static int write_line(const char *path, const struct conf_row *row, const char *value, int line)
{
    struct stat st;
    uint8_t *text = NULL;
    size_t len = 0;

    int err = stat(path, &st) != 0 ? errno : file_read(path, CONF_MAX, &text, &len);
    char *all = err != 0 ? NULL : with_line((char *)text, row, value, line);
    err = err != 0      ? err
          : all == NULL ? ENOMEM
                        : file_write_atomic(path, all, strlen(all), st.st_mode & 07777);
    free(all);
    free(text);
    return err;
}

bool conf_remember(const char *path, enum conf_key key, const char *value, char why[CONF_WHY_LEN])
{
    struct conf *now = calloc(1, sizeof *now), *want = calloc(1, sizeof *want);
    bool ok = now != NULL && want != NULL;
    int err = ok ? 0 : ENOMEM;

    if (ok) {
        ok = conf_init(now) && conf_init(want) && conf_read(now, path) &&
             set(want, key, value, CONF_FILE, path);
        (void)snprintf(why, CONF_WHY_LEN, "%s", now->why[0] != 0 ? now->why : want->why);
        bool there = now->v[key].source == CONF_FILE && now->v[key].num == want->v[key].num;
        err = ok && !there ? write_line(path, &conf_table[key], value, now->v[key].line) : 0;
        conf_fini(now);
        conf_fini(want);
    }
    if (err != 0) {
        (void)snprintf(why, CONF_WHY_LEN, "%.300s: %s", path, strerror(err));
    }
    free(now);
    free(want);
    errno = err;
    return ok && err == 0;
}

bool conf_option(struct conf *c, const char *text)
{
    char section[32], key[64];
    const char *dot = strchr(text, '.'), *equal = strchr(text, '=');
    if (dot == NULL || equal == NULL || dot > equal || (size_t)(dot - text) >= sizeof(section) ||
        (size_t)(equal - dot) > sizeof(key)) {
        (void)snprintf(c->why, sizeof(c->why), "-o %.80s: must be SECTION.KEY=VALUE", text);
        return false;
    }
    memcpy(section, text, (size_t)(dot - text));
    section[dot - text] = 0;
    memcpy(key, dot + 1, (size_t)(equal - dot - 1));
    key[equal - dot - 1] = 0;
    static const char where[] = "-o"; /* the message names section and key itself */
    enum conf_key k = find(c, section, key, where);
    return k != CONF_KEYS && set(c, k, equal + 1, CONF_OPTION, where);
}

/* Which number a word stands for: itself, or its place in the list. */
static uint64_t number_of(const struct conf_row *row, const struct conf_value *v)
{
    const char *words = row->type == CONF_WORD ? row->words : "";
    for (int64_t ix = 0; *words != 0 && ix < v->num; ix++) {
        words += strcspn(words, "|") + 1;
    }
    if (*words >= '0' && *words <= '9') {
        return strtoull(words, NULL, 10);
    }
    bool seconds = row->type == CONF_INT && strcmp(row->unit, "s") == 0;
    return (uint64_t)v->num * (seconds ? QUDAG_S : 1);
}

static void put_number(uint8_t *to, size_t width, uint64_t n)
{
    uint32_t n32 = (uint32_t)n;
    uint16_t n16 = (uint16_t)n;
    uint8_t n8 = (uint8_t)n;
    memcpy(to,
           width == 8   ? (void *)&n
           : width == 4 ? (void *)&n32
           : width == 2 ? (void *)&n16
                        : &n8,
           width);
}

void conf_settings(const struct conf *c, qudag_settings *s)
{
    for (int ix = 0; ix < CONF_KEYS; ix++) {
        const struct conf_row *row = &conf_table[ix];
        const struct conf_value *v = &c->v[ix];
        uint8_t *to = (uint8_t *)s + row->at;
        if (row->width == 0) {
            continue;
        }
        if (row->type == CONF_LIST) {
            const char *const *list = (const char *const *)v->list;
            memcpy(to, &list, sizeof(list));
            memcpy(to + sizeof(list), &v->n, sizeof(v->n));
        } else if (row->type == CONF_TEXT) {
            const char *text = v->text[0] != 0 ? v->text : NULL;
            memcpy(to, &text, sizeof(text));
        } else {
            put_number(to, row->width, number_of(row, v));
        }
    }
}
