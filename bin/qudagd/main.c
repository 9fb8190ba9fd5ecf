/*
 * main.c - qudagd: options, start, stop.  qudagd(8) describes it.
 *
 *   configuration ─▶ folder and lock ─▶ identity ─▶ node (sockets) ─▶ saved state ─▶ control socket
 *   ─▶ "ready" to whoever started us ─▶ loop ─▶ signal or `qudag down` ─▶ everything in reverse
 */
#include "control.h"
#include "logctl.h"
#include "privileges.h"
#include "process.h"
#include "proxy.h"
#include "report.h"
#include "rules.h"
#include "scale.h"
#include "scrape.h"
#include "scrape_rules.h"
#include "share.h"
#include "start.h"
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct options {
    const char *file, *dir, *passphrase_fd;
    const char *set[64];
    size_t n_set;
    bool check, print;
};

static const char usage_text[] =
    "usage: qudagd [options]\n"
    "\n"
    "Runs a node of the QuDAG network in the foreground.  qudag up does the same in the "
    "background.\n"
    "\n"
    "  -d, --dir DIR         state folder (default $XDG_STATE_HOME/qudag or ~/.local/state/qudag)\n"
    "  -c, --config FILE     configuration (default DIR/qudag.conf, if it exists)\n"
    "  -o SECTION.KEY=VALUE  one setting, overrides the file; repeatable\n"
    "      --check-config    check the configuration and exit\n"
    "      --print-config    print the effective configuration as a file with comments, and exit\n"
    "      --print-reference  print all settings, their ranges and defaults, as Markdown, and "
    "exit\n"
    "      --foreground      stay in the foreground (always so)\n"
    "      --passphrase-fd N  read the passphrase of encrypted keys from this descriptor\n"
    "      --notify-fd N     write \"ready\" or what is wrong to this descriptor\n"
    "  -V, --version\n"
    "  -h, --help\n"
    "\n"
    "Exit codes: 0 ok, 1 failure, 2 usage or configuration, 3 another daemon owns the folder,\n"
    "4 the state cannot be used (damaged, or open to others), 5 cannot bind a listen address.\n"
    "\n"
    "Example: qudagd -d /tmp/node1 -o node.listen=/ip4/127.0.0.1/udp/4433/quic-v1\n";

/* The sentence goes to standard error, and to the process that started us. */
static int complain(const struct daemon *d, int code, const char *text)
{
    (void)fprintf(stderr, "qudagd: %s\n", text);
    if (d->notify_fd >= 0) {
        char line[STATE_WHY_LEN + 32];
        int n = snprintf(line, sizeof(line), "%d %s\n", code, text);
        (void)fd_write_all(d->notify_fd, line, (size_t)n < sizeof(line) ? (size_t)n : 0);
    }
    return code;
}

/* ------------------------------------------------------------------ callbacks of the library */

static struct daemon *daemon_of(void *user)
{
    return user;
}

/* What `systemctl status` shows. */
static void notify_status(const struct daemon *d)
{
    char text[128];
    const struct phase_note *last = d->n_phases > 0 ? &d->phases[d->n_phases - 1] : NULL;
    (void)snprintf(text, sizeof(text), "STATUS=%s, %zu peers",
                   last == NULL ? "start" : phase_name(last->phase), d->n_peers);
    notify_systemd(text);
}

