/* confine_test.c - what a confined process still can, and what it no longer can, each tried in a child of its own. */
#include <cmocka.h>

#include "confine.h"
#include "testkit_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static char folder[] = "/tmp/confine.XXXXXX"; /* the one that is granted is in it */
static char ours[64], other[64];

static void path(char to[128], const char *dir, const char *name)
{
    (void)snprintf(to, 128, "%s/%s", dir, name);
}

static bool can_write(const char *dir, const char *name)
{
    char file[128];
    path(file, dir, name);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, "x", 1) == 1;
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

static int confined_to_ours(void)
{
    char why[CONFINE_WHY_LEN];
    const char *dirs[] = {ours, "/tmp/there is no such folder"};
    if (!confine_files(dirs, 2, why)) {
        (void)fprintf(stderr, "confine_files: %s\n", why);
        return CHILD_SKIP;
    }
    return 0;
}

static int files(void)
{
    char a[128], b[128], outside[128];
    path(a, ours, "a");
    path(b, ours, "b");
    path(outside, other, "was there");
    EXPECT(can_write(other, "was there"));
    int err = confined_to_ours();
    if (err != 0) {
        return err;
    }
    EXPECT(can_write(ours, "a"));
    EXPECT(truncate(a, 0) == 0 && rename(a, b) == 0 && link(b, a) == 0 && unlink(b) == 0);
    EXPECT(mkdir(b, 0700) == 0 && rmdir(b) == 0);
    EXPECT(open("/dev/null", O_WRONLY | O_CLOEXEC) >= 0);
    EXPECT(!can_write(other, "new") && errno == EACCES);
    EXPECT(!can_write(other, "was there") && errno == EACCES);
    EXPECT(unlink(outside) == -1 && errno == EACCES);
    EXPECT(truncate(outside, 0) == -1 && errno == EACCES);
    EXPECT(rename(a, outside) == -1 && (errno == EACCES || errno == EXDEV));
    EXPECT(symlink("/etc/passwd", b) == -1 && errno == EACCES);
    EXPECT(open(outside, O_RDONLY | O_CLOEXEC) >= 0); /* sending names any file of the user's */
    EXPECT(execl("/bin/true", "true", (char *)NULL) == -1 && errno == EACCES);
    return 0;
}

/* The C library's loader, a program that needs nothing else to run: copied to |to|, from where this process has it. */
static bool copy_loader(const char *to)
{
    char line[512];
    const char *from = NULL;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && from == NULL && fgets(line, sizeof(line), maps) != NULL) {
        line[strcspn(line, "\n")] = 0;
        from = strstr(line, "/ld-") == NULL ? NULL : strchr(line, '/');
    }
    FILE *in = from == NULL ? NULL : fopen(from, "re"), *out = fopen(to, "we");
    bool ok = in != NULL && out != NULL;
    for (int c; ok && (c = getc(in)) != EOF;) {
        ok = putc(c, out) != EOF;
    }
    ok = out != NULL && fclose(out) == 0 && ok && chmod(to, 0700) == 0;
    if (in != NULL) {
        (void)fclose(in);
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    return ok;
}

/* Whoever can write there must not be able to start what he has written. */
static int a_program_in_our_folder(void)
{
    char program[128];
    path(program, ours, "a");
    EXPECT(copy_loader(program));
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(STDOUT_FILENO);
        (void)execl(program, "loader", "--version", (char *)NULL);
        _exit(1);
    }
    int status = 0, err = 0;
    EXPECT(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    EXPECT(WEXITSTATUS(status) == 0);
    err = confined_to_ours();
    if (err != 0) {
        return err;
    }
    EXPECT(execl(program, "loader", "--version", (char *)NULL) == -1 && errno == EACCES);
    return 0;
}

/* That would be a daemon which cannot write what it must. */
static int a_folder_that_cannot_be_granted(void)
{
    char why[CONFINE_WHY_LEN];
    const char *dirs[] = {ours, "/dev/null/below a file"};
    EXPECT(!confine_files(dirs, 2, why) && strlen(why) > 0);
    EXPECT(can_write(other, "was there"));
    return 0;
}

static void *try_a_program(void *arg)
{
    int *turn = arg;
    while (__atomic_load_n(turn, __ATOMIC_ACQUIRE) == 0) {
        (void)sched_yield();
    }
    bool ok = execl("/bin/true", "true", (char *)NULL) == -1 && errno == EPERM;
    return ok ? turn : NULL;
}

