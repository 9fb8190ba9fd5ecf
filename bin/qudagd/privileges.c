/* privileges.c - from root to a user, by libcap-ng; locked memory. */
#include "privileges.h"

#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const of_tool[] = {"qudagd.log", "qudag.conf"};
#define OF_TOOL (sizeof(of_tool) / sizeof(of_tool[0]))

static bool is_of_tool(const char *name)
{
    bool found = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    for (size_t ix = 0; ix < OF_TOOL; ix++) {
        found = found || strcmp(name, of_tool[ix]) == 0;
    }
    return found;
}

/* Whether in the folder |fd|, of root and closed to others, is nothing but what `qudag up` begins. */
static bool is_new(int fd)
{
    struct stat st;
    const struct dirent *e;
    bool ok = fstat(fd, &st) == 0 && st.st_uid == 0 && (st.st_mode & 077) == 0;
    int own = ok ? openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    DIR *list = own < 0 ? NULL : fdopendir(own);
    while (list != NULL && ok && (e = readdir(list)) != NULL) {
        ok = is_of_tool(e->d_name);
    }
    if (list != NULL) {
        (void)closedir(list);
    }
    return ok && list != NULL;
}

/*
 * The folder is the user's, if it is made here or was made by `qudag up` just now; anything else is left as it is. Only
 * root can put something into it in between.
 */
static bool make_dir(const char *dir, const struct passwd *pw)
{
    bool made = mkdir(dir, 0700) == 0;
    if (!made && errno != EEXIST) {
        return errno == ENOENT; /* a parent that lacks: who opens the folder says so */
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool ok = !made;
    if (fd >= 0 && (made || is_new(fd))) {
        ok = true;
        for (size_t ix = 0; ok && ix < OF_TOOL; ix++) {
            ok = fchownat(fd, of_tool[ix], pw->pw_uid, pw->pw_gid, AT_SYMLINK_NOFOLLOW) == 0 ||
                 errno == ENOENT;
        }
        ok = ok && fchown(fd, pw->pw_uid, pw->pw_gid) == 0;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

bool privileges_known(const char *user, char why[PRIVILEGES_WHY_LEN])
{
    if (getpwnam(user) != NULL) {
        return true;
    }
    (void)snprintf(
        why, PRIVILEGES_WHY_LEN,
        "[process] user: there is no user %.60s on this machine (getent passwd lists them)", user);
    return false;
}

bool privileges_become(const char *user, const char *dir, char why[PRIVILEGES_WHY_LEN])
{
    const struct passwd *pw = getpwnam(user);
    if (pw == NULL) {
        return privileges_known(user, why);
    }
    if (geteuid() == pw->pw_uid && getuid() == pw->pw_uid) {
        return true;
    }
    if (geteuid() != 0) {
        (void)snprintf(why, PRIVILEGES_WHY_LEN,
                       "[process] user: only root can become %.60s; start as root, or as that user",
                       user);
        return false;
    }
    if (!make_dir(dir, pw)) {
        (void)snprintf(why, PRIVILEGES_WHY_LEN, "%.100s: cannot be given to %.40s: %s", dir, user,
                       strerror(errno));
        return false;
    }
    capng_clear(CAPNG_SELECT_BOTH);
    int err = capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_BIND_SERVICE,
                            CAP_IPC_LOCK, -1);
    if (err == 0) {
        err = capng_change_id((int)pw->pw_uid, (int)pw->pw_gid,
                              CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
    }
    if (err != 0) {
        (void)snprintf(why, PRIVILEGES_WHY_LEN, "cannot become %.60s (capng_change_id: %d)", user,
                       err);
    }
    return err == 0;
}

static bool lock_limit_infinite(void)
{
    struct rlimit now;
    return getrlimit(RLIMIT_MEMLOCK, &now) == 0 && now.rlim_cur == RLIM_INFINITY;
}

/* Whether pages of this process are locked now. */
static bool memory_locked(void)
{
    char line[128];
    unsigned long locked = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "VmLck:", 6) == 0) {
            locked = strtoul(line + 6, NULL, 10);
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return locked > 0;
}

bool privileges_drop(char why[PRIVILEGES_WHY_LEN])
{
    int err = 0;
    bool keep = !lock_limit_infinite() && memory_locked() &&
                capng_have_capability(CAPNG_EFFECTIVE, CAP_IPC_LOCK) != 0;
    capng_clear(CAPNG_SELECT_BOTH);
    if (keep) {
        err = capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_IPC_LOCK);
    }
    if (err == 0) {
        err = capng_apply(CAPNG_SELECT_CAPS);
    }
    if (err != 0) {
        (void)snprintf(why, PRIVILEGES_WHY_LEN, "capabilities cannot be given up (capng_apply: %d)",
                       err);
    }
    return err == 0;
}

bool privileges_lock_memory(char why[PRIVILEGES_WHY_LEN])
{
    struct rlimit wanted = {RLIM_INFINITY, RLIM_INFINITY}, now;
    if (!lock_limit_infinite() && setrlimit(RLIMIT_MEMLOCK, &wanted) != 0 &&
        capng_have_capability(CAPNG_EFFECTIVE, CAP_IPC_LOCK) == 0) {
        (void)getrlimit(RLIMIT_MEMLOCK, &now);
        (void)snprintf(why, PRIVILEGES_WHY_LEN,
                       "at most %llu KiB may be locked; LimitMEMLOCK=infinity in the unit, or "
                       "ulimit -l unlimited",
                       (unsigned long long)(now.rlim_max / 1024));
        return false;
    }
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) {
        (void)snprintf(why, PRIVILEGES_WHY_LEN, "mlockall: %s", strerror(errno));
        return false;
    }
    return true;
}