static void on_phase(qudag_node *n, qudag_phase p, uint32_t a, uint32_t b, qudag_err err,
                     void *user)
{
    struct daemon *d = daemon_of(user);
    (void)n;
    struct phase_note note = {p, a, b, err, mono_ns() - d->since_ns};
    if (d->n_phases > 0 && d->phases[d->n_phases - 1].phase == p) {
        d->n_phases--;
    } else if (d->n_phases == PHASES_MAX) {
        memmove(d->phases, d->phases + 1, sizeof(d->phases) - sizeof(d->phases[0]));
        d->n_phases--;
    }
    d->phases[d->n_phases++] = note;
    d->failing = rules_failing(d->failing, (int)p);
    const qudag_log_field fields[] = {{.name = "phase", .text = phase_name(p)},
                                      {.name = "have", .num = a},
                                      {.name = "of", .num = b},
                                      {.name = "error", .text = qudag_err_name(err)}};
    log_record(
        d, &(qudag_log_record){.level = p == QUDAG_PHASE_FAILED ? QUDAG_LOG_WARN : QUDAG_LOG_INFO,
                               .event = "bootstrap",
                               .n = err == QUDAG_OK ? 3 : 4,
                               .fields = fields});
    control_phase(d->control, &note);
    notify_status(d);
}

static void on_op_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res,
                       void *user)
{
    struct daemon *d = daemon_of(user);
    (void)n;
    (void)control_op_done(d->control, op, err, res);
    share_op_done(d, op);
}

static void on_peer(qudag_node *n, const qudag_peer_id *peer, bool up, void *user)
{
    struct daemon *d = daemon_of(user);
    char text[QUDAG_PEER_ID_TEXT_MAX];
    (void)n;
    qudag_peer_id_text(peer, text);
    d->n_peers = up ? d->n_peers + 1 : d->n_peers - (d->n_peers > 0);
    const qudag_log_field fields[] = {
        {.name = "peers", .num = (int64_t)d->n_peers},
        {.name = "peer", .cls = QUDAG_LOG_NETWORK, .text = text},
    };
    log_record(d, &(qudag_log_record){.level = QUDAG_LOG_INFO,
                                      .event = up ? "peer.up" : "peer.down",
                                      .n = 2,
                                      .fields = fields});
    notify_status(d);
}

/* The end of a link that was up is told when it begins. */
static void on_link(qudag_node *n, const qudag_link_event *e, void *user)
{
    struct daemon *d = daemon_of(user);
    char peer[QUDAG_PEER_ID_TEXT_MAX];
    bool up = e->state == QUDAG_LINK_UP, ends = e->state == QUDAG_LINK_CLOSING;
    (void)n;
    qudag_peer_id_text(&e->peer, peer);
    const qudag_log_field fields[] = {
        {.name = "link", .num = (int64_t)e->link},
        {.name = "direction", .text = e->inbound ? "in" : "out"},
        {.name = "transport", .text = e->transport},
        {.name = "peer", .cls = QUDAG_LOG_NETWORK, .text = peer},
        {.name = "address", .cls = QUDAG_LOG_NETWORK, .text = e->remote},
        {.name = "why", .text = qudag_link_why_name(e->why)},
        {.name = "error", .text = qudag_err_name(e->err)},
        {.name = "text", .text = e->text},
    };
    static const char *const events[] = {"link.?",  "link.connecting", "link.handshaking",
                                         "link.up", "link.down",       "link.gone"};
    log_record(d, &(qudag_log_record){.level = up || ends ? QUDAG_LOG_INFO : QUDAG_LOG_DEBUG,
                                      .event = events[(unsigned)e->state < 6 ? e->state : 0],
                                      .n = e->why == QUDAG_WHY_NONE ? 5
                                           : e->text[0] == 0        ? 7
                                                                    : 8,
                                      .fields = fields});
}

static void on_shut_down(qudag_node *n, const qudag_shutdown *s, void *user)
{
    (void)n;
    daemon_ended(daemon_of(user), s);
}

static qudag_err on_save(qudag_node *n, const char *name, qudag_slice bytes, void *user)
{
    struct daemon *d = daemon_of(user);
    (void)n;
    qudag_err err = state_save(&d->state, name, bytes);
    if (err != QUDAG_OK) {
        log_say(&d->log, QUDAG_LOG_ERROR, "state.save", "%s", d->state.why);
    }
    return err;
}

/* ------------------------------------------------------------------ log and configuration */