static int calls(void)
{
    char why[CONFINE_WHY_LEN];
    pthread_t before, after;
    int turn = 0;
    void *result;
    EXPECT(pthread_create(&before, NULL, try_a_program, &turn) == 0);
    EXPECT(confine_calls(why));
    __atomic_store_n(&turn, 1, __ATOMIC_RELEASE);
    EXPECT(pthread_join(before, &result) == 0 &&
           result != NULL); /* threads that ran already, too */
    EXPECT(pthread_create(&after, NULL, try_a_program, &turn) == 0);
    EXPECT(pthread_join(after, &result) == 0 && result != NULL);

    EXPECT(execl("/bin/true", "true", (char *)NULL) == -1 && errno == EPERM);
    EXPECT(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) == -1 && errno == EPERM);
    EXPECT(syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS);
    EXPECT(unshare(CLONE_NEWUSER) == -1 && errno == EPERM);
    EXPECT(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1 && errno == EPERM);
    EXPECT(kill(getppid(), 0) == -1 && errno == EPERM);
    EXPECT(setuid(getuid()) == -1 && errno == EPERM);
    EXPECT(chroot("/") == -1 && errno == EPERM);
    EXPECT(mount("none", "/mnt", "tmpfs", 0, NULL) == -1 && errno == EPERM);
    EXPECT(syscall(SYS_bpf, 0, NULL, 0) == -1 && errno == EPERM);
    EXPECT(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) == -1 && errno == EPERM);
    EXPECT(syscall(SYS_io_uring_setup, 1, NULL) == -1 && errno == ENOSYS);
    EXPECT(socket(AF_PACKET, SOCK_RAW, 0) == -1 && errno == EPERM);
    EXPECT(socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT) == -1 && errno == EPERM);
    EXPECT(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) == MAP_FAILED &&
           errno == EPERM);
    /* Neither types into the terminal it was started from; the kernel looks at 32 bits of the number. */
    EXPECT(ioctl(STDIN_FILENO, TIOCSTI, "x") == -1 && errno == EPERM);
    EXPECT(syscall(SYS_ioctl, STDIN_FILENO, UINT64_C(1) << 32 | TIOCSTI, "x") == -1 &&
           errno == EPERM);
    EXPECT(ioctl(STDIN_FILENO, TIOCLINUX, "x") == -1 && errno == EPERM);
    struct rlimit limit;
    EXPECT(prlimit(getppid(), RLIMIT_NOFILE, NULL, &limit) == -1 && errno == EPERM);
    return 0;
}

static int what_a_node_does(void)
{
    char why[CONFINE_WHY_LEN];
    EXPECT(confine_calls(why));
    void *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(m != MAP_FAILED && mprotect(m, 4096, PROT_READ) == 0 && munmap(m, 4096) == 0);
    EXPECT(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    EXPECT(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0);
    EXPECT(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 || errno == EAFNOSUPPORT);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    EXPECT(fd >= 0 && ioctl(fd, FIONBIO, &one) == 0 && ioctl(fd, FIOCLEX) == 0);
    EXPECT(if_nametoindex("lo") != 0);
    EXPECT(socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG) >= 0);
    EXPECT(can_write(ours, "plain"));
    struct rlimit limit;
    EXPECT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    return 0;
}

static void files_are_written_in_our_folders_only(void **state)
{
    (void)state;
    in_a_child(files);
}

static void nothing_in_them_is_started(void **state)
{
    (void)state;
    in_a_child(a_program_in_our_folder);
}

static void without_one_of_them_it_says_so(void **state)
{
    (void)state;
    in_a_child(a_folder_that_cannot_be_granted);
}

static void no_thread_has_other_system_calls(void **state)
{
    (void)state;
    in_a_child(calls);
}

static void what_a_node_needs_still_works(void **state)
{
    (void)state;
    in_a_child(what_a_node_does);
}

static int set_up(void **state)
{
    (void)state;
    bool ok = mkdtemp(folder) != NULL;
    (void)snprintf(ours, sizeof(ours), "%s/ours", folder);
    (void)snprintf(other, sizeof(other), "%s/other", folder);
    return ok && mkdir(ours, 0700) == 0 && mkdir(other, 0700) == 0 ? 0 : -1;
}

static int clean_up(void **state)
{
    static const char *const names[] = {"a", "plain", "was there"};
    char file[128];
    (void)state;
    for (size_t ix = 0; ix < 3; ix++) {
        path(file, ours, names[ix]);
        (void)unlink(file);
        path(file, other, names[ix]);
        (void)unlink(file);
    }
    return rmdir(ours) == 0 && rmdir(other) == 0 && rmdir(folder) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_written_in_our_folders_only),
        cmocka_unit_test(nothing_in_them_is_started),
        cmocka_unit_test(without_one_of_them_it_says_so),
        cmocka_unit_test(no_thread_has_other_system_calls),
        cmocka_unit_test(what_a_node_needs_still_works),
    };
    return cmocka_run_group_tests(tests, set_up, clean_up);
}
