/* process.c - applies [process] to the daemon. */
#include "process.h"

#include "confine.h"
#include "privileges.h"
#include "start.h"

#include "common/fileio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0 /* 1: the sanitizer starts processes and reads /proc/self/mem at the end */
#endif

enum { AUTO, YES, NO }; /* as the words of CONF_SANDBOX and CONF_LOCK_MEMORY */

static bool wanted(const struct daemon *d, enum conf_key key)
{
    int64_t word = d->conf.v[key].num;
    return word == YES || (word == AUTO && !SANITIZED);
}

/* A failure where "yes" was asked for ends the daemon; where it may or may not be, it is kept for the log. */
static bool settle(struct daemon *d, enum conf_key key, bool ok, const char *why, char *note)
{
    (void)snprintf(note, PROCESS_NOTE_LEN, "%s%s", ok ? "yes" : "no: ", ok ? "" : why);
    if (ok || d->conf.v[key].num != YES) {
        return true;
    }
    (void)snprintf(d->state.why, sizeof(d->state.why), "[process] %s = yes: %s",
                   conf_table[key].key, why);
    return false;
}

bool process_begin(struct daemon *d, const char *dir)
{
    char why[PRIVILEGES_WHY_LEN] = "not asked for";
    const char *user = d->conf.v[CONF_USER].text;
    bool locked = wanted(d, CONF_LOCK_MEMORY) && privileges_lock_memory(why);
    if (!settle(d, CONF_LOCK_MEMORY, locked, why, d->memory_note)) {
        return false;
    }
    if (user[0] != 0 && !privileges_become(user, dir, why)) {
        (void)snprintf(d->state.why, sizeof(d->state.why), "%s", why);
        return false;
    }
    return true;
}

/* Writes the folder of the file |path| into |dir|; false: it has none, or there is no such setting. */
static bool folder_of(const char *path, char dir[PATH_LEN])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    if (path[0] == 0 || len >= PATH_LEN) {
        return false;
    }
    (void)snprintf(dir, PATH_LEN, "%.*s", (int)(len > 0 ? len : 1),
                   len > 0         ? path
                   : slash == path ? "/"
                                   : ".");
    return true;
}

/* The folders that are written: the state folder and what the configuration has outside of it.  Returns how many. */
static size_t written_folders(const struct daemon *d, const char *dirs[5], char store[PATH_LEN],
                              char log[PATH_LEN], char metrics[PATH_LEN])
{
    size_t n = 0;
    const char *inbox = d->conf.v[CONF_INBOX_DIR].text,
               *listen = d->conf.v[CONF_METRICS_LISTEN].text;
    dirs[n++] = d->state.dir;
    if (store_where(&d->conf, d->state.dir, store) && store[0] != 0) {
        (void)mkdir(store, 0700); /* as the library would, which no longer could outside */
        dirs[n++] = store;
    }
    if (inbox[0] != 0) {
        (void)mkdir(inbox, 0700);
        dirs[n++] = inbox;
    }
    if (folder_of(d->conf.v[CONF_LOG_FILE].text, log)) { /* SIGHUP opens it again */
        dirs[n++] = log;
    }
    if (strncmp(listen, "unix:", 5) == 0 && folder_of(listen + 5, metrics)) {
        dirs[n++] = metrics;
    }
    return n;
}

bool process_confine(struct daemon *d)
{
    char why[CONFINE_WHY_LEN] = "not asked for", store[PATH_LEN], log[PATH_LEN], metrics[PATH_LEN];
    const char *dirs[5];
    size_t n = written_folders(d, dirs, store, log, metrics);
    bool want = wanted(d, CONF_SANDBOX), ok = want && confine_files(dirs, n, why);
    if (!settle(d, CONF_SANDBOX, ok, why, d->files_note)) {
        return false;
    }
    ok = want && confine_calls(why);
    return settle(d, CONF_SANDBOX, ok, why, d->calls_note);
}

const char *process_denied(const struct daemon *d, int err)
{
    return err == EACCES && strcmp(d->files_note, "yes") == 0
               ? " (the sandbox lets the daemon write its own folders only; another one takes a "
                 "restart)"
               : "";
}

bool process_ready(struct daemon *d)
{
    char why[PRIVILEGES_WHY_LEN];
    if (d->conf.v[CONF_USER].text[0] != 0 && !privileges_drop(why)) {
        (void)snprintf(d->state.why, sizeof(d->state.why), "%s", why);
        return false;
    }
    log_say(&d->log, QUDAG_LOG_INFO, "process.confined",
            "uid %ld; writes below its folders only: %s; system calls filtered: %s; memory locked: "
            "%s",
            (long)geteuid(), d->files_note, d->calls_note, d->memory_note);
    return true;
}
