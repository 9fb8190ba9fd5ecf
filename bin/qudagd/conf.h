/*
 * conf.h - the configuration: one table says what may be set, and everything else follows from it
 * (parsing, ranges, messages, the printed configuration, qudag.conf(5)).
 */
#ifndef QUDAG_BIN_CONF_H
#define QUDAG_BIN_CONF_H

#include <qudag/node.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONF_LIST_MAX QUDAG_BOOTSTRAP_MAX
#define CONF_WHY_LEN 512

enum conf_key {
    CONF_LISTEN,
    CONF_ANNOUNCE,
    CONF_BOOTSTRAP,
    CONF_AGENT,
    CONF_MEMORY_MAX,
    CONF_SHUTDOWN,
    CONF_PQ,
    CONF_LEVEL,
    CONF_CIPHER,
    CONF_IDLE_TIMEOUT,
    CONF_DIAL_TIMEOUT,
    CONF_HANDSHAKE_TIMEOUT,
    CONF_NEGOTIATE_TIMEOUT,
    CONF_KEEPALIVE,
    CONF_LINKS_MAX,
    CONF_LINKS_HIGH,
    CONF_LINKS_LOW,
    CONF_LINKS_GRACE,
    CONF_NETWORK_SHARE,
    CONF_STREAMS_PER_PEER,
    CONF_KEEP,
    CONF_RESERVE_AT,
    CONF_REACHABLE,
    CONF_FIND_RELAYS,
    CONF_PORT_MAPPING,
    CONF_MEET,
    CONF_CIRCUIT_RELAY,
    CONF_CIRCUIT_RELAY_PLACES,
    CONF_CIRCUIT_RELAY_CIRCUITS,
    CONF_CIRCUIT_RELAY_TIME,
    CONF_CIRCUIT_RELAY_BYTES,
    CONF_CIRCUIT_RELAY_RATE,
    CONF_CIRCUIT_RELAY_RATE_PEER,
    CONF_CIRCUIT_RELAY_RATE_CIRCUIT,
    CONF_CIRCUIT_RELAY_STRANGER_TIME,
    CONF_CIRCUIT_RELAY_STRANGER_BYTES,
    CONF_DHT_PROTOCOL,
    CONF_DHT_SERVER,
    CONF_OPEN_NAMESPACES,
    CONF_QUERY_TIMEOUT,
    CONF_DHT_STORE,
    CONF_DHT_STORE_DIR,
    CONF_DHT_RECORDS_MAX,
    CONF_DHT_BYTES_MAX,
    CONF_DHT_PROVIDERS_MAX,
    CONF_HOPS,
    CONF_CLEAN_CIRCUITS,
    CONF_BUILD_TIMEOUT,
    CONF_RELAY,
    CONF_FAMILY,
    CONF_CIRCUITS_MAX,
    CONF_SMALL_NETWORK,
    CONF_PADDING,
    CONF_DARK_DELAY_MS,
    CONF_DARK_DUMMIES,
    CONF_DARK_WORK_MAX,
    CONF_DARK_HIDE_CACHE,
    CONF_LOG_LEVEL,
    CONF_LOG_LEVELS,
    CONF_LOG_NETWORK,
    CONF_LOG_FILE,
    CONF_INBOX_DIR,
    CONF_INBOX_SIZE_MAX,
    CONF_INBOX_FILE_MAX,
    CONF_INBOX_FROM,
    CONF_PROXY_LISTEN,
    CONF_PROXY_REMOTE,
    CONF_PROXY_CONNECTIONS,
    CONF_USER,
    CONF_SANDBOX,
    CONF_LOCK_MEMORY,
    CONF_METRICS_LISTEN,
    CONF_METRICS_WEB,
    CONF_LAB,
    CONF_KEYS,
};

enum conf_type { CONF_INT, CONF_BOOL, CONF_WORD, CONF_TEXT, CONF_SIZE, CONF_LIST };

/*
 * A key of the library's is copied into qudag_settings by its row alone: |width| bytes at |at|.  Ranges and
 * defaults of its numbers come from <qudag/limits.h>.
 */
struct conf_row {
    const char *section, *key;
    enum conf_type type;
    int64_t min, max;  /* INT, SIZE: the range; TEXT: of its length; LIST: of one value's length */
    const char *unset; /* the default, as it would be written; lists: separated by commas */
    const char *unit;  /* "s", "bytes" or "" */
    const char *words; /* WORD: "a|b|c" */
    const char *help;
    size_t at, width; /* width 0: the daemon's own; LIST: the count follows the pointer */
    size_t most;      /* LIST: values */
    int64_t def;      /* INT, SIZE: the default where |unset| is NULL */
    const char *
        scaled; /* how it follows from the machine where it is not set (scale.h); NULL: it does not */
    bool live; /* SIGHUP puts another value in force; else it takes a restart */
};
extern const struct conf_row conf_table[CONF_KEYS];

/* From where a value came; a later source replaces an earlier one's list. */
enum conf_source { CONF_UNSET, CONF_MACHINE, CONF_FILE, CONF_OPTION };

struct conf_value {
    enum conf_source source;
    int line;
    int64_t num; /* WORD: which */
    char *text;  /* TEXT; never NULL after conf_init */
    char *list[CONF_LIST_MAX];
    size_t n;
};

struct conf {
    struct conf_value v[CONF_KEYS];
    char why[CONF_WHY_LEN]; /* after a failure: the whole sentence */
};

bool conf_init(struct conf *c); /* defaults; false: no memory */

/* Frees the texts and lists. */
void conf_fini(struct conf *c);

/* False: c->why says file, line, key, cause and, for unknown words, the nearest known. */
bool conf_read(struct conf *c, const char *path);
/* "section.key=value" */
bool conf_option(struct conf *c, const char *text);
/*
 * Sets |key| to |value| in the file |path|, in place of the line that counts now, or in a section at the end; all else
 * stays.  True also if it says so already.  False: why[] says what is wrong, and the file is as it was;
 * errno has the system's error if it was one, else 0.
 */
bool conf_remember(const char *path, enum conf_key key, const char *value, char why[CONF_WHY_LEN]);
/* A configuration file with this content, with help as comments. */
void conf_print(const struct conf *c, FILE *to);
/* The default of |row|, as it would be written: static, or in number[], of |cap| bytes. */
const char *conf_default(const struct conf_row *row, char *number, size_t cap);
/* All settings as a page of Markdown, doc/settings.md. */
void conf_reference(FILE *to);
/* Whether |a| and |b| say the same of |key|. */
bool conf_same(const struct conf *a, const struct conf *b, enum conf_key key);
/*
 * Takes what |fresh| says of the live settings into |c|; what was there goes to |fresh|.  Writes the others that
 * differ, as "[section] key, ...", to |rest|, cut to |cap|: how many there are.
 */
size_t conf_take_live(struct conf *c, struct conf *fresh, char *rest, size_t cap);
/* Copies what concerns the library into |s|; strings and lists are borrowed from |c|. */
void conf_settings(const struct conf *c, qudag_settings *s);

#endif
