/* rules_test.c - each rule with what it accepts and what it refuses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <qudag/qudag.h>

#include "rules.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void only_the_same_user_and_root_may_ask(void **state)
{
    (void)state;
    static const struct {
        uid_t peer, own;
        bool ok;
    } row[] = {
        {1000, 1000, true},       {0, 1000, true},  {0, 0, true},
        {1001, 1000, false},      {1000, 0, false}, {65534, 1000, false},
        {(uid_t)-1, 1000, false},
    };
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        assert_int_equal(rules_control_peer(row[ix].peer, row[ix].own), row[ix].ok);
    }
}

static void long_commands_wait_their_turn_and_short_ones_do_not(void **state)
{
    (void)state;
    static const struct {
        enum rules_command kind;
        unsigned running, waiting, own;
        enum rules_turn want;
    } row[] = {
        {RULES_LONG, 0, 0, 0, RULES_TURN_NOW},  {RULES_LONG, 2, 0, 0, RULES_TURN_NOW},
        {RULES_LONG, 3, 0, 0, RULES_TURN_WAIT}, {RULES_LONG, 4, 0, 0, RULES_TURN_WAIT},
        {RULES_LONG, 2, 1, 0, RULES_TURN_WAIT}, /* others wait already */
        {RULES_LONG, 3, 4, 1, RULES_TURN_WAIT}, {RULES_LONG, 3, 5, 1, RULES_TURN_FULL},
        {RULES_LONG, 3, 6, 0, RULES_TURN_FULL}, {RULES_LONG, 3, 2, 2, RULES_TURN_OWN},
        {RULES_LONG, 3, 5, 2, RULES_TURN_OWN},  {RULES_SHORT, 3, 0, 0, RULES_TURN_NOW},
        {RULES_SHORT, 9, 5, 2, RULES_TURN_NOW},
    };
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        const struct rules_load load = {.running = row[ix].running,
                                        .running_max = 3,
                                        .waiting = row[ix].waiting,
                                        .waiting_max = 5,
                                        .own = row[ix].own,
                                        .own_max = 2};
        assert_int_equal(rules_command_turn(row[ix].kind, &load), row[ix].want);
    }
}

/* Who may connect as often as there are descriptors would leave none for a message that comes in. */
static void clients_leave_descriptors_to_the_node(void **state)
{
    (void)state;
    static const struct {
        uint64_t files;
        size_t want;
    } row[] = {{0, 4},    {10, 4},    {RULES_FILES_LEFT, 4}, {RULES_FILES_LEFT + 4, 4}, {64, 24},
               {100, 60}, {168, 128}, {1024, 128},           {UINT64_MAX, 128}};
    for (size_t ix = 0; ix < sizeof(row) / sizeof(row[0]); ix++) {
        assert_int_equal(rules_control_places(row[ix].files, 128), row[ix].want);
    }
}

static void shares_leave_places_to_others(void **state)
{
    (void)state;
    assert_true(rules_share_fits(0, 4)); /* one is always possible */
    assert_false(rules_share_fits(1, 4));
    assert_true(rules_share_fits(31, 160));
    assert_false(rules_share_fits(32, 160));
}

static void only_what_was_made_for_a_share_is_destroyed_with_it(void **state)
{
    (void)state;
    assert_true(rules_share_label("share-0123456789abcdef01234567"));
    assert_true(rules_share_over("share-0123456789abcdef01234567", false));
    assert_false(rules_share_over("share-0123456789abcdef01234567", true));
    static const char *const other[] = {
        "",
        "share-",
        "share-photos",
        "blog",
        "share-0123456789abcdef0123456",   /* a digit is missing */
        "share-0123456789abcdef012345678", /* one too many */
        "share-0123456789abcdef0123456g",
        "share-0123456789ABCDEF01234567",
        "Share-0123456789abcdef01234567",
        "share_0123456789abcdef01234567",
        "my-share-0123456789abcdef01234",
    };
    for (size_t ix = 0; ix < COUNT(other); ix++) {
        assert_false(rules_share_label(other[ix]));
        assert_false(rules_share_over(other[ix], false));
        assert_false(rules_share_socket(other[ix]));
    }
    assert_true(rules_share_socket("share-0123ab"));
    assert_false(rules_share_socket("share-0123a"));
    assert_false(rules_share_socket("share-0123ab/../identity"));
    assert_false(rules_share_socket("../share-0123ab"));
    assert_false(rules_share_socket("share-../..x"));
    assert_false(rules_share_socket("share-0123ag"));
    assert_false(rules_share_socket("control.sock"));
    assert_false(rules_share_socket("share-0123456789abcdef01234567"));
}

