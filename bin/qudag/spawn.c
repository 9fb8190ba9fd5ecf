/* spawn.c - starting daemons, and knowing that they ended. */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOTIFY_FD 3

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

static void child(const char *dir, const char *const *options, int notify, int log)
{
    char program[PATH_LEN];
    char *argv[80];
    size_t n = 0;
    static char copy[80][512]; /* this process is about to become another */
    int null = open("/dev/null", O_RDWR);
    if (!find_qudagd(program) || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
        dup2(log, 2) < 0) {
        _exit(127);
    }
    if (notify == NOTIFY_FD) {
        (void)fcntl(notify, F_SETFD, 0);
    } else if (dup2(notify, NOTIFY_FD) < 0) {
        _exit(127);
    }
    const char *fixed[] = {program, "--notify-fd", "3", "--dir", dir};
    for (size_t ix = 0; ix < 5; ix++) {
        (void)snprintf(copy[n], sizeof(copy[n]), "%s", fixed[ix]);
        n++;
    }
    for (; options != NULL && *options != NULL && n < 77; options++) {
        (void)snprintf(copy[n++], sizeof(copy[0]), "-o");
        (void)snprintf(copy[n++], sizeof(copy[0]), "%s", *options);
    }
    for (size_t ix = 0; ix < n; ix++) {
        argv[ix] = copy[ix];
    }
    argv[n] = NULL;
    (void)setsid();
    (void)execv(program, argv);
    _exit(127);
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
        (void)snprintf(why, why_len, "qudagd ended before it was ready; its log tells more");
        return DAEMON_FAILED;
    }
    (void)snprintf(why, why_len, "%s", end + 1);
    why[strcspn(why, "\n")] = 0;
    return (int)code;
}

int spawn_daemon(const char *dir, const char *const *options, char *why, size_t why_len)
{
    char log_path[PATH_LEN], program[PATH_LEN];
    int pipes[2];
    if (!find_qudagd(program)) {
        (void)snprintf(why, why_len, "qudagd is neither beside qudag nor in the search path");
        return DAEMON_FAILED;
    }
    int err = dir_make(dir, 0700);
    int log = err == 0 && path_join(log_path, dir, "qudagd.log")
                  ? open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)
                  : -1;
    if (log < 0 || pipe2(pipes, O_CLOEXEC) != 0) {
        (void)snprintf(why, why_len, "%s: %s", dir, strerror(err != 0 ? err : errno));
        return DAEMON_FAILED;
    }
    pid_t pid = fork();
    if (pid == 0) {
        child(dir, options, pipes[1], log);
    }
    close(pipes[1]);
    close(log);
    int code = pid < 0 ? DAEMON_FAILED : read_word(pipes[0], why, why_len);
    close(pipes[0]);
    if (code != 0 && pid > 0) {
        (void)waitpid(pid, NULL, 0);
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
