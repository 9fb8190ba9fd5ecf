/* rotate_test.c - another ML-DSA key: killed at each step, on a full disk, and what a copy from before is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/rotate.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char top[64];
static struct vault v;
static uint8_t first[QUDAG_IDENTITY_LEN];

static int start(void **state)
{
    qudag_identity *id;
    char path[PATH_LEN];
    (void)state;
    v = (struct vault){.keys = NULL};
    (void)snprintf(top, sizeof(top), "/tmp/rotate-XXXXXX");
    assert_non_null(mkdtemp(top));
    assert_true(path_join(path, top, "state"));
    assert_int_equal(mkdir(path, 0700), 0);
    vault_plain(&v, top);
    assert_int_equal(qudag_identity_generate(&id), QUDAG_OK);
    qudag_identity_save(id, first);
    qudag_identity_free(id);
    assert_int_equal(vault_write(&v, "identity", first, sizeof(first)), 0);
    return 0;
}

/* Removes DIR/|sub| and the files in it. */
static void empty(const char *sub)
{
    char dir[PATH_LEN], path[PATH_LEN];
    const struct dirent *e;
    (void)snprintf(dir, sizeof(dir), "%s/%s", top, sub);
    DIR *list = opendir(dir);
    while (list != NULL && (e = readdir(list)) != NULL) {
        if (path_join(path, dir, e->d_name)) {
            (void)unlink(path);
        }
    }
    if (list != NULL) {
        (void)closedir(list);
    }
    (void)rmdir(dir);
}

static int end(void **state)
{
    (void)state;
    vault_close(&v);
    empty("state");
    empty("");
    return 0;
}

static void names(char peer[QUDAG_PEER_ID_TEXT_MAX], uint8_t hash[QUDAG_PQ_HASH_LEN])
{
    uint8_t *bytes;
    size_t len;
    qudag_identity *id;
    qudag_peer_id p;
    assert_int_equal(vault_read(&v, "identity", 4096, &bytes, &len), 0);
    assert_int_equal(qudag_identity_load(&id, (qudag_slice){bytes, len}), QUDAG_OK);
    qudag_identity_peer_id(id, &p);
    qudag_peer_id_text(&p, peer);
    qudag_identity_pq_hash(id, hash);
    qudag_identity_free(id);
    free(bytes);
}

/* The statement in |slot| is there, without a secret behind it. */
static void statement(unsigned slot, qudag_succession *s)
{
    char name[40];
    uint8_t *bytes;
    size_t len;
    (void)snprintf(name, sizeof(name), "state/succession-%u", slot);
    assert_int_equal(vault_read(&v, name, 65536, &bytes, &len), 0);
    assert_int_equal(len, QUDAG_SUCCESSION_LEN);
    assert_int_equal(qudag_succession_read(s, (qudag_slice){bytes, len}), QUDAG_OK);
    free(bytes);
}

static void the_peer_id_stays_and_each_statement_leads_to_the_next(void **state)
{
    char was[QUDAG_PEER_ID_TEXT_MAX], is[QUDAG_PEER_ID_TEXT_MAX];
    uint8_t old[QUDAG_PQ_HASH_LEN], new[QUDAG_PQ_HASH_LEN];
    struct rotate_state st;
    qudag_succession s;
    (void)state;
    for (unsigned i = 1; i <= QUDAG_SUCCESSION_KEPT + 2; i++) {
        names(was, old);
        assert_true(rotate_identity(&v, &st, NULL, NULL));
        assert_int_equal(st.sequence, i);
        names(is, new);
        assert_string_equal(was, is);
        assert_memory_not_equal(old, new, sizeof(old));
        statement(i % QUDAG_SUCCESSION_KEPT, &s);
        assert_memory_equal(s.from, old, sizeof(old));
        assert_memory_equal(s.to, new, sizeof(new));
        assert_true(rotate_finish(&v, &st));
    }
}

static int kill_after;

static void die(int step)
{
    if (step == kill_after) {
        (void)raise(SIGKILL);
    }
}

static void killed_anywhere_it_has_the_old_key_or_the_new_one(void **state)
{
    char peer[QUDAG_PEER_ID_TEXT_MAX];
    uint8_t old[QUDAG_PQ_HASH_LEN], after[QUDAG_PQ_HASH_LEN], then[QUDAG_PQ_HASH_LEN];
    struct rotate_state st;
    qudag_succession s;
    (void)state;
    for (kill_after = 1; kill_after <= 2; kill_after++) {
        int status;
        names(peer, old);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            _exit(rotate_identity(&v, &st, NULL, die) ? 1 : 2);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        names(peer, after);
        assert_int_equal(memcmp(old, after, sizeof(old)) == 0, kill_after == 1);
        assert_true(rotate_finish(&v, &st)); /* what the next start does */
        assert_int_equal(st.sequence, kill_after);
        names(peer, then);
        assert_memory_not_equal(old, then, sizeof(old));
        statement((unsigned)kill_after, &s);
        assert_memory_equal(s.to, then, sizeof(then));
    }
}

