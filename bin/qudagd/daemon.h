/*
 * daemon.h - the daemon as one object: what its files share.
 *
 *   main.c      options, start, stop           state.c  the folder       conf.c, log.c
 *   control.c   socket, clients, frames   ──▶  commands.c, report.c  ──▶  the library
 *   transfer.c  messages and files   services.c  services   proxy.c  the proxy   ──▶  the library
 *   process.c   user, locked memory, sandbox   ──▶  privileges.c, confine.c
 *   metrics.c   the counters as text   page.c, page_html.c, history.c  a page for browsers   scrape.c  their listener
 */
#ifndef QUDAG_BIN_DAEMON_H
#define QUDAG_BIN_DAEMON_H

#include "common/rec.h"
#include "conf.h"
#include "log.h"
#include "names.h"
#include "state.h"

#include <qudag/qudag.h>
#include <uv.h>

#define TICK_MS 100 /* of timeouts in the daemon */
#define PHASES_MAX 64
#define PROCESS_NOTE_LEN 224
#define DAEMON_SIGNALS 4 /* INT, TERM, QUIT; HUP */

struct control;
struct scrape;
struct request;
struct options;

struct phase_note {
    qudag_phase phase;
    uint32_t a, b;
    qudag_err err;
    uint64_t at_ns; /* since the start */
};

#define SHARE_SWEEP_MAX 16 /* addresses of shares that are forgotten at a time */

struct daemon {
    struct logsink log; /* first: log_record counts on it */
    uv_loop_t loop;
    uv_signal_t signals[DAEMON_SIGNALS];
    uv_timer_t tick;
    struct conf conf;
    struct state state;
    qudag_identity *identity;
    qudag_node *node;
    struct control *control;
    struct scrape *scrape; /* NULL: metrics are served nowhere */
    char scrape_at[160];   /* where; empty: nowhere */
    char web_at[160]; /* the page for browsers; empty: there is none, or it is on a Unix socket */
    struct names names;
    char proxy_why[256]; /* the proxy does not run; empty: it does */
    struct rec *rec;     /* for whatever frame is being made */
    uint64_t since_ns;
    uint64_t share_sweep_ns; /* addresses of shares that have ended are looked for, not before */
    qudag_op share_forget[SHARE_SWEEP_MAX]; /* records being withdrawn; id 0: none */
    struct phase_note phases[PHASES_MAX];   /* oldest first; a run of one phase is one entry */
    size_t n_phases;
    bool failing;                         /* rules_failing() */
    size_t n_peers;                       /* with a link now */
    bool stopping, stop_now;              /* to end, at once */
    bool asked, asked_now, ended;         /* the node was told so; it has ended */
    uint64_t stop_ns;                     /* since when it is to */
    const struct options *options;        /* for reading the configuration again */
    char conf_file[PATH_LEN];             /* what was read; empty: none */
    uint64_t watchdog_ns, watchdog_at_ns; /* systemd's watchdog: half its period; 0: none */
    /* of process.c: yes, or why not */
    char memory_note[PROCESS_NOTE_LEN], files_note[PROCESS_NOTE_LEN], calls_note[PROCESS_NOTE_LEN];
    int notify_fd; /* who started us waits here for a word; -1: nobody */
};

/* Nothing new is taken, what runs gets [node] shutdown_s, or, |now|, nothing; then the loop ends. */
void daemon_stop(struct daemon *d, bool now);
/* With each tick: carries that on. */
void daemon_ending(struct daemon *d);
/* qudag_callbacks.shut_down; what was cut off is logged. */
void daemon_ended(struct daemon *d, const qudag_shutdown *s);
/* While it stops: what is left of the time in which what runs may end by itself, in ns. */
uint64_t daemon_time_left(const struct daemon *d);

/* Whether the node believes that this machine's clock is wrong: it says so with each phase as long as it does. */
static inline bool daemon_clock_suspect(const struct daemon *d)
{
    return d->n_phases > 0 && d->phases[d->n_phases - 1].err == QUDAG_ECLOCK;
}

#endif