static void log_settings(struct daemon *d, const struct conf *c)
{
    logctl_configured(&d->log, c);
    d->log.limited = true;
    d->log.network = c->v[CONF_LOG_NETWORK].num != 0;
    d->log.sensitive = d->conf.v[CONF_LAB].num != 0;
}

/* Without [log] file, standard error is the log.  `qudag up` makes it DIR/qudagd.log, which is then known by name. */
static void log_own_file(struct daemon *d)
{
    char path[PATH_LEN];
    struct stat here, there;
    if (path_join(path, d->state.dir, "qudagd.log") && fstat(STDERR_FILENO, &here) == 0 &&
        S_ISREG(here.st_mode) && lstat(path, &there) == 0 && here.st_dev == there.st_dev &&
        here.st_ino == there.st_ino) {
        (void)log_open(&d->log, path);
    }
}

static int open_log(struct daemon *d)
{
    const char *file = d->conf.v[CONF_LOG_FILE].text;
    log_settings(d, &d->conf);
    if (file[0] == 0) {
        log_own_file(d);
        return DAEMON_OK;
    }
    int err = log_open(&d->log, file);
    if (err != 0) {
        (void)snprintf(d->state.why, sizeof(d->state.why), "[log] file %s: %s", file,
                       strerror(err));
        return DAEMON_USAGE;
    }
    return DAEMON_OK;
}

/* The file and the options, into |c|, and for what they leave open this machine.  False: c->why. */
static bool read_conf(const struct daemon *d, struct conf *c)
{
    bool ok = d->conf_file[0] == 0 || conf_read(c, d->conf_file);
    for (size_t ix = 0; ok && ix < d->options->n_set; ix++) {
        ok = conf_option(c, d->options->set[ix]);
    }
    struct scale_machine machine;
    scale_look(&machine);
    scale_conf(c, &machine);
    return ok;
}

/* The log by its name, which may be another one now.  False: it is as it was. */
static bool reopen_log(struct daemon *d)
{
    const char *file = d->conf.v[CONF_LOG_FILE].text;
    int err = file[0] == 0 ? log_reopen(&d->log) : log_open(&d->log, file);
    if (err != 0) {
        log_say(&d->log, QUDAG_LOG_ERROR, "daemon.reload", "the log file is unchanged: %s: %s%s",
                file[0] == 0 ? d->log.file : file, strerror(err), process_denied(d, err));
        return false;
    }
    if (file[0] == 0 && d->log.file[0] != 0) {
        (void)dup2(d->log.fd, STDERR_FILENO); /* or the file moved away stays in use */
    }
    return true;
}

/* Puts in force what can change while the node runs, and says what cannot. */
static void take_live(struct daemon *d, struct conf *fresh)
{
    char rest[512], why[CONF_WHY_LEN];
    qudag_settings s;
    size_t others = conf_take_live(&d->conf, fresh, rest, sizeof(rest));
    log_settings(d, &d->conf);
    bool opened = reopen_log(d);
    settings_from(&s, &d->conf, d->identity);
    if (qudag_node_reload(d->node, &s, why, sizeof(why)) != QUDAG_OK) {
        log_say(&d->log, QUDAG_LOG_ERROR, "daemon.reload", "the node's settings are unchanged: %s",
                why);
    }
    if (others > 0) {
        log_say(&d->log, QUDAG_LOG_WARN, "daemon.reload",
                "these have changed too, and take a restart: %s", rest);
    }
    if (opened) {
        log_say(&d->log, QUDAG_LOG_INFO, "daemon.reload", "log reopened, settings reloaded");
    }
}

/* SIGHUP: the log is opened again by its name, and the settings that conf_table calls live are taken. */
static void reload(struct daemon *d)
{
    static struct conf fresh;
    notify_systemd("RELOADING=1");
    if (conf_init(&fresh) && read_conf(d, &fresh)) {
        take_live(d, &fresh);
    } else {
        log_say(&d->log, QUDAG_LOG_ERROR, "daemon.reload", "configuration unchanged: %s",
                fresh.why);
    }
    conf_fini(&fresh);
    notify_systemd("READY=1");
}

