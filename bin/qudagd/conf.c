/*
 * conf.c - reads qudag.conf strictly.
 *
 *   file ─ inih ─▶ section, key, value ─▶ row of the table ─▶ value checked by type and range
 *
 * inih does not tell the line to its handler, so it is given a reader that counts lines.
 */
#include "conf.h"

#include "common/fileio.h"

#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct conf_row conf_table[CONF_KEYS] = {
    [CONF_LISTEN] =
        {"node", "listen", CONF_LIST, 1, 150, "/ip4/0.0.0.0/udp/4433/quic-v1", "", NULL,
         "Addresses to listen on; port 0 takes any free one.  At most 8, one per line."},
    [CONF_BOOTSTRAP] = {"node", "bootstrap", CONF_LIST, 1, 383, "", "", NULL,
                        "Peers to begin with: multiaddr with /p2p/ID, and #HASH of the peer's "
                        "ML-DSA-65 key if known."},
    [CONF_AGENT] = {"node", "agent", CONF_TEXT, 0, 64, "", "", NULL,
                    "What we call ourselves to peers; empty: program and version."},
    [CONF_MEMORY_MAX] = {"node", "memory_max", CONF_SIZE, 16777216, INT64_MAX, "256M", "bytes",
                         NULL, "Memory the node may use for peers, streams and records."},
    [CONF_PQ] = {"link", "pq", CONF_WORD, 0, 0, "require", "", "require|prefer|off",
                 "Post-quantum key exchange and authentication: require it, prefer it, or go "
                 "without."},
    [CONF_LEVEL] = {"link", "security_level", CONF_WORD, 0, 0, "768", "", "512|768|1024",
                    "ML-KEM parameter set of links."},
    [CONF_CIPHER] = {"link", "cipher", CONF_WORD, 0, 0, "auto", "", "auto|chacha20|aes256",
                     "Cipher of links; auto: what this processor does best."},
    [CONF_IDLE_TIMEOUT] = {"link", "idle_timeout_s", CONF_INT, 5, 86400, "300", "s", NULL,
                           "Links without traffic are closed after this time."},
    [CONF_LINKS_MAX] = {"link", "links_max", CONF_INT, 8, 1000000, "1024", "links", NULL,
                        "Links open at the same time."},
    [CONF_DHT_PROTOCOL] = {"dht", "protocol", CONF_TEXT, 2, 95, "/qudag/kad/1.0.0", "", NULL,
                           "Name of the DHT protocol; nodes of different names do not meet."},
    [CONF_DHT_SERVER] = {"dht", "server", CONF_BOOL, 0, 0, "yes", "", NULL,
                         "Store records and answer requests of others."},
    [CONF_OPEN_NAMESPACES] = {"dht", "open_namespaces", CONF_LIST, 1, 32, "app", "", NULL,
                              "Namespaces whose records may hold anything, unsigned."},
    [CONF_DHT_STORE] = {"dht", "store", CONF_BOOL, 0, 0, "yes", "", NULL,
                        "Keep on disk what is held for others and what is published, so that it "
                        "outlives a restart."},
    [CONF_DHT_STORE_DIR] = {"dht", "store_dir", CONF_TEXT, 0, 1000, "", "", NULL,
                            "Where; empty: store in the state folder."},
    [CONF_DHT_RECORDS_MAX] = {"dht", "records_max", CONF_INT, 16, 1000000, "4096", "records", NULL,
                              "Records held for others; those farthest from this node go first."},
    [CONF_DHT_BYTES_MAX] = {"dht", "bytes_max", CONF_SIZE, 65536, INT64_C(1) << 36, "32M", "bytes",
                            NULL, "Their size in all."},
    [CONF_DHT_PROVIDERS_MAX] = {"dht", "providers_max", CONF_INT, 16, 1000000, "4096", "providers",
                                NULL, "Provider records held for others."},
    [CONF_HOPS] = {"onion", "hops", CONF_INT, 1, 7, "3", "relays", NULL, "Relays in a circuit."},
    [CONF_RELAY] = {"onion", "relay", CONF_BOOL, 0, 0, "yes", "", NULL,
                    "Carry circuits of others."},
    [CONF_CIRCUITS_MAX] = {"onion", "circuits_max", CONF_INT, 4, 1000000, "4096", "circuits", NULL,
                           "Circuits at the same time, own and carried."},
    [CONF_LOG_LEVEL] = {"log", "level", CONF_WORD, 0, 0, "info", "", "error|warn|info|debug",
                        "What is worth a line."},
    [CONF_LOG_NETWORK] = {"log", "network", CONF_BOOL, 0, 0, "no", "", NULL,
                          "Write addresses and peer ids to the log."},
    [CONF_LOG_FILE] = {"log", "file", CONF_TEXT, 0, 1023, "", "", NULL,
                       "Where the log goes; empty: standard error."},
    [CONF_INBOX_DIR] = {"inbox", "dir", CONF_TEXT, 0, 1023, "", "", NULL,
                        "Where received messages and files go; empty: inbox in the state folder."},
    [CONF_INBOX_SIZE_MAX] = {"inbox", "size_max", CONF_SIZE, 0, INT64_MAX, "10G", "bytes", NULL,
                             "All that may lie in the inbox; 0 receives nothing."},
    [CONF_INBOX_FILE_MAX] = {"inbox", "file_max", CONF_SIZE, 0, INT64_MAX, "4G", "bytes", NULL,
                             "The largest file accepted."},
    [CONF_LAB] = {"lab", "lab", CONF_BOOL, 0, 0, "no", "", NULL,
                  "Test network: relays need not be of different networks, and the log may tell "
                  "everything.  NO ANONYMITY."},
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

