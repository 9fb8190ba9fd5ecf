/* fileio_test.c - words, sizes, and files that are whole or absent. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fileio.h"

static void the_nearest_word_is_found_and_far_ones_are_not(void **state)
{
    (void)state;
    static const char *const list[] = {"listen", "bootstrap", "agent"};
    assert_string_equal(text_nearest("lisen", list, 3), "listen");
    assert_string_equal(text_nearest("bootstraps", list, 3), "bootstrap");
    assert_null(text_nearest("zzzzz", list, 3));
    assert_null(text_nearest("", list, 3));
}

static void numbers_read_well(void **state)
{
    (void)state;
    static const struct {
        uint64_t n;
        const char *text;
    } sizes[] = {{0, "0 B"},        {1023, "1023 B"},       {1024, "1.0 KiB"},
                 {1536, "1.5 KiB"}, {67108864, "64.0 MiB"}, {UINT64_C(3) << 40, "3.0 TiB"}},
      times[] = {{999, "0 us"}, {45000, "45 us"}, {12300000, "12.3 ms"}, {1234567890, "1.23 s"}};
    char out[16];
    for (size_t ix = 0; ix < sizeof(sizes) / sizeof(sizes[0]); ix++) {
        text_bytes(out, sizes[ix].n);
        assert_string_equal(out, sizes[ix].text);
    }
    for (size_t ix = 0; ix < sizeof(times) / sizeof(times[0]); ix++) {
        text_ns(out, times[ix].n);
        assert_string_equal(out, times[ix].text);
    }
    char when[32];
    text_time(when, 1700000000123);
    assert_string_equal(when, "2023-11-14T22:13:20.123Z");
}

static void hex_goes_both_ways_and_refuses_the_rest(void **state)
{
    (void)state;
    char hex[9];
    uint8_t back[4];
    text_hex(hex, (const uint8_t *)"\x01\xab\xff\x00", 4);
    assert_string_equal(hex, "01abff00");
    assert_true(text_unhex(back, 4, "01ABff00"));
    assert_memory_equal(back, "\x01\xab\xff\x00", 4);
    assert_false(text_unhex(back, 4, "01abff0"));
    assert_false(text_unhex(back, 1, "01ab")); /* more than is wanted */
    assert_false(text_unhex(back, 4, "01abfg00"));
    char wild[] = "a\x1b[31mb\n";
    text_tame(wild);
    assert_string_equal(wild, "a?[31mb?");
}