/* ------------------------------------------------------------------ loop */

/* systemd's watchdog expects a word within its period. */
static void watchdog_begin(struct daemon *d)
{
    const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (us != NULL && (pid == NULL || strtol(pid, NULL, 10) == (long)getpid())) {
        d->watchdog_ns = strtoull(us, NULL, 10) * 1000 / 2;
    }
}

static void watchdog_tick(struct daemon *d, uint64_t now)
{
    if (d->watchdog_ns != 0 && now - d->watchdog_at_ns >= d->watchdog_ns) {
        d->watchdog_at_ns = now;
        notify_systemd("WATCHDOG=1");
    }
}

static void on_tick(uv_timer_t *t)
{
    struct daemon *d = t->data;
    uint64_t now = mono_ns();
    log_flush(&d->log);
    watchdog_tick(d, now);
    if (d->control != NULL) { /* else it ends */
        scrape_tick(d, now);
        control_tick(d->control, now);
        share_tick(d, now);
    }
    daemon_ending(d);
    if (d->ended) { /* and whoever waits for it was told just now */
        uv_stop(&d->loop);
    }
}

static void on_signal(uv_signal_t *h, int signum)
{
    struct daemon *d = h->data;
    if (signum == SIGHUP) {
        reload(d);
    } else {
        daemon_stop(d, d->stopping); /* the second time at once */
    }
}

static void close_handle(uv_handle_t *h)
{
    if (h->loop != NULL && !uv_is_closing(h)) {
        uv_close(h, NULL);
    }
}

/* Everything in reverse; works on files are waited for. */
static void shut(struct daemon *d)
{
    scrape_end(d);
    control_close(d->control);
    d->control = NULL;
    for (size_t ix = 0; ix < DAEMON_SIGNALS; ix++) {
        close_handle((uv_handle_t *)&d->signals[ix]);
    }
    close_handle((uv_handle_t *)&d->tick);
    qudag_node_free(d->node);
    d->node = NULL;
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    names_free(&d->names);
    (void)uv_loop_close(&d->loop);
    log_say(&d->log, QUDAG_LOG_INFO, "daemon.end", "qudagd ended after %llu s",
            (unsigned long long)((mono_ns() - d->since_ns) / UINT64_C(1000000000)));
}

/* ------------------------------------------------------------------ start */

static int make_node(struct daemon *d)
{
    static const qudag_callbacks callbacks = {
        .size = sizeof(callbacks),
        .op_done = on_op_done,
        .phase = on_phase,
        .peer_changed = on_peer,
        .link_changed = on_link,
        .save = on_save,
        .shut_down = on_shut_down,
    };
    qudag_settings s;
    char store[PATH_LEN];
    settings_from(&s, &d->conf, d->identity);
    if (!store_where(&d->conf, d->state.dir, store)) {
        (void)snprintf(d->state.why, sizeof(d->state.why), "[dht] store_dir is too long");
        return DAEMON_USAGE;
    }
    s.store_dir = store[0] == 0 ? NULL : store;
    s.uv_loop = &d->loop;
    s.log = log_record;
    s.log_level = QUDAG_LOG_DEBUG; /* the sink decides, by areas that change while it runs */
    if (qudag_node_check(&s, d->state.why, sizeof(d->state.why)) != QUDAG_OK) {
        return DAEMON_USAGE;
    }
    if (listen_trouble(&d->conf, d->state.why, sizeof(d->state.why))) {
        return DAEMON_LISTEN;
    }
    if (s.store_dir != NULL &&
        qudag_store_check(store, d->state.why, sizeof(d->state.why)) != QUDAG_OK) {
        return DAEMON_STATE;
    }
    qudag_err err = qudag_node_new(&d->node, &s, &callbacks, d);
    if (err == QUDAG_OK) {
        int code = (int)state_restore(&d->state, d->node, d->conf.v[CONF_LAB].num != 0, &d->log);
        if (code != DAEMON_OK) {
            return code;
        }
        err = qudag_expose_resume(d->node);
    }
    if (err == QUDAG_EAUTH) {
        state_foreign_store(&d->state, store);
        return DAEMON_STATE;
    }
    if (err != QUDAG_OK) {
        (void)snprintf(d->state.why, sizeof(d->state.why), "cannot create the node: %s (%s)%s%s",
                       qudag_strerror(err), qudag_err_name(err), d->log.error[0] == 0 ? "" : ": ",
                       d->log.error);
        return DAEMON_FAILED;
    }
    return DAEMON_OK;
}