/* "/ip4|ip6/ADDRESS/udp/PORT/quic-v1": what is wrong with it, or NULL. */
static const char *listen_fault(const char *text)
{
    if (strncmp(text, "/ip4/", 5) != 0 && strncmp(text, "/ip6/", 5) != 0) {
        return "must begin with /ip4/ or /ip6/";
    }
    const char *udp = strstr(text, "/udp/");
    int64_t port;
    if (udp == NULL) {
        return "has no /udp/PORT";
    }
    size_t len = strcspn(udp + 5, "/");
    char digits[8];
    if (len == 0 || len >= sizeof(digits)) {
        return "has a bad port: 0 to 65535";
    }
    memcpy(digits, udp + 5, len);
    digits[len] = 0;
    if (!parse_int(digits, false, &port) || port < 0 || port > 65535) {
        return "has a bad port: 0 to 65535";
    }
    return strcmp(udp + 5 + len, "/quic-v1") == 0 ? NULL : "must end in /quic-v1";
}

static bool add_one(struct conf *c, enum conf_key key, const char *value, size_t len,
                    const char *where)
{
    const struct conf_row *row = &conf_table[key];
    struct conf_value *v = &c->v[key];
    size_t most = key == CONF_LISTEN || key == CONF_OPEN_NAMESPACES ? 8 : CONF_LIST_MAX;
    if (v->n == most) {
        (void)snprintf(c->why, sizeof(c->why), "%s: [%s] %s: more than %zu values", where,
                       row->section, row->key, most);
        return false;
    }
    if (len > (size_t)row->max) {
        (void)snprintf(c->why, sizeof(c->why), "%s: [%s] %s: a value of %zu characters, at most %d",
                       where, row->section, row->key, len, (int)row->max);
        return false;
    }
    char *one = copy_text(value, len);
    const char *fault = one == NULL ? "out of memory" : NULL;
    if (fault == NULL && key == CONF_LISTEN) {
        fault = listen_fault(one);
    }
    if (fault == NULL && key == CONF_BOOTSTRAP && strstr(one, "/p2p/") == NULL) {
        fault = "has no /p2p/PEER-ID";
    }
    if (fault != NULL) {
        (void)snprintf(c->why, sizeof(c->why), "%s: [%s] %s: %.160s %s", where, row->section,
                       row->key, one == NULL ? "" : one, fault);
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
        if (!set(c, (enum conf_key)ix, conf_table[ix].unset, CONF_UNSET, "default")) {
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
        (void)snprintf(c->why, sizeof(c->why), "%s: %.60s stands outside of any [section]", where,
                       key);
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
    char where[128];
    (void)snprintf(where, sizeof(where), "-o %.80s", text);
    enum conf_key k = find(c, section, key, where);
    return k != CONF_KEYS && set(c, k, equal + 1, CONF_OPTION, where);
}

static void print_value(const struct conf_row *row, const struct conf_value *v, FILE *to)
{
    const char *words = row->words;
    switch (row->type) {
    case CONF_LIST:
        for (size_t ix = 0; ix < v->n; ix++) {
            (void)fprintf(to, "%s = %s\n", row->key, v->list[ix]);
        }
        if (v->n == 0) {
            (void)fprintf(to, "%s =\n", row->key);
        }
        return;
    case CONF_TEXT:
        (void)fprintf(to, "%s =%s%s\n", row->key, v->text[0] == 0 ? "" : " ", v->text);
        return;
    case CONF_BOOL:
        (void)fprintf(to, "%s = %s\n", row->key, v->num ? "yes" : "no");
        return;
    case CONF_WORD:
        for (int64_t ix = 0; ix < v->num; ix++) {
            words += strcspn(words, "|") + 1;
        }
        (void)fprintf(to, "%s = %.*s\n", row->key, (int)strcspn(words, "|"), words);
        return;
    case CONF_INT:
    case CONF_SIZE:
        break;
    }
    (void)fprintf(to, "%s = %lld\n", row->key, (long long)v->num);
}

void conf_print(const struct conf *c, FILE *to)
{
    const char *section = "";
    for (int ix = 0; ix < CONF_KEYS; ix++) {
        const struct conf_row *row = &conf_table[ix];
        if (strcmp(section, row->section) != 0) {
            section = row->section;
            (void)fprintf(to, "%s[%s]\n", ix == 0 ? "" : "\n", section);
        }
        (void)fprintf(to, "# %s\n", row->help);
        if (row->type == CONF_WORD) {
            (void)fprintf(to, "# One of %s; default %s.\n", row->words, row->unset);
        } else if (row->type == CONF_INT) {
            (void)fprintf(to, "# %lld to %lld %s; default %s.\n", (long long)row->min,
                          (long long)row->max, row->unit, row->unset);
        } else if (row->unset[0] != 0) {
            (void)fprintf(to, "# Default %s.\n", row->unset);
        }
        print_value(row, &c->v[ix], to);
    }
}
