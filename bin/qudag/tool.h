/*
 * tool.h - what the files of the tool share.
 *
 *   main.c    table of subcommands, options, help       client.c   the control socket
 *   out.c     JSON, tables, errors                      spawn.c    starting daemons      keys.c  the folder's keys
 *   nodeconf.c  the configuration of a new node         args.c    options and words of a command
 *   share_*.h, qr.h   what cmd_share.c is made of       fetch.h   ... and cmd_fetch.c; manifest.h is of both
 *   cmd_*.c   the subcommands
 */
#ifndef QUDAG_BIN_TOOL_H
#define QUDAG_BIN_TOOL_H

#include "common/exits.h"
#include "common/fileio.h"
#include "common/json.h"
#include "common/passphrase.h"
#include "common/rec.h"

#include <stdio.h>

struct tool {
    char dir[PATH_LEN];
    const char *self; /* as called */
    bool json, tty, colour;
    bool small_network;       /* --small-network: accept that the network hides nobody */
    const struct sub *sub;    /* the subcommand at work */
    struct rec *rec;          /* for requests */
    uint64_t deadline_ns;     /* mono_ns() at which waiting for answers ends; 0: none */
    bool shows_queued;        /* its answer_fn takes progress of the state "queued" too */
    bool (*stops)(void *ctx); /* not NULL: waiting has no end but this, which is TOOL_OK */
    void *stops_ctx;
};

struct sub {
    const char *name, *args, *what, *more, *example;
    int (*run)(struct tool *t, int argc, char **argv); /* argv[0]: the first argument */
};
extern const struct sub subs[];
extern const size_t n_subs;

/* An error for the user: cause and next step; as JSON where that was asked for.  Returns |code|. */
int tool_error(const struct tool *t, enum tool_exit code, const char *error, const char *message,
               const char *hint);

/* ---- args.c */
/* An error of usage: |message|, and the line of the subcommand at work as hint.  Returns TOOL_USAGE. */
int tool_usage(const struct tool *t, const char *message);

/* A number among the arguments; false: it is not one, or out of range. */
bool parse_number(const char *text, int64_t min, int64_t max, int64_t *out);

struct opt {
    const char *name;  /* "--name" or "-n" */
    const char *takes; /* the value it takes, for messages: "NAME"; NULL: none */
};

/* The arguments of one command, read from the first to the last. */
struct args {
    const struct tool *t;
    const char *what; /* the command, for messages: "dark new" */
    int argc;
    char **argv;
    const struct opt *opts; /* |n| of them */
    size_t n;
    int at;            /* the next one */
    bool words;        /* after "--" there are no more options */
    const char *value; /* of the option, or the word, that args_next() found */
};
enum { ARGS_END = -1, ARGS_WORD = -2, ARGS_BAD = -3 };

/* The place of the next option in a->opts; or ARGS_WORD: a->value is no option; ARGS_END: no more;
 * ARGS_BAD: an unknown option, or one that lacks its value, which the user has been told. */
int args_next(struct args *a);

/* Of a command whose options have been read, or that has none: the number of its words, of which the
 * first |most| are in word[]; -1: there is an option, and the user has been told. */
int args_words(struct args *a, const char *word[], int most);

/* Of a subcommand without arguments: true, or the user has been told that there are some. */
bool args_none(const struct tool *t, int argc, char **argv);

/* |next| (NULL: nothing) is not the value of |option| but the next option; only the text of -m may begin so. */
bool args_lacks_value(const char *option, const char *next);

/* ---- client.c */
typedef void (*answer_fn)(struct tool *t, const struct rec_view *v, void *user); /* row, progress */

/* Starts the request |cmd| in t->rec, which is returned for its arguments. */
struct rec *ask_begin(struct tool *t, const char *cmd);

/* Sends t->rec (and |fd|, if not -1) and hands out the answer.  Errors are printed. */
int ask(struct tool *t, int fd, answer_fn fn, void *user);
/* The same for the daemon of |dir|, silent: for probing.  *message gets what went wrong. */
struct outcome {
    int code;
    char error[64], message[512], hint[512];
};
void ask_dir(struct tool *t, const char *dir, int fd, answer_fn fn, void *user,
             struct outcome *out);