static void who_has_the_fewest_running_is_next(void **state)
{
    (void)state;
    static const struct {
        struct rules_waiting w[3];
        size_t n, want;
    } row[] = {
        {{{5, 0}}, 1, 0},
        {{{5, 0}, {4, 0}, {6, 0}}, 3, 1},
        {{{1, 9}, {2, 9}, {3, 0}}, 3, 2},
        {{{9, 1}, {1, 2}, {8, 1}}, 3, 2},
        {{{3, 2}, {2, 2}, {1, 3}}, 3, 1},
    };
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        assert_int_equal(rules_next_turn(row[ix].w, row[ix].n), row[ix].want);
    }
}

/* Nobody reads "yes" where there is none; nor from a library that knows more reasons. */
static void anonymity_is_said_in_words_and_only_once_it_is_there(void **state)
{
    static const struct {
        int state;
        const char *text;
    } row[] = {
        {QUDAG_ANONYMITY_YES, "yes"},
        {QUDAG_ANONYMITY_LAB, "no: a test network (lab) hides nobody"},
        {QUDAG_ANONYMITY_NOT_YET,
         "not yet: 3 lookups (at least 16) have shown too little of the network"},
        {QUDAG_ANONYMITY_SMALL_NETWORK, "no: the network is too small to hide anybody"},
        {QUDAG_ANONYMITY_GUARDS_SPENT,
         "no: the guards do not answer, and all new guards of this month are used"},
        {QUDAG_ANONYMITY_GUARDS_SILENT, "no: the guards do not answer"},
        {QUDAG_ANONYMITY_GUARDS_SILENT + 1, "no: for a reason this program does not know"},
        {-1, "no: for a reason this program does not know"},
    };
    char text[128];
    (void)state;
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        rules_anonymity(text, sizeof(text), row[ix].state, 3, 16);
        assert_string_equal(text, row[ix].text);
    }
}

static void health_follows_from_links_and_not_from_the_phase_alone(void **state)
{
    (void)state;
    static const struct {
        int phase;
        size_t links, bootstrap_peers;
        const char *health;
    } row[] = {
        {QUDAG_PHASE_START, 0, 1, "starting"},    {QUDAG_PHASE_DIAL, 0, 1, "starting"},
        {QUDAG_PHASE_LOOKUP, 1, 1, "starting"},   {QUDAG_PHASE_LOOKUP, 0, 1, "isolated"},
        {QUDAG_PHASE_ANNOUNCE, 0, 1, "isolated"}, {QUDAG_PHASE_RELAYS, 3, 1, "starting"},
        {QUDAG_PHASE_RELAYS, 0, 2, "isolated"},   {QUDAG_PHASE_READY, 4, 1, "ok"},
        {QUDAG_PHASE_READY, 0, 1, "isolated"},    {QUDAG_PHASE_READY, 0, 0, "alone"},
        {QUDAG_PHASE_READY, 1, 0, "ok"},          {QUDAG_PHASE_START, 0, 0, "alone"},
        {QUDAG_PHASE_FAILED, 0, 1, "failed"},     {QUDAG_PHASE_FAILED, 2, 1, "failed"},
    };
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        assert_string_equal(
            rules_health(row[ix].phase, false, row[ix].links, row[ix].bootstrap_peers, true, false),
            row[ix].health);
    }
}