static int start_loop(struct daemon *d)
{
    static const int numbers[DAEMON_SIGNALS] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP};
    bool ok = uv_timer_init(&d->loop, &d->tick) == 0 &&
              uv_timer_start(&d->tick, on_tick, TICK_MS, TICK_MS) == 0;
    d->tick.data = d;
    for (size_t ix = 0; ok && ix < DAEMON_SIGNALS; ix++) {
        d->signals[ix].data = d;
        ok = uv_signal_init(&d->loop, &d->signals[ix]) == 0 &&
             uv_signal_start(&d->signals[ix], on_signal, numbers[ix]) == 0;
    }
    if (!ok) {
        (void)snprintf(d->state.why, sizeof(d->state.why),
                       "cannot create timers or signal handlers");
        return DAEMON_FAILED;
    }
    return DAEMON_OK;
}

static void say_ready(struct daemon *d)
{
    char path[PATH_LEN];
    struct stat st;
    if (path_join(path, d->state.dir, "identity") && stat(path, &st) == 0 &&
        st.st_mtime > now_ms() / 1000 + 600) {
        log_say(
            &d->log, QUDAG_LOG_WARN, "clock",
            "the identity was made %lld s after the time that this machine's clock shows: records "
            "and certificates may be refused until the clock is set",
            (long long)(st.st_mtime - now_ms() / 1000));
    }
    if (d->conf.v[CONF_LAB].num != 0) {
        log_say(&d->log, QUDAG_LOG_WARN, "lab",
                "[lab] lab = yes: a TEST NETWORK.  Relays may all run on one machine and the "
                "log records everything: there is NO ANONYMITY");
    }
    log_say(&d->log, QUDAG_LOG_INFO, "daemon.ready", "qudagd " QUDAG_VERSION " pid %ld%s",
            (long)getpid(), d->state.created ? ", new identity" : "");
    watchdog_begin(d);
    notify_systemd("READY=1");
    if (d->notify_fd >= 0) {
        (void)fd_write_all(d->notify_fd, "ready\n", 6);
        close(d->notify_fd);
        d->notify_fd = -1;
    }
}