static void files_are_replaced_whole_and_keep_their_mode(void **state)
{
    (void)state;
    char dir[] = "/tmp/qudag-fileio-XXXXXX", deep[PATH_LEN], path[PATH_LEN];
    assert_non_null(mkdtemp(dir));
    assert_true(path_join(deep, dir, "a/b/c"));
    assert_int_equal(dir_make(deep, 0700), 0);
    assert_int_equal(dir_make(deep, 0700), 0);
    assert_true(path_join(path, deep, "f"));
    assert_int_equal(file_write_atomic(path, "one", 3, 0600), 0);
    assert_int_equal(file_write_atomic(path, "longer", 6, 0600), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    uint8_t *bytes = NULL;
    size_t len = 0;
    assert_int_equal(file_read(path, 6, &bytes, &len), 0);
    assert_int_equal(len, 6);
    assert_string_equal((char *)bytes, "longer");
    free(bytes);
    char temp[PATH_LEN],
        victim[PATH_LEN]; /* what is in the temporary file's place is not written to */
    assert_true(path_join(temp, deep, ".new.f") && path_join(victim, deep, "victim"));
    assert_int_equal(file_write_atomic(victim, "precious", 8, 0600), 0);
    for (int kind = 0; kind < 2; kind++) {
        assert_int_equal(kind == 0 ? symlink(victim, temp) : link(victim, temp), 0);
        assert_int_equal(file_write_atomic(path, "longer", 6, 0600), 0);
        assert_int_equal(lstat(temp, &st), -1);
        assert_int_equal(lstat(path, &st), 0);
        assert_true(S_ISREG(st.st_mode) && st.st_size == 6);
        assert_int_equal(stat(victim, &st), 0);
        assert_int_equal(st.st_size, 8);
    }
    assert_int_equal(unlink(victim), 0);
    assert_int_equal(file_read(path, 5, &bytes, &len), EFBIG);
    assert_int_equal(file_read(deep, 5, &bytes, &len), EISDIR);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(file_read(path, 5, &bytes, &len), EINVAL); /* nobody is waited for */
    assert_int_equal(file_write_atomic("/nonexistent-folder/x", "1", 1, 0600), ENOENT);
    assert_int_equal(dir_make(path, 0700), ENOTDIR);
    assert_int_equal(unlink(path), 0);
    for (const char *sub = "a/b/c\0a/b\0a\0"; *sub != 0; sub += strlen(sub) + 1) {
        assert_true(path_join(path, dir, sub));
        assert_int_equal(rmdir(path), 0);
    }
    assert_int_equal(rmdir(dir), 0);
}

static void what_a_link_leads_to_is_given_to_nobody(void **state)
{
    char dir[] = "/tmp/qudag-give-XXXXXX", file[64], link[64];
    struct stat st;
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    assert_non_null(mkdtemp(dir));
    (void)snprintf(file, sizeof(file), "%s/file", dir);
    (void)snprintf(link, sizeof(link), "%s/link", dir);
    assert_int_equal(file_write_atomic(file, "x", 1, 0600), 0);
    assert_int_equal(symlink(file, link), 0);
    assert_int_equal(file_give(link, 12345), 0);
    assert_true(stat(file, &st) == 0 && st.st_uid == 0);
    assert_true(lstat(link, &st) == 0 && st.st_uid == 12345);
    assert_int_equal(file_give(file, 12345), 0);
    assert_true(stat(file, &st) == 0 && st.st_uid == 12345);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(file_give(link, 0), ENOENT);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void a_name_alone_is_a_file_of_the_working_folder(void **state)
{
    char dir[] = "/tmp/qudag-here-XXXXXX";
    struct stat st;
    (void)state;
    int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(file_write_atomic("name", "xy", 2, 0644), 0);
    assert_true(stat("name", &st) == 0 && st.st_size == 2);
    assert_int_equal(unlink("name"), 0);
    assert_int_equal(fchdir(back), 0);
    close(back);
    assert_int_equal(rmdir(dir), 0);
}

static void the_state_folder_follows_option_and_environment(void **state)
{
    (void)state;
    char out[PATH_LEN];
    assert_true(path_state_dir(out, "/x/y//"));
    assert_string_equal(out, "/x/y");
    setenv("XDG_STATE_HOME", "/s", 1);
    assert_true(path_state_dir(out, NULL));
    assert_string_equal(out, "/s/qudag");
    unsetenv("XDG_STATE_HOME");
    setenv("HOME", "/h", 1);
    assert_true(path_state_dir(out, NULL));
    assert_string_equal(out, "/h/.local/state/qudag");
    unsetenv("HOME");
    assert_false(path_state_dir(out, NULL));
}

/* In a child, for the test needs its own descriptors: exit code 0 if no file opened later is below 3. */
static void closed_standard_descriptors_are_filled_before_anything_is_opened(void **state)
{
    (void)state;
    for (unsigned closed = 0; closed < 8; closed++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            for (int fd = 0; fd < 3; fd++) {
                if ((closed >> fd & 1) != 0) {
                    (void)close(fd);
                }
            }
            bool ok = fd_fill_standard();
            for (int fd = 0; fd < 3; fd++) {
                ok = ok && fcntl(fd, F_GETFD) >= 0;
            }
            int next = open("/dev/null", O_RDONLY);
            _exit(ok && next > 2 ? 0 : 1);
        }
        int status = -1;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_standard_descriptors_are_filled_before_anything_is_opened),
        cmocka_unit_test(the_nearest_word_is_found_and_far_ones_are_not),
        cmocka_unit_test(numbers_read_well),
        cmocka_unit_test(hex_goes_both_ways_and_refuses_the_rest),
        cmocka_unit_test(files_are_replaced_whole_and_keep_their_mode),
        cmocka_unit_test(what_a_link_leads_to_is_given_to_nobody),
        cmocka_unit_test(a_name_alone_is_a_file_of_the_working_folder),
        cmocka_unit_test(the_state_folder_follows_option_and_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
