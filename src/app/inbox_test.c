/* inbox_test.c - names from strangers, files that are not replaced, an index that survives. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/files.h"
#include "app/inbox.h"

static struct mem mem;

static int64_t wall_ms(void)
{
    return (int64_t)time(NULL) * 1000;
}

static bool open_inbox(struct inbox *b, const char *dir)
{
    return inbox_open(b, &mem, dir, wall_ms());
}

static void put_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void nothing_is_replaced_and_the_index_survives(void **state)
{
    (void)state;
    char dir[] = "/tmp/qudag-inbox-XXXXXX", path[FILES_PATH_MAX], offer[FILES_PATH_MAX],
         command[100];
    struct inbox b;
    assert_non_null(mkdtemp(dir));
    assert_true(open_inbox(&b, dir));
    struct inbox_entry e = {.time_ms = wall_ms(), .to = "a.b.dark"};
    e.offer = (struct transfer_offer){.kind = TRANSFER_FILE, .size = 3, .id = {9}, .hash = {8}};
    assert_true(inbox_partial(&b, &e.offer, path, offer));
    static const char *const expect[] = {"x.tar", "x (2).tar", "x (3).tar"};
    for (size_t ix = 0; ix < 3; ix++) {
        memcpy(e.offer.name, "x.tar", 6);
        put_file(path, "abc");
        assert_int_equal(inbox_place(b.dir, path, e.offer.name), 0);
        assert_string_equal(e.offer.name, expect[ix]);
        e.offer.id[0]++;
        assert_int_equal(inbox_add(&b, &e), 0);
    }
    assert_int_equal(b.bytes, 3 * INBOX_UNIT);
    inbox_close(&b);
    assert_true(open_inbox(&b, dir));
    assert_int_equal(b.n, 3);
    assert_int_equal(b.bytes, 3 * INBOX_UNIT);
    assert_string_equal(b.entry[2].to, "a.b.dark");
    assert_non_null(inbox_find(&b, &e.offer));
    e.offer.hash[0]++;
    assert_null(inbox_find(&b, &e.offer));
    e.offer.hash[0]--;
    assert_true(files_join(path, dir, "x (3).tar"));
    put_file(path, "ab"); /* is not what was received */
    assert_null(inbox_find(&b, &e.offer));
    put_file(path, "abc");
    assert_non_null(inbox_find(&b, &e.offer));
    assert_int_equal(unlink(path), 0);
    assert_null(inbox_find(&b, &e.offer)); /* its file is gone */
    inbox_close(&b);
    (void)snprintf(command, sizeof(command), "%s/.index", dir);
    put_file(command, "damaged\nlines\t1\t2\n");
    assert_true(open_inbox(&b, dir));
    assert_int_equal(b.n, 0);
    inbox_close(&b);
    /* what the index says lies in the inbox lies in it, and nowhere else */
    char hash[2 * TRANSFER_HASH_LEN + 1], id[2 * TRANSFER_ID_LEN + 1], lines[400];
    files_hex(hash, e.offer.hash, TRANSFER_HASH_LEN);
    files_hex(id, e.offer.id, TRANSFER_ID_LEN);
    (void)snprintf(lines, sizeof(lines),
                   "1\tfile\t3\t%s\t%s\ta.b.dark\t../x\n1\tfile\t3\t%s\t%s\ta.b.dark\tx\n", hash,
                   id, hash, id);
    put_file(command, lines);
    assert_true(open_inbox(&b, dir));
    assert_int_equal(b.n, 1);
    assert_string_equal(b.entry[0].offer.name, "x");
    inbox_close(&b);
    for (const char *sub = "x.tar\0x (2).tar\0.index\0"; *sub != 0; sub += strlen(sub) + 1) {
        assert_true(files_join(path, dir, sub));
        assert_int_equal(unlink(path), 0);
    }
    assert_true(files_join(path, dir, ".partial"));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static bool is_busy(const void *ctx, const uint8_t id[TRANSFER_ID_LEN])
{
    return id[0] == *(const uint8_t *)ctx;
}

static size_t begun(const struct inbox *b, uint8_t first, uint8_t last)
{
    char path[FILES_PATH_MAX], offer_path[FILES_PATH_MAX];
    size_t n = 0;
    for (unsigned ix = first; ix <= last; ix++) {
        struct transfer_offer o = {.id = {(uint8_t)ix}};
        assert_true(inbox_partial(b, &o, path, offer_path));
        bool content = access(path, F_OK) == 0;
        assert_int_equal(content, access(offer_path, F_OK) == 0); /* they go together */
        n += content;
    }
    return n;
}

