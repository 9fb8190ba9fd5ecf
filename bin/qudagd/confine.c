/* confine.c - Landlock for files, seccomp for system calls. */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ------------------------------------------------------------------ files */

/* Of the third version of the interface (Linux 6.2), which older headers do not name. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (UINT64_C(1) << 14)
#endif

#define MAKE_AND_REMOVE                                                                            \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |  \
     LANDLOCK_ACCESS_FS_MAKE_SOCK)
#define NEVER                                                                                      \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |   \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* What version |abi| of the interface can grant below a folder of ours. */
static uint64_t granted(long abi)
{
    return MAKE_AND_REMOVE | (abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0) |
           (abi >= 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0);
}

static bool allow_below(int rules, const char *dir, uint64_t access)
{
    struct landlock_path_beneath_attr below = {.allowed_access = access};
    below.parent_fd = open(dir, O_PATH | O_CLOEXEC);
    if (below.parent_fd < 0) {
        return errno == ENOENT;
    }
    long err = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0);
    (void)close(below.parent_fd);
    return err == 0;
}

bool confine_files(const char *const *dirs, size_t n, char why[CONFINE_WHY_LEN])
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct landlock_ruleset_attr attr = {.handled_access_fs = granted(abi) | NEVER};
    int rules = abi < 1 ? -1 : (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    bool ok = rules >= 0;
    for (size_t ix = 0; ok && ix < n; ix++) {
        ok = allow_below(rules, dirs[ix], granted(abi));
    }
    ok = ok && allow_below(rules, "/dev/null", LANDLOCK_ACCESS_FS_WRITE_FILE) &&
         prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    if (!ok) {
        (void)snprintf(why, CONFINE_WHY_LEN, "%s",
                       abi < 1 ? "this kernel has no Landlock, or it is switched off"
                               : strerror(errno));
    }
    if (rules >= 0) {
        (void)close(rules);
    }
    return ok;
}

/* ------------------------------------------------------------------ system calls */

/* What the daemon, its libraries and the C library use, by subject. */
static const char *const allowed[] = {
    /* descriptors */
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev",
    "pwritev2", "close", "close_range", "lseek", "dup", "dup2", "dup3", "pipe", "pipe2", "fcntl",
    "fcntl64", "flock", "sendfile", "copy_file_range",
    /* files */
    "open", "openat", "stat", "stat64", "fstat", "fstat64", "lstat", "lstat64", "newfstatat",
    "fstatat64", "statx", "statfs", "statfs64", "fstatfs", "fstatfs64", "access", "faccessat",
    "faccessat2", "readlink", "readlinkat", "getdents64", "getcwd", "mkdir", "mkdirat", "rmdir",
    "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "chmod", "fchmod",
    "fchmodat", "utimensat", "umask", "truncate", "ftruncate", "fallocate", "fadvise64", "fsync",
    "fdatasync", "sync_file_range",
    /* memory */
    "munmap", "mremap", "madvise", "brk", "mlock", "mlock2", "munlock", "mlockall", "munlockall",
    "membarrier", "mincore", "msync",
    /* threads, signals, time */
    "set_robust_list", "set_tid_address", "rseq", "futex", "sched_yield", "sched_getaffinity",
    "sched_setaffinity", "sched_getparam", "sched_getscheduler", "gettid", "getpid", "getppid",
    "exit", "exit_group", "tgkill", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
    "rt_sigtimedwait", "rt_sigpending", "sigaltstack", "restart_syscall", "nanosleep",
    "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time", "times",
    "getrusage", "sysinfo", "uname", "getrlimit", "getrandom", "getuid", "geteuid", "getgid",
    "getegid", "getgroups", "getcpu", "prctl", "arch_prctl", "capget", "capset",
    /* sockets and waiting */
    "socketpair", "bind", "listen", "accept", "accept4", "connect", "getsockname", "getpeername",
    "getsockopt", "setsockopt", "send", "sendto", "sendmsg", "sendmmsg", "recv", "recvfrom",
    "recvmsg", "recvmmsg", "shutdown", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait",
    "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "timerfd_create", "timerfd_settime",
    "timerfd_gettime", "signalfd4", "poll", "ppoll", "select", "pselect6", "_newselect",
    "inotify_init1", "inotify_add_watch", "inotify_rm_watch"};