/* Fills |out|; texts that are too long are cut. */
void outcome_fail(struct outcome *out, int code, const char *error, const char *message,
                  const char *hint);

/* ---- out.c */
/* The record's fields, without braces; a name in the list of lists becomes an array. */
void json_fields(FILE *to, const struct rec_view *v);

/* {"KIND":{the record's fields}} on a line of its own, to standard output at once. */
void json_line(const struct tool *t, const char *kind, const struct rec_view *v);

enum col_kind {
    COL_TEXT,
    COL_PEER,
    COL_SHORT, /* a peer id's end, in a table as much of it as tells the ids there apart */
    COL_HOST,  /* of a multiaddr host and port */
    COL_PATH,
    COL_WORDS, /* each value of the field */
    COL_NS,
    COL_SIZE,
    COL_INT,
    COL_YES,
    COL_DAY
};
struct col {
    const char *field, *title;
    enum col_kind kind;
};
#define CELL_LEN 512
struct table {
    const struct col *cols;
    size_t n_cols, n, cap;
    char *cells; /* n * n_cols * CELL_LEN */
};

/* Adds a row with the record's fields; without memory the row is left out. */
void table_add(struct table *tb, const struct rec_view *v);

void table_print(const struct tool *t, struct table *tb, const char *empty); /* and frees */
/* A request whose rows are a list: JSON {"NAME": [...]}, else a table. */
int ask_list(struct tool *t, const char *name, const struct col *cols, size_t n_cols,
             const char *empty);
/* One row of an answer: JSON, or "title value" lines. */
void row_print(const struct tool *t, const struct rec_view *v, const struct col *cols,
               size_t n_cols);
/* A request that answers with nothing but its end: says "|done| |what|". */
int ask_done(struct tool *t, const char *done, const char *what);
/* A request of one row. */
int ask_one(struct tool *t, const struct col *cols, size_t n_cols);
/* A bar of how far something is: a line that is written over on a terminal, elsewhere one for each tenth. */
struct bar {
    int tenth; /* shown last, without a terminal */
    uint64_t from_bytes, from_ns;
    bool line_open; /* a bar, or what stands in its place, is on the terminal */
};
void bar_restart(struct bar *b); /* another thing, or anew: its rate counts from here */
void bar_show(const struct tool *t, struct bar *b, uint64_t have, uint64_t size);
void bar_end(struct bar *b); /* ends its line, if there is one */

/* What stands in column |c| for the record; "-" where it lacks the field. */
void cell_text(char out[CELL_LEN], const struct col *c, const struct rec_view *v);

/* The last eight characters of a peer id behind "..". */
void short_peer(char out[16], const char *peer);

/* ---- spawn.c */
bool find_qudagd(char out[PATH_LEN]);
/* Becomes qudagd with the options |before|, --dir |dir| and -o for each of |options| (either list
 * ends in NULL or is NULL).  Returns, false, only if that cannot be. */
bool exec_qudagd(const char *dir, const char *const *before, const char *const *options);
/* Runs it so to its end: its exit code, or -1.  *out, *complaint: what it wrote to standard output
 * and standard error, to be freed (also after -1; NULL: nothing). */
int ask_qudagd(const char *dir, const char *const *before, const char *const *options, char **out,
               char **complaint);
/*
 * By root: a file of root's own that was made in |dir| belongs to whom the folder belongs to, a daemon that reads and
 * opens it later.
 */
void give_to_owner(const char *dir, int fd);

/* Starts a daemon for |dir| and waits until it serves or tells why not: 0, or its exit code and
 * |why|.  |options|: "SECTION.KEY=VALUE", ended by NULL.  |passphrase| of its keys; NULL: none. */
int spawn_daemon(const char *dir, const char *const *options, const struct passphrase *passphrase,
                 char *why, size_t why_len);
/* Waits until the daemon of |dir| has let go of its lock; false: it has not after |seconds|. */
bool wait_gone(const char *dir, unsigned seconds);
bool daemon_answers(const char *dir); /* its socket takes connections */
long daemon_pid(const char *dir);     /* 0: none runs */