static void what_was_begun_lately_is_there_to_go_on_with(void **state)
{
    (void)state;
    char dir[] = "/tmp/qudag-inbox-XXXXXX", path[2][FILES_PATH_MAX], offer[FILES_PATH_MAX],
         index[FILES_PATH_MAX];
    struct inbox b;
    struct stat st;
    assert_non_null(mkdtemp(dir));
    assert_true(open_inbox(&b, dir));
    for (uint8_t ix = 0; ix < 2; ix++) {
        struct transfer_offer o = {.kind = TRANSFER_FILE, .id = {ix}};
        assert_true(inbox_partial(&b, &o, path[ix], offer));
        put_file(path[ix], "half");
    }
    struct timespec old[2] = {{.tv_sec = time(NULL) - INBOX_PARTIAL_AGE_MAX_S - 5}};
    old[1] = old[0];
    assert_int_equal(utimensat(AT_FDCWD, path[1], old, 0), 0);
    inbox_close(&b);
    assert_true(open_inbox(&b, dir));
    assert_int_equal(stat(path[0], &st), 0);
    assert_int_equal(stat(path[1], &st), -1);
    struct inbox_entry e = {.time_ms = 1, .offer = {.kind = TRANSFER_FILE}};
    assert_int_equal(inbox_add(&b, &e), 0);
    assert_true(files_join(index, dir, ".index"));
    assert_int_equal(stat(index, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600); /* who sent what is nobody's business */
    inbox_close(&b);
    assert_int_equal(unlink(path[0]), 0);
    assert_int_equal(unlink(index), 0);
    assert_true(files_join(index, dir, ".partial"));
    assert_int_equal(rmdir(index), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* A long name gives way to its number between two characters, not within one. */
static void a_number_does_not_cut_a_character(void **state)
{
    (void)state;
    char dir[] = "/tmp/qudag-inbox-XXXXXX", from[FILES_PATH_MAX], path[FILES_PATH_MAX];
    assert_non_null(mkdtemp(dir));
    for (unsigned odd = 0; odd < 2; odd++) {
        char first[TRANSFER_NAME_MAX + 1] = {0}, name[TRANSFER_NAME_MAX + 1];
        size_t len = odd;
        memset(first, 'a', len);
        for (; len + 2 <= TRANSFER_NAME_MAX; len += 2) {
            memcpy(first + len, "\xc3\xa4", 2);
        }
        for (int nth = 0; nth < 2; nth++) {
            memcpy(name, first, sizeof(name));
            assert_true(files_join(from, dir, "from"));
            put_file(from, "x");
            assert_int_equal(inbox_place(dir, from, name), 0);
            assert_true(files_join(path, dir, name));
            for (size_t at = odd; (unsigned char)name[at] >= 0x80; at += 2) {
                assert_int_equal((unsigned char)name[at], 0xc3);
                assert_int_equal((unsigned char)name[at + 1], 0xa4);
            }
            assert_int_equal(strcmp(name, first) != 0, nth);
        }
        assert_int_equal(unlink(path), 0);
        assert_true(files_join(path, dir, first));
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(dir), 0);
}

static void what_its_owner_removed_makes_room(void **state)
{
    (void)state;
    char dir[] = "/tmp/qudag-inbox-XXXXXX", path[FILES_PATH_MAX], offer[FILES_PATH_MAX];
    struct inbox b;
    assert_non_null(mkdtemp(dir));
    assert_true(open_inbox(&b, dir));
    struct inbox_entry e = {.time_ms = wall_ms(), .to = "a.b.dark"};
    e.offer = (struct transfer_offer){.kind = TRANSFER_FILE, .size = 3, .id = {9}, .hash = {8}};
    assert_true(inbox_partial(&b, &e.offer, path, offer));
    for (size_t ix = 0; ix < 2; ix++) {
        memcpy(e.offer.name, "x.tar", 6);
        put_file(path, "abc");
        assert_int_equal(inbox_place(b.dir, path, e.offer.name), 0);
        assert_int_equal(inbox_add(&b, &e), 0);
    }
    assert_true(files_join(path, dir, "x.tar"));
    assert_int_equal(unlink(path), 0);
    assert_false(inbox_there(&b, &b.entry[0]));
    assert_true(inbox_there(&b, &b.entry[1]));
    inbox_count(&b);
    assert_int_equal(b.bytes, INBOX_UNIT);
    inbox_close(&b);
    assert_true(files_join(path, dir, "x (2).tar") && files_join(offer, dir, ".index"));
    assert_int_equal(unlink(path) | unlink(offer), 0);
    assert_int_equal(rmdir(b.partial) | rmdir(dir), 0);
}

static void what_was_begun_and_left_counts_too(void **state)
{
    (void)state;
    char dir[] = "/tmp/qudag-inbox-XXXXXX", path[FILES_PATH_MAX], offer_path[FILES_PATH_MAX];
    const uint8_t busy = 3;
    struct inbox b;
    assert_non_null(mkdtemp(dir));
    assert_true(open_inbox(&b, dir));
    for (uint8_t ix = 1; ix <= INBOX_PARTIALS_MAX + 6; ix++) {
        struct transfer_offer o = {.id = {ix}};
        struct timespec at[2] = {{.tv_sec = 1000 + ix}, {.tv_sec = 1000 + ix}};
        assert_true(inbox_partial(&b, &o, path, offer_path));
        put_file(path, "part");
        put_file(offer_path, "offer");
        assert_int_equal(utimensat(AT_FDCWD, path, at, 0), 0);
    }
    inbox_trim(&b, UINT64_MAX, is_busy, &busy);
    assert_int_equal(begun(&b, 1, INBOX_PARTIALS_MAX + 6), INBOX_PARTIALS_MAX + 1);
    assert_int_equal(begun(&b, 1, 6),
                     1); /* of the smallest the oldest went, but not the one at work */
    struct transfer_offer large = {.id = {busy + 4}}, small = {.id = {INBOX_PARTIALS_MAX + 7}};
    assert_true(inbox_partial(&b, &large, path, offer_path));
    put_file(path, "more of it, and begun before all others");
    assert_int_equal(
        utimensat(AT_FDCWD, path, (struct timespec[2]){{.tv_sec = 1}, {.tv_sec = 1}}, 0), 0);
    assert_true(inbox_partial(&b, &small, path, offer_path));
    put_file(path, "");
    put_file(offer_path, "offer");
    inbox_trim(&b, UINT64_MAX, is_busy, &busy);
    assert_int_equal(begun(&b, busy + 4, busy + 4), 1);
    assert_int_equal(begun(&b, INBOX_PARTIALS_MAX + 7, INBOX_PARTIALS_MAX + 7), 0);
    inbox_trim(&b, 5 * INBOX_UNIT, is_busy, &busy);
    assert_int_equal(begun(&b, 1, INBOX_PARTIALS_MAX + 6), 5 + 1);
    assert_int_equal(begun(&b, INBOX_PARTIALS_MAX + 2, INBOX_PARTIALS_MAX + 6), 5);
    inbox_trim(&b, 0, is_busy, &busy);
    assert_int_equal(begun(&b, 1, INBOX_PARTIALS_MAX + 6), 1);
    inbox_close(&b);
    struct transfer_offer o = {.id = {busy}};
    assert_true(inbox_partial(&b, &o, path, offer_path));
    assert_int_equal(unlink(path) | unlink(offer_path), 0);
    assert_int_equal(rmdir(b.partial) | rmdir(dir), 0);
}

static void a_flood_of_empty_messages_costs_and_leaves_a_readable_index(void **state)
{
    (void)state;
    char dir[] = "/tmp/qudag-inbox-XXXXXX", path[FILES_PATH_MAX];
    struct inbox b;
    struct stat st;
    struct inbox_entry e = {.time_ms = 1700000000000, .to = "a.b.dark"};
    off_t most = 0, line = 0;
    assert_non_null(mkdtemp(dir));
    assert_true(open_inbox(&b, dir));
    assert_true(files_join(path, dir, ".index"));
    memset(e.offer.name, 'x', TRANSFER_NAME_MAX);
    for (unsigned ix = 0; ix < 2 * INBOX_LINES_MAX; ix++) {
        e.time_ms++;
        assert_int_equal(inbox_add(&b, &e), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 077, 0);
        line = ix == 0 ? st.st_size : line;
        most = st.st_size > most ? st.st_size : most;
    }
    assert_true(most <= line * INBOX_LINES_MAX);
    assert_int_equal(b.entry[b.n - 1].time_ms, e.time_ms);
    assert_int_equal(b.entry[0].time_ms, e.time_ms - (int64_t)b.n + 1); /* the newest of all */
    assert_true(most < 16 << 20);
    assert_int_equal(b.bytes, 2 * (uint64_t)INBOX_LINES_MAX * INBOX_UNIT);
    inbox_close(&b);
    assert_true(open_inbox(&b, dir));
    assert_true(b.n > INBOX_LISTED_MAX / 2 && b.n <= INBOX_LISTED_MAX);
    assert_true(b.lines >= b.n); /* they count from where the file is */
    inbox_close(&b);
    assert_int_equal(unlink(path) | rmdir(b.partial) | rmdir(dir), 0);
}

/* What a sender could be recognised by is gone from memory and disk once no sender can need it. */
static void ids_are_forgotten_after_two_days(void **state)
{
    (void)state;
    char dir[] = "/tmp/qudag-inbox-XXXXXX", path[FILES_PATH_MAX], hex[2 * TRANSFER_ID_LEN + 1];
    struct inbox b;
    uint8_t *text = NULL;
    size_t len = 0;
    const int64_t now = wall_ms(), age = INBOX_ID_AGE_MAX_S * INT64_C(1000);
    struct inbox_entry e = {.time_ms = now, .to = "a.b.dark"};
    e.offer = (struct transfer_offer){.kind = TRANSFER_FILE, .size = 1, .id = {9, 8, 7}};
    memcpy(e.offer.name, "x", 2);
    files_hex(hex, e.offer.id, TRANSFER_ID_LEN);
    assert_non_null(mkdtemp(dir));
    assert_true(open_inbox(&b, dir));
    assert_true(files_join(path, dir, "x"));
    put_file(path, "1");
    assert_int_equal(inbox_add(&b, &e), 0);
    assert_true(files_join(path, dir, ".index"));
    for (int over = 0; over < 2; over++) {
        inbox_forget(&b, now + age + over);
        assert_int_equal(inbox_find(&b, &e.offer) != NULL, !over);
        assert_int_equal(files_read(&mem, path, 1000, &text, &len), 0);
        assert_int_equal(strstr((char *)text, hex) != NULL, !over);
        mem_free(&mem, text);
    }
    inbox_close(&b);
    struct transfer_offer none = e.offer; /* zeroes are no id */
    memset(none.id, 0, sizeof(none.id));
    assert_true(open_inbox(&b, dir));
    assert_int_equal(b.n, 1);
    assert_null(inbox_find(&b, &none));
    inbox_close(&b);
    assert_int_equal(unlink(path), 0);
    assert_true(files_join(path, dir, "x"));
    assert_int_equal(unlink(path) | rmdir(b.partial) | rmdir(dir), 0);
}

static void the_name_of_a_message_tells_its_day_only(void **state)
{
    char name[TRANSFER_NAME_MAX + 1], other[TRANSFER_NAME_MAX + 1];
    (void)state;
    inbox_message_name(name, 1700000000000, 0xab);
    assert_string_equal(name, "message-20231114-000000ab.txt");
    inbox_message_name(other, 1700006399999, 0xab);
    assert_string_equal(name, other);
}

/* From now on link() fails with EPERM, as on exFAT; with |all|, so does renameat2() with EINVAL. */
static bool forbid_links(bool all)
{
    const unsigned third = all ? __NR_renameat2 : __NR_link;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_link, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_linkat, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, third, 2, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
    };
    const struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/* In a child: 0 right, 77 no filter here, else which step was wrong. */
static int place_two(char *dir, bool all)
{
    char one[FILES_PATH_MAX], name[TRANSFER_NAME_MAX + 1] = "a.txt", path[FILES_PATH_MAX];
    uint8_t *text = NULL;
    size_t len = 0;
    struct inbox b;
    if (!forbid_links(all)) {
        return 77;
    }
    if (link("/dev/null", "/nowhere") == 0 || errno != EPERM) {
        return 1;
    }
    if (!open_inbox(&b, dir) || !files_join(one, b.partial, "x")) {
        return 2;
    }
    for (unsigned nth = 0; nth < 2; nth++) {
        put_file(one, nth == 0 ? "first" : "second");
        memcpy(name, "a.txt", 6);
        if (inbox_place(dir, one, name) != 0 || access(one, F_OK) == 0 ||
            strcmp(name, nth == 0 ? "a.txt" : "a (2).txt") != 0) {
            return 3;
        }
    }
    if (!files_join(path, dir, "a.txt") || files_read(&mem, path, 100, &text, &len) != 0 ||
        strcmp((char *)text, "first") != 0) {
        return 4;
    }
    inbox_close(&b);
    return 0;
}

static void without_hard_links_files_arrive_and_none_is_replaced(void **state)
{
    (void)state;
    for (int all = 0; all < 2; all++) {
        char dir[] = "/tmp/qudag-inbox-XXXXXX", path[FILES_PATH_MAX];
        assert_non_null(mkdtemp(dir));
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            _exit(place_two(dir, all != 0));
        }
        int status = -1;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77) {
            print_message("skipped: no seccomp filter here\n");
        } else {
            assert_int_equal(WEXITSTATUS(status), 0);
        }
        static const char *const left[] = {"a.txt", "a (2).txt", ".partial"};
        for (size_t ix = 0; ix < 3; ix++) {
            assert_true(files_join(path, dir, left[ix]));
            (void)remove(path);
        }
        assert_int_equal(rmdir(dir), 0); /* the probe at the start left nothing */
    }
}

/* A line has what an entry has room for, or is none; and folders below the inbox take no place in it. */
static void lines_with_more_than_fits_are_left_out(void **state)
{
    (void)state;
    char dir[] = "/tmp/qudag-inbox-XXXXXX", path[FILES_PATH_MAX], sub[FILES_PATH_MAX], line[2000],
         many[1000];
    char hash[2 * TRANSFER_HASH_LEN + 1], id[2 * TRANSFER_ID_LEN + 1];
    static const uint8_t none[TRANSFER_HASH_LEN];
    struct inbox b;
    assert_non_null(mkdtemp(dir));
    assert_true(files_join(path, dir, ".index") && files_join(sub, dir, "folder"));
    assert_int_equal(mkdir(sub, 0700), 0);
    files_hex(hash, none, TRANSFER_HASH_LEN);
    files_hex(id, none, TRANSFER_ID_LEN);
    const size_t to_max = sizeof(((struct inbox_entry *)0)->to);
    const struct {
        size_t to, name;
        bool fits;
    } row[] = {{to_max - 1, TRANSFER_NAME_MAX, true},
               {to_max - 1, TRANSFER_NAME_MAX + 1, false},
               {to_max, TRANSFER_NAME_MAX, false}};
    memset(many, 'x', sizeof(many));
    for (size_t ix = 0; ix < 3; ix++) {
        (void)snprintf(line, sizeof(line), "1700000000000\tfile\t3\t%s\t%s\t%.*s\t%.*s\n", hash, id,
                       (int)row[ix].to, many, (int)row[ix].name, many);
        put_file(path, line);
        assert_true(open_inbox(&b, dir));
        assert_int_equal(b.n, row[ix].fits);
        assert_int_equal(b.lines, 1);
        assert_int_equal(b.bytes, 0);
        inbox_close(&b);
    }
    assert_int_equal(inbox_cost(INBOX_UNIT), INBOX_UNIT);
    assert_int_equal(inbox_cost(INBOX_UNIT + 1), 2 * INBOX_UNIT);
    assert_int_equal(unlink(path) | rmdir(sub) | rmdir(b.partial) | rmdir(dir), 0);
}

/* What a crash has left beside a file does not keep it from being written for ever; a link there is not followed. */
static void what_a_crash_has_left_is_in_nobodys_way(void **state)
{
    char dir[] = "/tmp/qudag-inbox-XXXXXX", path[FILES_PATH_MAX], beside[FILES_PATH_MAX],
         other[FILES_PATH_MAX];
    struct stat st;
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_true(files_join(path, dir, "x") && files_join(beside, dir, ".new.x") &&
                files_join(other, dir, "other"));
    put_file(beside, "half");
    assert_int_equal(files_write(path, "whole", 5), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 5);
    assert_int_equal(symlink(other, beside), 0);
    assert_int_equal(files_write(path, "again!", 6), 0);
    assert_int_equal(access(other, F_OK), -1);
    assert_int_equal(access(beside, F_OK), -1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_hard_links_files_arrive_and_none_is_replaced),
        cmocka_unit_test(nothing_is_replaced_and_the_index_survives),
        cmocka_unit_test(what_was_begun_lately_is_there_to_go_on_with),
        cmocka_unit_test(a_number_does_not_cut_a_character),
        cmocka_unit_test(what_was_begun_and_left_counts_too),
        cmocka_unit_test(what_its_owner_removed_makes_room),
        cmocka_unit_test(ids_are_forgotten_after_two_days),
        cmocka_unit_test(the_name_of_a_message_tells_its_day_only),
        cmocka_unit_test(a_flood_of_empty_messages_costs_and_leaves_a_readable_index),
        cmocka_unit_test(lines_with_more_than_fits_are_left_out),
        cmocka_unit_test(what_a_crash_has_left_is_in_nobodys_way),
    };
    mem_init(&mem, NULL, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
