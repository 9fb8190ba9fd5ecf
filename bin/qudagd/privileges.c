/* privileges.c - from root to a user, by libcap-ng; locked memory. */
#include "privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder is the user's, if it is made here; what is there is left as it is. */
static bool make_dir(const char *dir, const struct passwd *pw)
{
    if (mkdir(dir, 0700) != 0) {
        return errno == EEXIST ||
               errno == ENOENT; /* a parent that lacks: who opens the folder says so */
    }
    return chown(dir, pw->pw_uid, pw->pw_gid) == 0;
}

bool privileges_become(const char *user, const char *dir, char why[PRIVILEGES_WHY_LEN])
{
    const struct passwd *pw = getpwnam(user);
    if (pw == NULL) {
        (void)snprintf(why, PRIVILEGES_WHY_LEN, "[process] user: there is no user %.60s", user);
        return false;
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