/* ---- nodeconf.c */
struct nodeconf {
    char path[PATH_LEN];
    char *text; /* NULL: the folder has a configuration already */
};
/* Asks qudagd with --check-config or the like; *text: its answer, to be freed.  Errors are printed. */
int nodeconf_ask(struct tool *t, const char *dir, const char *const *args,
                 const char *const *options, char **text);
/* Checks |options| together with what |dir| holds, and prepares the configuration of a folder that
 * has none, so that it is written only once the daemon has taken it.  Errors are printed. */
int nodeconf_make(struct tool *t, const char *dir, const char *const *options,
                  struct nodeconf *made);
int nodeconf_write(struct nodeconf *made,
                   const char *dir); /* 0 or an errno; |made| is done with either way */

/* Frees what nodeconf_make() prepared, without writing it; harmless after nodeconf_write(). */
void nodeconf_drop(struct nodeconf *made);

/* ---- cmd_up.c */
/* Accepts for good that the network hides nobody: in the daemon, and in its configuration. */
int accept_small_network(struct tool *t);

/* ---- cmd_lab.c */
/* If |dir| is the folder of a lab's node: the number of nodes of that lab, and its folder; else 0. */
unsigned lab_of(const char *dir, char top[PATH_LEN]);

/*
 * The subcommands (main.c has their table): each reads its arguments, prints the answer or the error, and
 * returns the tool's exit code (enum tool_exit).  Here: starts a daemon for the state folder.
 */
int run_up(struct tool *t, int argc, char **argv);

/* Stops it and waits until it is gone. */
int run_down(struct tool *t, int argc, char **argv);

/* State and health, to which the exit code belongs too. */
int run_status(struct tool *t, int argc, char **argv);

/* The keys of the folder: shown, encrypted, rotated, moved to another machine. */
int run_key(struct tool *t, int argc, char **argv);

/* Checks or prints a configuration. */
int run_config(struct tool *t, int argc, char **argv);

/* ---- cmd_proxy.c */
/*
 * Standard input and output to |port| of the dark address or petname |host|, until the service has ended; |key| (NULL:
 * none) keeps the circuit apart.  The tool's exit code.
 */
int connect_dark(struct tool *t, const char *host, const char *port, const char *key);

/* State of the proxy. */
int run_proxy(struct tool *t, int argc, char **argv);

/* Petnames: add, list, remove. */
int run_name(struct tool *t, int argc, char **argv);

/* Connects to a peer, or to a service at a dark address. */
int run_connect(struct tool *t, int argc, char **argv);

/* Lists links, or with --relays the relays. */
int run_peers(struct tool *t, int argc, char **argv);
int run_peer(struct tool *t, int argc, char **argv);

/* Measures round trips. */
int run_ping(struct tool *t, int argc, char **argv);

/* Everything under "dht". */
int run_dht(struct tool *t, int argc, char **argv);

/* Everything under "circuit". */
int run_circuit(struct tool *t, int argc, char **argv);

/* An address of a service, or a petname as blog.dark, as a command takes it: TOOL_OK, or the user has been told what is
 * wrong with it. */
int check_address(const struct tool *t, const char *addr);

/* ---- cmd_clients.c: of "dark" */
int run_client(struct tool *t, int argc, char **argv);    /* client add, list, remove */
int run_authorize(struct tool *t, int argc, char **argv); /* the key that an owner gave */

/* Everything under "dark". */
int run_dark(struct tool *t, int argc, char **argv);

/* Services of this node, at dark addresses. */
int run_expose(struct tool *t, int argc, char **argv);

/* Serves files at an address of their own until it is stopped, or they were fetched. */
int run_share(struct tool *t, int argc, char **argv);

/* Gets what somebody shares. */
int run_fetch(struct tool *t, int argc, char **argv);

/* Sends a message or a file and waits for the outcome. */
int run_send(struct tool *t, int argc, char **argv);

/* Lists or saves what was received. */
int run_inbox(struct tool *t, int argc, char **argv);

/* ---- cmd_stats.c */
/* Prints the counters. */
int run_stats(struct tool *t, int argc, char **argv);

/* A test network on this machine, its folders under that of the tool. */
int run_lab(struct tool *t, int argc, char **argv);

/* Prints the version. */
int run_version(struct tool *t, int argc, char **argv);
/* The list of subcommands, or the page of one. */
int run_help(struct tool *t, int argc, char **argv);

#endif
