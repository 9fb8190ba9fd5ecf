/* privileges_test.c - from root to a user and no way back; as anyone else, what is refused. */
#include <cmocka.h>

#include "privileges.h"
#include "testkit_child.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define USER "nobody" /* of every Debian */

static char dir[] = "/tmp/privileges.XXXXXX";
static char made[64];

static int bind_port(uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int err = bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0 ? 0 : errno;
    (void)close(fd);
    return err;
}

static int from_root(void)
{
    char why[PRIVILEGES_WHY_LEN];
    struct stat st;
    EXPECT(privileges_become(USER, made, why));
    EXPECT(getuid() == geteuid() && getuid() != 0 && getgid() != 0 && getgroups(0, NULL) == 0);
    EXPECT(stat(made, &st) == 0 && st.st_uid == getuid() && (st.st_mode & 0777) == 0700);
    EXPECT(bind_port(1023) == 0);
    EXPECT(setuid(0) != 0);
    EXPECT(access("/etc/shadow", R_OK) != 0);
    EXPECT(privileges_drop(why));
    EXPECT(bind_port(1023) == EACCES);
    EXPECT(setuid(0) != 0);
    EXPECT(capng_get_caps_process() == 0 &&
           capng_have_capabilities(CAPNG_SELECT_BOTH) == CAPNG_NONE);
    EXPECT(privileges_become(USER, made, why)); /* who is it already */
    EXPECT(!privileges_become("root", made, why) && strstr(why, "only root can become") != NULL);
    return 0;
}

/* As `qudag up` leaves it to the daemon: a folder of root's with an empty log. */
static bool make_folder(const char *name)
{
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/%s", made, name);
    int fd = mkdir(made, 0700) == 0 ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    return fd >= 0 && close(fd) == 0;
}

/* Removes it again; whose the folder and the file are is as |uid| says. */
static bool folder_was(const char *name, uid_t uid)
{
    char path[96];
    struct stat folder, file;
    (void)snprintf(path, sizeof(path), "%s/%s", made, name);
    bool ok = stat(made, &folder) == 0 && lstat(path, &file) == 0 && folder.st_uid == uid &&
              file.st_uid == uid;
    return unlink(path) == 0 && rmdir(made) == 0 && ok;
}

static int a_folder_of_the_tool(void)
{
    char why[PRIVILEGES_WHY_LEN];
    pid_t pid;
    int status;
    static const char *const names[] = {"qudagd.log", "shadow"};
    for (int ix = 0; ix < 2; ix++) {
        EXPECT(make_folder(names[ix]));
        pid = fork();
        if (pid == 0) {
            _exit(privileges_become(USER, made, why) ? 0 : 1);
        }
        EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
        const struct passwd *pw = getpwnam(USER);
        EXPECT(folder_was(names[ix], ix == 0 ? pw->pw_uid : 0));
    }
    return 0;
}

/* Started by a program that has changed one of the two ids only: it must not go on as root with the other. */
static int from_half_a_user(void)
{
    char why[PRIVILEGES_WHY_LEN];
    const struct passwd *pw = getpwnam(USER);
    uid_t real, effective, saved;
    EXPECT(pw != NULL && setresuid(pw->pw_uid, 0, 0) == 0);
    EXPECT(privileges_become(USER, made, why));
    EXPECT(getresuid(&real, &effective, &saved) == 0);
    EXPECT(real == pw->pw_uid && effective == pw->pw_uid && saved == pw->pw_uid);
    EXPECT(setuid(0) != 0);
    return 0;
}

static int nobody_of_that_name(void)
{
    char why[PRIVILEGES_WHY_LEN];
    EXPECT(!privileges_become("no such user", made, why));
    EXPECT(strstr(why, "there is no user no such user") != NULL);
    EXPECT(access(made, F_OK) != 0);
    return 0;
}

static int memory(void)
{
    char why[PRIVILEGES_WHY_LEN], line[128];
    unsigned long locked = 0;
    EXPECT(privileges_lock_memory(why));
    EXPECT(privileges_become(USER, made, why) && privileges_drop(why));
    EXPECT(bind_port(1023) == EACCES);
    char *later = malloc(16 << 20); /* more than the limit of most systems, 8 MiB */
    EXPECT(later != NULL);
    memset(later, 1, 16 << 20);
    FILE *f = fopen("/proc/self/status", "re");
    EXPECT(f != NULL);
    while (fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "VmLck:", 6) == 0) {
            locked = strtoul(line + 6, NULL, 10);
        }
    }
    (void)fclose(f);
    free(later);
    EXPECT(locked > 16 << 10);
    return 0;
}

static int little_memory(void)
{
    char why[PRIVILEGES_WHY_LEN];
    struct rlimit little = {1 << 16, 1 << 16};
    EXPECT(privileges_become(USER, made, why) && privileges_drop(why));
    EXPECT(setrlimit(RLIMIT_MEMLOCK, &little) == 0);
    EXPECT(!privileges_lock_memory(why) && strstr(why, "at most 64 KiB") != NULL);
    void *still = malloc(8 << 20);
    EXPECT(still != NULL);
    free(still);
    return 0;
}

static void of_root(int (*body)(void))
{
    if (geteuid() != 0) {
        skip();
    }
    in_a_child(body);
}

static void root_becomes_a_user_for_good(void **state)
{
    (void)state;
    of_root(from_root);
}

static void no_id_of_root_is_left(void **state)
{
    (void)state;
    of_root(from_half_a_user);
}

static void a_folder_that_is_new_is_given_to_the_user_and_no_other(void **state)
{
    (void)state;
    of_root(a_folder_of_the_tool);
}

static void a_user_who_does_not_exist_is_named(void **state)
{
    (void)state;
    of_root(nobody_of_that_name);
}

static void memory_that_comes_later_is_locked_too(void **state)
{
    (void)state;
    if (getenv("QUDAG_SANITIZED") != NULL && strcmp(getenv("QUDAG_SANITIZED"), "1") == 0) {
        skip(); /* the address sanitizer replaces mlockall() by nothing */
    }
    of_root(memory);
}

static void with_a_limit_nothing_is_locked(void **state)
{
    (void)state;
    of_root(little_memory);
}

/* What the children have made. */
static int remove_made(void **state)
{
    (void)state;
    (void)rmdir(made);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    bool ok = mkdtemp(dir) != NULL && chmod(dir, 0755) == 0;
    (void)snprintf(made, sizeof(made), "%s/state", dir);
    return ok ? 0 : -1;
}

static int clean_up(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(root_becomes_a_user_for_good, remove_made),
        cmocka_unit_test_teardown(no_id_of_root_is_left, remove_made),
        cmocka_unit_test_teardown(a_folder_that_is_new_is_given_to_the_user_and_no_other,
                                  remove_made),
        cmocka_unit_test_teardown(a_user_who_does_not_exist_is_named, remove_made),
        cmocka_unit_test_teardown(memory_that_comes_later_is_locked_too, remove_made),
        cmocka_unit_test_teardown(with_a_limit_nothing_is_locked, remove_made),
    };
    return cmocka_run_group_tests(tests, set_up, clean_up);
}
