/* spawn.c - starting daemons, and knowing that they ended. */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOTIFY_FD 3
#define PASSPHRASE_FD 4
#define REAP_TURNS 100 /* of 20 ms */
#define QUDAGD_ARGS_MAX 150
#define ANSWER_MAX 65536 /* bytes of a printed configuration, or of a complaint */

/* Beside this program, else in the search path. */
bool find_qudagd(char out[PATH_LEN])
{
    char self[PATH_LEN];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n > 0) {
        self[n] = 0;
        char *slash = strrchr(self, '/');
        *slash = 0;
        if (path_join(out, self, "qudagd") && access(out, X_OK) == 0) {
            return true;
        }
    }
    const char *path = getenv("PATH");
    for (const char *at = path; at != NULL && *at != 0;) {
        size_t len = strcspn(at, ":");
        if (len > 0 && len + 8 < PATH_LEN) {
            (void)snprintf(out, PATH_LEN, "%.*s/qudagd", (int)len, at);
            if (access(out, X_OK) == 0) {
                return true;
            }
        }
        at += len + (at[len] == ':');
    }
    return false;
}

/* Descriptors 0 to 4 of the daemon (|secret| -1: only to 3).  The copies above 9 keep one dup2() from closing what the
 * next one needs, whatever numbers were free. */
static bool place_descriptors(int notify, int log, int secret)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int high[4] = {fcntl(null, F_DUPFD_CLOEXEC, 10), fcntl(log, F_DUPFD_CLOEXEC, 10),
                   fcntl(notify, F_DUPFD_CLOEXEC, 10),
                   secret < 0 ? -1 : fcntl(secret, F_DUPFD_CLOEXEC, 10)};
    return dup2(high[0], STDIN_FILENO) >= 0 && dup2(high[0], STDOUT_FILENO) >= 0 &&
           dup2(high[1], STDERR_FILENO) >= 0 && dup2(high[2], NOTIFY_FD) >= 0 &&
           (secret < 0 || dup2(high[3], PASSPHRASE_FD) >= 0);
}

/* All that comes from |fd|, as text to be freed, at most ANSWER_MAX; NULL: no memory.  Closes |fd|. */
static char *read_all(int fd)
{
    char *text = malloc(ANSWER_MAX + 1);
    size_t len = 0;
    ssize_t n = 1;
    while (text != NULL && len < ANSWER_MAX && n != 0) {
        n = read(fd, text + len, ANSWER_MAX - len);
        if (n < 0 && errno != EINTR) {
            break;
        }
        len += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    if (text != NULL) {
        text[len] = 0;
    }
    return text;
}

bool exec_qudagd(const char *dir, const char *const *before, const char *const *options)
{
    char program[PATH_LEN];
    const char *argv[QUDAGD_ARGS_MAX + 1] = {program};
    size_t n = 1;
    for (; before != NULL && *before != NULL && n < QUDAGD_ARGS_MAX - 2; before++) {
        argv[n++] = *before;
    }
    argv[n++] = "--dir";
    argv[n++] = dir;
    for (; options != NULL && *options != NULL && n + 2 <= QUDAGD_ARGS_MAX; options++) {
        argv[n++] = "-o";
        argv[n++] = *options;
    }
    union {
        const char *const *from;
        char *const *to; /* execv() changes nothing of it */
    } plain = {.from = argv};
    if (find_qudagd(program)) {
        (void)execv(program, plain.to);
    }
    return false;
}

static void child(const char *dir, const char *const *options, int notify, int log, int secret)
{
    static const char *const plain[] = {"--notify-fd", "3", NULL};
    static const char *const locked[] = {"--notify-fd", "3", "--passphrase-fd", "4", NULL};
    if (place_descriptors(notify, log, secret)) {
        (void)setsid();
        (void)exec_qudagd(dir, secret < 0 ? plain : locked, options);
    }
    _exit(127);
}

/* The reading end of a pipe with the passphrase, which it has room for; -1: there is none, -2: it cannot be made. */
static int passphrase_pipe(const struct passphrase *p)
{
    int ends[2];
    if (p == NULL || p->len == 0) {
        return -1;
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -2;
    }
    int err = fd_write_all(ends[1], p->text, p->len);
    close(ends[1]);
    if (err != 0) {
        close(ends[0]);
        return -2;
    }
    return ends[0];
}

int ask_qudagd(const char *dir, const char *const *before, const char *const *options, char **out,
               char **complaint)
{
    int pipes[2][2];
    if (pipe2(pipes[0], O_CLOEXEC) != 0) {
        return -1;
    }
    if (pipe2(pipes[1], O_CLOEXEC) != 0) {
        close(pipes[0][0]);
        close(pipes[0][1]);
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        int high[2] = {fcntl(pipes[0][1], F_DUPFD_CLOEXEC, 10),
                       fcntl(pipes[1][1], F_DUPFD_CLOEXEC, 10)};
        if (dup2(high[0], STDOUT_FILENO) >= 0 && dup2(high[1], STDERR_FILENO) >= 0) {
            (void)exec_qudagd(dir, before, options);
        }
        _exit(127);
    }
    close(pipes[0][1]);
    close(pipes[1][1]);
    /* What it complains of is one sentence, which a pipe holds: one after the other will do. */
    *out = read_all(pipes[0][0]);
    *complaint = read_all(pipes[1][0]);
    int status = -1;
    bool ended = pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status);
    return ended && *out != NULL && *complaint != NULL ? WEXITSTATUS(status) : -1;
}