/* Five seconds of each attempt were "starting", which a health check took for recovery. */
static void a_node_that_tries_again_has_not_recovered(void **state)
{
    (void)state;
    static const struct {
        int phase;
        bool failing;
        const char *health;
    } row[] = {
        {QUDAG_PHASE_DIAL, false, "starting"},   {QUDAG_PHASE_FAILED, true, "failed"},
        {QUDAG_PHASE_DIAL, true, "failed"},      {QUDAG_PHASE_FAILED, true, "failed"},
        {QUDAG_PHASE_DIAL, true, "failed"},      {QUDAG_PHASE_LOOKUP, false, "starting"},
        {QUDAG_PHASE_RELAYS, false, "starting"}, {QUDAG_PHASE_DIAL, false, "starting"},
    };
    bool failing = false;
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        failing = rules_failing(failing, row[ix].phase);
        assert_int_equal(failing, row[ix].failing);
        assert_string_equal(rules_health(row[ix].phase, failing, 1, 1, true, false),
                            row[ix].health);
    }
}

static void whether_it_is_a_relay_is_said_with_what_lacks(void **state)
{
    (void)state;
    static const struct {
        bool relay, announces;
        uint64_t stored;
        const char *begins;
    } row[] = {
        {false, false, 0, "no: switched off"}, {false, true, 4, "no: switched off"},
        {true, false, 0, "no: no address"},    {true, false, 4, "no: no address"},
        {true, true, 0, "not yet: "},          {true, true, 4, "yes: 4 nodes"},
    };
    char text[128];
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        rules_relay(text, sizeof(text), row[ix].relay, row[ix].announces, row[ix].stored);
        assert_memory_equal(text, row[ix].begins, strlen(row[ix].begins));
    }
}

static void a_node_that_cannot_save_is_not_well(void **state)
{
    (void)state;
    assert_string_equal(rules_health(QUDAG_PHASE_READY, false, 4, 1, false, false), "unsaved");
    assert_string_equal(rules_health(QUDAG_PHASE_READY, false, 0, 0, false, false), "unsaved");
    assert_string_equal(rules_health(QUDAG_PHASE_DIAL, false, 0, 1, false, false), "unsaved");
    assert_string_equal(rules_health(QUDAG_PHASE_READY, false, 0, 1, false, false), "isolated");
    assert_string_equal(rules_health(QUDAG_PHASE_FAILED, false, 0, 1, false, false), "failed");
}

/* The DHT can be joined over TCP: "ok" was said of nodes that could build no circuit. */
static void a_node_whose_network_lets_no_udp_through_is_not_well(void **state)
{
    (void)state;
    static const struct {
        int phase;
        bool failing;
        size_t links;
        bool saves;
        const char *health;
    } row[] = {
        {QUDAG_PHASE_READY, false, 3, true, "no-udp"},
        {QUDAG_PHASE_RELAYS, false, 3, true, "no-udp"},
        {QUDAG_PHASE_DIAL, false, 0, true, "starting"},
        {QUDAG_PHASE_READY, false, 0, true, "isolated"},
        {QUDAG_PHASE_READY, false, 3, false, "unsaved"},
        {QUDAG_PHASE_DIAL, true, 3, true, "failed"},
    };
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        assert_string_equal(
            rules_health(row[ix].phase, row[ix].failing, row[ix].links, 1, row[ix].saves, true),
            row[ix].health);
    }
}