/* Newer calls which the C library and libuv do without when told so by ENOSYS. */
static const char *const unknown[] = {"clone3",         "openat2",     "fchmodat2",
                                      "io_uring_setup", "futex_waitv", "map_shadow_stack"};

static bool allow(scmp_filter_ctx f, const char *name)
{
    int nr = seccomp_syscall_resolve_name(name);
    return nr == __NR_SCMP_ERROR || seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 0) == 0;
}

/* That an argument of a call is this. */
static struct scmp_arg_cmp is(unsigned arg, uint64_t value)
{
    return (struct scmp_arg_cmp){.arg = arg, .op = SCMP_CMP_EQ, .datum_a = value, .datum_b = 0};
}

/* Sockets of the kinds that the node and the search for a connection's owner need. */
static bool allow_sockets(scmp_filter_ctx f)
{
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
    bool ok = true;
    for (size_t ix = 0; ok && ix < sizeof(families) / sizeof(families[0]); ix++) {
        ok = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                              is(0, (uint64_t)families[ix])) == 0;
    }
    static const int netlink[] = {NETLINK_ROUTE, NETLINK_SOCK_DIAG};
    for (size_t ix = 0; ok && ix < sizeof(netlink) / sizeof(netlink[0]); ix++) {
        ok = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, is(0, AF_NETLINK),
                              is(2, (uint64_t)netlink[ix])) == 0;
    }
    return ok;
}

/* Of descriptors, names of interfaces, the size of a terminal; not what types into one (TIOCSTI, TIOCLINUX). */
static bool allow_ioctls(scmp_filter_ctx f)
{
    static const uint64_t known[] = {FIONBIO, FIONREAD,   FIOCLEX,     FIONCLEX,
                                     TCGETS,  TIOCGWINSZ, SIOCGIFNAME, SIOCGIFINDEX};
    bool ok = true;
    for (size_t ix = 0; ok && ix < sizeof(known) / sizeof(known[0]); ix++) {
        ok = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, is(1, known[ix])) == 0;
    }
    return ok;
}

/* Memory that is never executable, threads but no processes, limits of this process only. */
static bool allow_partly(scmp_filter_ctx f)
{
    static const int mapping[] = {SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect)};
    bool ok = true;
    for (size_t ix = 0; ok && ix < sizeof(mapping) / sizeof(mapping[0]); ix++) {
        ok = seccomp_rule_add(f, SCMP_ACT_ALLOW, mapping[ix], 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
    }
    return ok &&
           seccomp_rule_add(
               f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
               SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_NEWUSER, CLONE_THREAD)) == 0 &&
           seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, is(0, 0)) == 0;
}

static bool fill(scmp_filter_ctx f)
{
    bool ok = allow_sockets(f) && allow_ioctls(f) && allow_partly(f);
    for (size_t ix = 0; ok && ix < sizeof(allowed) / sizeof(allowed[0]); ix++) {
        ok = allow(f, allowed[ix]);
    }
    for (size_t ix = 0; ok && ix < sizeof(unknown) / sizeof(unknown[0]); ix++) {
        int nr = seccomp_syscall_resolve_name(unknown[ix]);
        ok = nr == __NR_SCMP_ERROR || seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), nr, 0) == 0;
    }
    return ok;
}

bool confine_calls(char why[CONFINE_WHY_LEN])
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int err = f == NULL ? -ENOMEM : 0;
    if (err == 0 && !fill(f)) {
        err = -EINVAL;
    }
    if (err == 0) { /* for threads that run already, too */
        err = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
    }
    if (err == 0) { /* a tree: no call waits for a walk over all of them */
        (void)seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        err = seccomp_load(f);
    }
    if (f != NULL) {
        seccomp_release(f);
    }
    if (err != 0) {
        (void)snprintf(why, CONFINE_WHY_LEN, "the filter of system calls was not accepted: %s",
                       strerror(-err));
    }
    return err == 0;
}