static int serve(struct daemon *d)
{
    int code = make_node(d);
    if (code == DAEMON_OK) {
        code = start_loop(d);
    }
    if (code == DAEMON_OK) {
        code = transfer_begin(d);
    }
    if (code == DAEMON_OK && !names_load(&d->names, &d->state.vault)) {
        log_say(&d->log, QUDAG_LOG_WARN, "names", "there are no petnames: %s", d->names.why);
    }
    if (code == DAEMON_OK) {
        code = proxy_begin(d);
    }
    if (code == DAEMON_OK) {
        code = scrape_begin(d);
    }
    if (code == DAEMON_OK) {
        share_begin(d);
        code = (int)control_open(&d->control, d);
    }
    if (code == DAEMON_OK) {
        qudag_err err = qudag_node_start(d->node);
        if (err != QUDAG_OK) {
            (void)snprintf(d->state.why, sizeof(d->state.why), "cannot start the node: %s",
                           qudag_strerror(err));
            code = DAEMON_FAILED;
        }
    }
    if (code == DAEMON_OK && !process_ready(d)) {
        code = DAEMON_FAILED;
    }
    if (code == DAEMON_OK) {
        say_ready(d);
        (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    } else {
        code = complain(d, code, d->state.why);
    }
    shut(d);
    return code;
}

/* None of these ends the daemon: SIGHUP reloads once the loop runs, and none of the others means anything to it. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGXFSZ};
    for (size_t ix = 0; ix < sizeof(ignored) / sizeof(ignored[0]); ix++) {
        (void)signal(ignored[ix], SIG_IGN);
    }
}

/*
 * The passphrase: of --passphrase-fd, else systemd's credential, else, where the keys are encrypted, of the terminal;
 * who started us through a pipe has been there before.  It stays in memory until the keys are open.
 */
static int unlock(struct daemon *d, const char *dir)
{
    struct passphrase p;
    char prompt[PATH_LEN + 40];
    bool ok = d->options->passphrase_fd != NULL
                  ? passphrase_from_option(&p, d->options->passphrase_fd)
                  : passphrase_from_credential(&p);
    if (ok && p.len == 0 && d->notify_fd < 0 && vault_encrypted(dir) && passphrase_can_ask()) {
        (void)snprintf(prompt, sizeof(prompt), "Passphrase of %s: ", dir);
        ok = passphrase_ask(&p, prompt);
    }
    int code = DAEMON_STATE;
    if (ok) {
        code = (int)state_unlock(&d->state, &p);
    } else {
        (void)snprintf(d->state.why, sizeof(d->state.why), "%s", p.why);
    }
    passphrase_wipe(&p);
    return code;
}

static int run(struct daemon *d, const char *dir)
{
    ignore_signals();
    (void)prctl(PR_SET_DUMPABLE, 0); /* keys do not go into core files */
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    int code = process_begin(d, dir) ? (int)state_open(&d->state, dir) : DAEMON_FAILED;
    if (code == DAEMON_OK) {
        code = open_log(d);
    }
    if (code == DAEMON_OK) {
        code = unlock(d, dir);
    }
    if (code == DAEMON_OK) {
        char store[PATH_LEN];
        (void)store_where(&d->conf, dir, store);
        code = (int)state_identity(&d->state, store, &d->identity);
    }
    if (code == DAEMON_OK) {
        state_origin(&d->state, &d->log);
    }
    if (code == DAEMON_OK && !process_confine(d)) {
        code = DAEMON_FAILED;
    }
    d->rec = code == DAEMON_OK ? malloc(sizeof(*d->rec)) : NULL;
    if (code == DAEMON_OK && (d->rec == NULL || uv_loop_init(&d->loop) != 0)) {
        (void)snprintf(d->state.why, sizeof(d->state.why), "out of memory");
        code = DAEMON_FAILED;
    }
    if (code != DAEMON_OK) {
        code = complain(d, code, d->state.why);
    } else {
        d->since_ns = mono_ns();
        code = serve(d);
    }
    free(d->rec);
    qudag_identity_free(d->identity);
    state_close(&d->state);
    return code;
}

/* The configuration alone, with an identity made for the occasion: nothing is touched.  What is
 * printed is what a daemon would start with, so it is checked as well. */
static int check(struct daemon *d, bool print)
{
    qudag_settings s;
    qudag_identity *id = NULL;
    if (qudag_identity_generate(&id) != QUDAG_OK) {
        return complain(d, DAEMON_FAILED, "cannot generate keys");
    }
    settings_from(&s, &d->conf, id);
    qudag_err err = qudag_node_check(&s, d->state.why, sizeof(d->state.why));
    qudag_identity_free(id);
    const char *metrics = d->conf.v[CONF_METRICS_LISTEN].text;
    bool web = d->conf.v[CONF_METRICS_WEB].num != 0;
    const char *user = d->conf.v[CONF_USER].text;
    bool good = err == QUDAG_OK && scrape_settings(metrics, web, d->state.why, STATE_WHY_LEN) &&
                proxy_check(&d->conf, d->state.why, STATE_WHY_LEN) &&
                (user[0] == 0 || privileges_known(user, d->state.why));
    if (!good) {
        return complain(d, DAEMON_USAGE, d->state.why);
    }
    if (print) {
        conf_print(&d->conf, stdout);
    } else {
        (void)printf("configuration OK\n");
    }
    return DAEMON_OK;
}

static int configure(struct daemon *d, const struct options *o)
{
    char dir[PATH_LEN], file[PATH_LEN];
    if (!conf_init(&d->conf)) {
        return complain(d, DAEMON_FAILED, "out of memory");
    }
    if (!path_state_dir(dir, o->dir)) {
        return complain(d, DAEMON_USAGE,
                        "no state folder: none of --dir, XDG_STATE_HOME and HOME is set");
    }
    bool found = path_join(file, dir, "qudag.conf") && access(file, F_OK) == 0;
    const char *from = o->file != NULL ? o->file : found ? file : "";
    (void)snprintf(d->conf_file, sizeof(d->conf_file), "%s", from);
    d->options = o;
    if (!read_conf(d, &d->conf)) {
        return complain(d, DAEMON_USAGE, d->conf.why);
    }
    return o->print || o->check ? check(d, o->print) : run(d, dir);
}

enum { OPT_CHECK = 256, OPT_PRINT, OPT_REFERENCE, OPT_FOREGROUND, OPT_NOTIFY, OPT_PASSPHRASE };

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"dir", required_argument, NULL, 'd'},
        {"config", required_argument, NULL, 'c'},
        {"check-config", no_argument, NULL, OPT_CHECK},
        {"print-config", no_argument, NULL, OPT_PRINT},
        {"print-reference", no_argument, NULL, OPT_REFERENCE},
        {"foreground", no_argument, NULL, OPT_FOREGROUND},
        {"notify-fd", required_argument, NULL, OPT_NOTIFY},
        {"passphrase-fd", required_argument, NULL, OPT_PASSPHRASE},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct options o = {0};
    if (!fd_fill_standard()) {
        return DAEMON_FAILED;
    }
    struct daemon *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return DAEMON_FAILED;
    }
    log_attach(&d->log, STDERR_FILENO);
    d->notify_fd = -1;
    d->state.lock_fd = -1;
    int c, code = -1;
    while (code < 0 && (c = getopt_long(argc, argv, "d:c:o:Vh", longs, NULL)) != -1) {
        if (optarg != NULL && strncmp(optarg, "--", 2) == 0) {
            (void)fprintf(stderr, "qudagd: the option before %s lacks its value\n", optarg);
            code = DAEMON_USAGE;
        } else if (c == 'd') {
            o.dir = optarg;
        } else if (c == 'c') {
            o.file = optarg;
        } else if (c == 'o' && o.n_set < 64) {
            o.set[o.n_set++] = optarg;
        } else if (c == OPT_CHECK) {
            o.check = true;
        } else if (c == OPT_PRINT) {
            o.print = true;
        } else if (c == OPT_REFERENCE) {
            conf_reference(stdout);
            code = DAEMON_OK;
        } else if (c == OPT_NOTIFY) {
            d->notify_fd = (int)strtol(optarg, NULL, 10);
        } else if (c == OPT_PASSPHRASE) {
            o.passphrase_fd = optarg;
        } else if (c == 'V') {
            (void)printf("qudagd %s\n", QUDAG_VERSION);
            code = DAEMON_OK;
        } else if (c == 'h') {
            (void)fputs(usage_text, stdout);
            code = DAEMON_OK;
        } else if (c != OPT_FOREGROUND) {
            (void)fputs("qudagd --help lists the options\n", stderr);
            code = DAEMON_USAGE;
        }
    }
    if (code < 0 && optind < argc) {
        (void)fprintf(stderr, "qudagd: %s: not an option; qudagd --help lists them\n",
                      argv[optind]);
        code = DAEMON_USAGE;
    }
    if (code < 0) {
        code = configure(d, &o);
    }
    conf_fini(&d->conf);
    log_close(&d->log);
    free(d);
    return code;
}