static void a_folder_that_others_can_change_is_refused(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        uid_t owner;
        bool holds;
        enum rules_folder want;
    } row[] = {
        {S_IFDIR | 0700, 7, false, RULES_FOLDER_OK},
        {S_IFDIR | 0755, 7, false,
         RULES_FOLDER_OK}, /* others may look at names, which are no secret to root */
        {S_IFDIR | 0750, 0, false, RULES_FOLDER_OK},
        {S_IFDIR | 0700, 7, true, RULES_FOLDER_OK},
        {S_IFDIR | 0777, 7, false, RULES_FOLDER_WRITABLE},
        {S_IFDIR | 0777, 7, true, RULES_FOLDER_WRITABLE},
        {S_IFDIR | 02775, 0, false, RULES_FOLDER_WRITABLE},
        {S_IFDIR | 0720, 7, false, RULES_FOLDER_WRITABLE},
        {S_IFDIR | 0702, 7, false, RULES_FOLDER_WRITABLE},
        {S_IFDIR | 01777, 0, false, RULES_FOLDER_WRITABLE}, /* /tmp */
        {S_IFDIR | 01777, 0, true, RULES_FOLDER_OK},
        {S_IFDIR | 0700, 8, false, RULES_FOLDER_FOREIGN},
        {S_IFDIR | 0755, 8, false, RULES_FOLDER_FOREIGN},
        {S_IFREG | 0700, 7, false, RULES_FOLDER_NOT_ONE},
        {S_IFLNK | 0700, 7, true, RULES_FOLDER_NOT_ONE},
    };
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        assert_int_equal(rules_state_folder(row[ix].mode, row[ix].owner, 7, row[ix].holds),
                         row[ix].want);
    }
}

static void a_secret_is_a_regular_file_that_only_its_owner_can_read(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        enum rules_secret want;
    } row[] = {
        {S_IFREG | 0600, RULES_SECRET_OK},      {S_IFREG | 0400, RULES_SECRET_OK},
        {S_IFREG | 0640, RULES_SECRET_OPEN},    {S_IFREG | 0604, RULES_SECRET_OPEN},
        {S_IFREG | 0620, RULES_SECRET_OPEN},    {S_IFREG | 0601, RULES_SECRET_OPEN},
        {S_IFLNK | 0777, RULES_SECRET_LINK},    {S_IFLNK | 0600, RULES_SECRET_LINK},
        {S_IFDIR | 0700, RULES_SECRET_NO_FILE}, {S_IFIFO | 0600, RULES_SECRET_NO_FILE},
    };
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        assert_int_equal(rules_secret_file(row[ix].mode, 7, 7), row[ix].want);
    }
    assert_int_equal(rules_secret_file(S_IFREG | 0600, 8, 7), RULES_SECRET_FOREIGN);
    assert_int_equal(rules_secret_file(S_IFREG | 0600, 0, 7), RULES_SECRET_FOREIGN);
    assert_int_equal(rules_secret_folder(S_IFDIR | 0700, 7, 7), RULES_SECRET_OK);
    assert_int_equal(rules_secret_folder(S_IFDIR | 0701, 7, 7), RULES_SECRET_OPEN);
    assert_int_equal(rules_secret_folder(S_IFDIR | 0700, 8, 7), RULES_SECRET_FOREIGN);
    assert_int_equal(rules_secret_folder(S_IFREG | 0600, 7, 7), RULES_SECRET_NO_FILE);
    assert_int_equal(rules_secret_folder(S_IFLNK | 0777, 7, 7), RULES_SECRET_LINK);
}

static void items_of_others_in_the_state_folder_are_left_alone(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        mode_t mode;
        enum rules_item want;
    } row[] = {
        {"onion-key", S_IFREG | 0600, RULES_ITEM_OURS},
        {"dark-00ff", S_IFREG | 0644, RULES_ITEM_OURS},
        {".new.onion-key", S_IFREG | 0600, RULES_ITEM_HIDDEN},
        {".", S_IFDIR | 0700, RULES_ITEM_HIDDEN},
        {"onion-key~", S_IFREG | 0600, RULES_ITEM_FOREIGN},
        {"#onion-key#", S_IFREG | 0600, RULES_ITEM_FOREIGN},
        {"a b", S_IFREG | 0600, RULES_ITEM_FOREIGN},
        {"onion-key", S_IFDIR | 0700, RULES_ITEM_FOREIGN},
        {"onion-key", S_IFLNK | 0777, RULES_ITEM_FOREIGN},
        {"onion-key", S_IFIFO | 0600, RULES_ITEM_FOREIGN},
    };
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        assert_int_equal(rules_state_item(row[ix].name, row[ix].mode), row[ix].want);
    }
    assert_true(rules_state_name("dark-1.x"));
    assert_false(rules_state_name(""));
    assert_false(rules_state_name(".."));
    assert_false(rules_state_name("a/b"));
    assert_false(rules_state_name("a\n"));
}