/* A change that was cut off behind its first step. */
static void cut_off(void)
{
    int status;
    struct rotate_state st;
    kill_after = 1;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(rotate_identity(&v, &st, NULL, die) ? 1 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

/* Never another key than the statement's. */
static void what_a_cut_off_change_left_is_not_believed_blindly(void **state)
{
    uint8_t *bytes, third[QUDAG_IDENTITY_LEN];
    size_t len;
    qudag_identity *id;
    (void)state;
    cut_off();
    assert_int_equal(vault_read(&v, "state/succession-1", 65536, &bytes, &len), 0);
    assert_int_equal(len, QUDAG_SUCCESSION_LEN + QUDAG_IDENTITY_LEN);
    assert_int_equal(qudag_identity_generate(&id), QUDAG_OK);
    qudag_identity_save(id, third);
    qudag_identity_free(id);
    assert_int_equal(vault_write(&v, "identity", third, sizeof(third)), 0);
    assert_false(rotate_finish(&v, NULL));
    assert_non_null(strstr(v.why, "neither the old nor the new one"));
    assert_int_equal(vault_write(&v, "identity", first, sizeof(first)), 0);
    memcpy(bytes + QUDAG_SUCCESSION_LEN, third, sizeof(third));
    assert_int_equal(vault_write(&v, "state/succession-1", bytes, len), 0);
    assert_false(rotate_finish(&v, NULL));
    assert_non_null(strstr(v.why, "is damaged"));
    free(bytes);
}

static void a_statement_that_cannot_be_read_is_not_passed_over(void **state)
{
    char path[PATH_LEN];
    (void)state;
    assert_true(path_join(path, top, "state/succession-3"));
    assert_int_equal(mkdir(path, 0700), 0);
    bool ok = rotate_finish(&v, NULL);
    assert_int_equal(rmdir(path), 0);
    assert_false(ok);
    assert_true(rotate_finish(&v, NULL));
}

static void a_full_disk_leaves_a_key(void **state)
{
    char peer[QUDAG_PEER_ID_TEXT_MAX];
    uint8_t old[QUDAG_PQ_HASH_LEN], after[QUDAG_PQ_HASH_LEN];
    struct rlimit was, small;
    struct rotate_state st;
    (void)state;
    names(peer, old);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = (struct rlimit){50, was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool rotated = rotate_identity(&v, &st, NULL, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_false(rotated);
    names(peer, after);
    assert_memory_equal(old, after, sizeof(old));
    assert_true(rotate_identity(&v, &st, NULL, NULL));
}

static void a_copy_from_before_is_refused_and_says_why(void **state)
{
    struct rotate_state st;
    (void)state;
    assert_true(rotate_identity(&v, &st, NULL, NULL));
    assert_int_equal(vault_write(&v, "identity", first, sizeof(first)), 0);
    assert_false(rotate_finish(&v, NULL));
    assert_non_null(strstr(v.why, "is a copy from before its last change"));
    assert_false(rotate_identity(&v, &st, NULL, NULL));
}

static void under_a_passphrase_it_is_the_same(void **state)
{
    static const qudag_keyring_cost cheap = {.size = sizeof(cheap), .kib = 1024, .passes = 1};
    const qudag_slice secret = {(const uint8_t *)"a passphrase", 12};
    struct rotate_state st;
    char path[PATH_LEN];
    (void)state;
    v.cost = &cheap;
    assert_true(rotate_identity(&v, &st, NULL, NULL));
    assert_true(vault_encrypt(&v, secret));
    assert_true(path_join(path, top, "state/succession-1"));
    assert_int_not_equal(access(path, F_OK), 0); /* its name tells nothing, either */
    assert_true(rotate_identity(&v, &st, NULL, NULL));
    assert_int_equal(st.sequence, 2);
    assert_true(rotate_finish(&v, &st));
}

static void without_identity_there_is_nothing_to_change(void **state)
{
    struct rotate_state st;
    (void)state;
    assert_int_equal(vault_remove(&v, "identity"), 0);
    assert_true(rotate_finish(&v, NULL));
    assert_false(rotate_identity(&v, &st, NULL, NULL));
    assert_non_null(strstr(v.why, "no identity yet"));
}

/* A node that runs gets what is in the folder: a new key, or the one that it did not get the last time. */
static void a_node_that_runs_gets_what_the_folder_has(void **state)
{
    char peer[QUDAG_PEER_ID_TEXT_MAX];
    uint8_t runs[QUDAG_PQ_HASH_LEN], now[QUDAG_PQ_HASH_LEN], got[QUDAG_PQ_HASH_LEN];
    static struct rotate_made made, again;
    struct rotate_state st;
    qudag_succession s;
    (void)state;
    names(peer, runs);
    assert_true(rotate_running(&v, runs, &st, &made));
    assert_int_equal(st.sequence, 1);
    names(peer, now);
    qudag_identity_pq_hash(made.next, got);
    assert_memory_equal(got, now, sizeof(got));
    assert_int_equal(
        qudag_succession_read(&s, (qudag_slice){made.statement, sizeof(made.statement)}), QUDAG_OK);
    assert_memory_equal(s.from, runs, sizeof(runs));
    assert_memory_equal(s.to, now, sizeof(now));

    assert_true(rotate_running(&v, runs, &st, &again)); /* the node did not take it */
    assert_int_equal(st.sequence, 1);
    assert_memory_equal(again.statement, made.statement, sizeof(made.statement));
    qudag_identity_free(again.next);
    assert_true(rotate_running(&v, now, &st, &again)); /* now it did */
    assert_int_equal(st.sequence, 2);
    qudag_identity_free(again.next);
    qudag_identity_free(made.next);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        T(the_peer_id_stays_and_each_statement_leads_to_the_next),
        T(killed_anywhere_it_has_the_old_key_or_the_new_one),
        T(what_a_cut_off_change_left_is_not_believed_blindly),
        T(a_statement_that_cannot_be_read_is_not_passed_over),
        T(a_full_disk_leaves_a_key),
        T(a_copy_from_before_is_refused_and_says_why),
        T(a_node_that_runs_gets_what_the_folder_has),
        T(under_a_passphrase_it_is_the_same),
        T(without_identity_there_is_nothing_to_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