/* "ready", or "CODE sentence" of a daemon that gives up. */
static int read_word(int fd, char *why, size_t why_len)
{
    char text[4400];
    size_t len = 0;
    ssize_t n;
    while (len < sizeof(text) - 1 &&
           ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0 || (n < 0 && errno == EINTR))) {
        len += n > 0 ? (size_t)n : 0;
    }
    text[len] = 0;
    if (strcmp(text, "ready\n") == 0) {
        return 0;
    }
    char *end;
    long code = strtol(text, &end, 10);
    if (end == text || code <= 0 || code > 125) {
        (void)snprintf(why, why_len, "qudagd ended before it was ready");
        return DAEMON_FAILED;
    }
    (void)snprintf(why, why_len, "%s", end + 1);
    why[strcspn(why, "\n")] = 0;
    return (int)code;
}

/* Takes the exit status of a daemon that gave up; one that lives on after all is not waited for. */
static void reap(pid_t pid)
{
    for (unsigned turn = 0; turn < REAP_TURNS && waitpid(pid, NULL, WNOHANG) == 0; turn++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

void give_to_owner(const char *dir, int fd)
{
    struct stat folder, file;
    if (geteuid() == 0 && stat(dir, &folder) == 0 && folder.st_uid != 0 && fstat(fd, &file) == 0 &&
        S_ISREG(file.st_mode) && file.st_uid == 0 && file.st_nlink == 1) {
        (void)!fchown(fd, folder.st_uid, folder.st_gid); /* the daemon says what it cannot open */
    }
}

int spawn_daemon(const char *dir, const char *const *options, const struct passphrase *passphrase,
                 char *why, size_t why_len)
{
    char log_path[PATH_LEN], program[PATH_LEN];
    int pipes[2];
    if (!find_qudagd(program)) {
        (void)snprintf(why, why_len, "qudagd is neither beside qudag nor in the search path");
        return DAEMON_FAILED;
    }
    int err = dir_make(dir, 0700);
    int by_root = geteuid() == 0
                      ? O_NOFOLLOW
                      : 0; /* the folder may be somebody's, who must not lead root elsewhere */
    int log = err == 0 && path_join(log_path, dir, "qudagd.log")
                  ? open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | by_root, 0600)
                  : -1;
    if (log < 0 || pipe2(pipes, O_CLOEXEC) != 0) {
        (void)snprintf(why, why_len, "%s: %s", dir, strerror(err != 0 ? err : errno));
        return DAEMON_FAILED;
    }
    give_to_owner(dir, log);
    int secret = passphrase_pipe(passphrase);
    pid_t pid = secret == -2 ? -1 : fork();
    if (pid == 0) {
        child(dir, options, pipes[1], log, secret);
    }
    if (secret >= 0) {
        close(secret);
    }
    close(pipes[1]);
    close(log);
    int code = pid < 0 ? DAEMON_FAILED : read_word(pipes[0], why, why_len);
    close(pipes[0]);
    if (code != 0 && pid > 0) {
        reap(pid);
    }
    return code;
}

long daemon_pid(const char *dir)
{
    char path[PATH_LEN], text[32] = "";
    int fd = path_join(path, dir, "lock") ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return 0;
    }
    bool free_now = flock(fd, LOCK_SH | LOCK_NB) == 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    return free_now || n <= 0 ? 0 : strtol(text, NULL, 10);
}

bool wait_gone(const char *dir, unsigned seconds)
{
    for (unsigned turn = 0; turn < seconds * 50; turn++) {
        if (daemon_pid(dir) == 0) {
            return true;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return false;
}