static void what_is_ours_and_damaged_is_never_overwritten(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int err;
        enum rules_restore want;
    } row[] = {
        {"onion-key", QUDAG_OK, RULES_RESTORE_OK},
        {"onion-key", QUDAG_EMALFORMED, RULES_RESTORE_REFUSE},
        {"onion-key", QUDAG_EUNSUPPORTED, RULES_RESTORE_REFUSE}, /* else a new one replaced it */
        {"guards", QUDAG_EMALFORMED, RULES_RESTORE_REFUSE},
        {"dark-0a", QUDAG_EUNSUPPORTED, RULES_RESTORE_REFUSE},
        {"relay-seq", QUDAG_EUNSUPPORTED, RULES_RESTORE_REFUSE},
        {"pub-0a", QUDAG_EMALFORMED, RULES_RESTORE_REFUSE},
        {"pub-0a", QUDAG_EUNSUPPORTED, RULES_RESTORE_REFUSE}, /* else nobody would find it again */
        {"pub-0a.bak", QUDAG_EMALFORMED, RULES_RESTORE_SKIP},
        {"dark-0a.bak", QUDAG_EMALFORMED, RULES_RESTORE_SKIP},
        {"dark-0a.bak", QUDAG_EEXISTS, RULES_RESTORE_SKIP},
        {"notes", QUDAG_EUNSUPPORTED, RULES_RESTORE_SKIP},
        {"newer-item", QUDAG_EUNSUPPORTED, RULES_RESTORE_SKIP},
        {"newer-item", QUDAG_EMALFORMED, RULES_RESTORE_REFUSE}, /* the node knows that name */
        {"newer-item", QUDAG_ENOMEM, RULES_RESTORE_REFUSE},
    };
    for (size_t ix = 0; ix < COUNT(row); ix++) {
        assert_int_equal(rules_restore(row[ix].name, row[ix].err), row[ix].want);
    }
}

static void a_folder_stays_in_its_kind_of_network(void **state)
{
    (void)state;
    assert_int_equal(rules_network_read("lab\n", 4), RULES_NETWORK_LAB);
    assert_int_equal(rules_network_read("normal\n", 7), RULES_NETWORK_NORMAL);
    assert_int_equal(rules_network_read("lab", 3), RULES_NETWORK_UNKNOWN);
    assert_int_equal(rules_network_read("", 0), RULES_NETWORK_UNKNOWN);
    assert_int_equal(rules_network_read("lab\nx", 5), RULES_NETWORK_UNKNOWN);
    assert_string_equal(rules_network_text(RULES_NETWORK_LAB), "lab\n");
    assert_true(rules_network_fits(RULES_NETWORK_LAB, true));
    assert_true(rules_network_fits(RULES_NETWORK_NORMAL, false));
    assert_true(rules_network_fits(RULES_NETWORK_UNKNOWN, true));
    assert_true(rules_network_fits(RULES_NETWORK_UNKNOWN, false));
    assert_false(rules_network_fits(RULES_NETWORK_LAB, false));
    assert_false(rules_network_fits(RULES_NETWORK_NORMAL, true));
}

static void a_wrong_clock_may_be_why_nothing_is_found(void **state)
{
    static const qudag_err may[] = {QUDAG_ENOTFOUND, QUDAG_EEXPIRED,     QUDAG_ECLOCK,
                                    QUDAG_ENORELAYS, QUDAG_EUNREACHABLE, QUDAG_ETIMEOUT};
    size_t found = 0;
    (void)state;
    for (int err = QUDAG_OK; err >= QUDAG_ESMALLNET; err--) {
        bool listed = false;
        for (size_t ix = 0; ix < COUNT(may); ix++) {
            listed = listed || (int)may[ix] == err;
        }
        assert_int_equal(rules_may_be_clock(err), listed);
        found += listed;
    }
    assert_int_equal(found, COUNT(may));
}

static void who_has_no_place_is_told_why(void **state)
{
    (void)state;
    assert_string_equal(rules_place_why(QUDAG_OK), "");
    assert_non_null(strstr(rules_place_why(QUDAG_EUNSUPPORTED), "no circuit relay"));
    assert_non_null(strstr(rules_place_why(QUDAG_EREFUSED), "no place left"));
    for (int err = -1; err >= QUDAG_ESMALLNET; err--) {
        assert_true(rules_place_why(err)[0] != 0);
    }
}

static void relay_or_peer_whoever_is_away_is_named(void **state)
{
    static const qudag_err away[] = {QUDAG_EUNREACHABLE, QUDAG_ETIMEOUT, QUDAG_ECLOSED,
                                     QUDAG_ERESET};
    (void)state;
    for (size_t ix = 0; ix < COUNT(away); ix++) {
        assert_non_null(strstr(rules_relayed_hint((int)away[ix], false), "relay of that address"));
        assert_non_null(strstr(rules_relayed_hint((int)away[ix], true), "no place there"));
    }
    assert_non_null(strstr(rules_relayed_hint(QUDAG_EREFUSED, true), "no room"));
    assert_non_null(strstr(rules_relayed_hint(QUDAG_ELIMIT, true), "no room"));
    assert_null(rules_relayed_hint(QUDAG_EREFUSED, false));
    assert_null(rules_relayed_hint(QUDAG_ELIMIT, false)); /* it is one of this node */
    assert_null(rules_relayed_hint(QUDAG_EAUTH, true));
    assert_null(rules_relayed_hint(QUDAG_EPOLICY, false));
}

static void what_a_node_saves_of_secrets_is_known_by_name(void **state)
{
    (void)state;
    static const char *const secret[] = {"onion-key",  "onion-key-2", "guards",    "relay-seq",
                                         "record-seq", "dark-abc",    "pub-abcde", "app-abc",
                                         "hid-abc",    "auth-abc"};
    static const char *const other[] = {"onion-key-3", "guards2", "dark-abc.bak", "dar-k", "pins"};
    for (size_t ix = 0; ix < sizeof(secret) / sizeof(secret[0]); ix++) {
        assert_true(rules_state_secret(secret[ix]));
    }
    for (size_t ix = 0; ix < sizeof(other) / sizeof(other[0]); ix++) {
        assert_false(rules_state_secret(other[ix]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_same_user_and_root_may_ask),
        cmocka_unit_test(long_commands_wait_their_turn_and_short_ones_do_not),
        cmocka_unit_test(clients_leave_descriptors_to_the_node),
        cmocka_unit_test(shares_leave_places_to_others),
        cmocka_unit_test(only_what_was_made_for_a_share_is_destroyed_with_it),
        cmocka_unit_test(who_has_the_fewest_running_is_next),
        cmocka_unit_test(anonymity_is_said_in_words_and_only_once_it_is_there),
        cmocka_unit_test(health_follows_from_links_and_not_from_the_phase_alone),
        cmocka_unit_test(a_node_that_tries_again_has_not_recovered),
        cmocka_unit_test(whether_it_is_a_relay_is_said_with_what_lacks),
        cmocka_unit_test(a_node_that_cannot_save_is_not_well),
        cmocka_unit_test(a_node_whose_network_lets_no_udp_through_is_not_well),
        cmocka_unit_test(a_folder_that_others_can_change_is_refused),
        cmocka_unit_test(a_secret_is_a_regular_file_that_only_its_owner_can_read),
        cmocka_unit_test(items_of_others_in_the_state_folder_are_left_alone),
        cmocka_unit_test(what_is_ours_and_damaged_is_never_overwritten),
        cmocka_unit_test(a_folder_stays_in_its_kind_of_network),
        cmocka_unit_test(a_wrong_clock_may_be_why_nothing_is_found),
        cmocka_unit_test(who_has_no_place_is_told_why),
        cmocka_unit_test(relay_or_peer_whoever_is_away_is_named),
        cmocka_unit_test(what_a_node_saves_of_secrets_is_known_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
