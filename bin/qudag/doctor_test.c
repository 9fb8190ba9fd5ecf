/* doctor_test.c - each thing is broken: its verdict, and that there is something to do about it. */
#include "doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct doctor_facts well(void)
{
    return (struct doctor_facts){.clock_synced = true,
                                 .rmem_max = 8u << 20,
                                 .wmem_max = 8u << 20,
                                 .disk_free = UINT64_C(1) << 40,
                                 .folder = true,
                                 .folder_ours = true,
                                 .identity = true,
                                 .identity_ours = true,
                                 .folder_mode = 0700,
                                 .identity_mode = 0600,
                                 .running = true,
                                 .answers = true,
                                 .tool_version = "1",
                                 .daemon_version = "1",
                                 .health = "ok",
                                 .announces = true,
                                 .relay = true,
                                 .listens = 2,
                                 .bootstrap_peers = 1,
                                 .links = 10,
                                 .links_max = 1024,
                                 .circuits = 1,
                                 .circuits_max = 4096,
                                 .files = 20,
                                 .files_max = 1024,
                                 .descriptor_stored = 20,
                                 .uptime_s = 1000};
}

static const struct doctor_finding *find(struct doctor_finding *all, size_t n, const char *what)
{
    for (size_t ix = 0; ix < n; ix++) {
        if (strcmp(all[ix].what, what) == 0) {
            return &all[ix];
        }
    }
    return NULL;
}

static void a_node_that_is_well_has_no_finding(void **state)
{
    static struct doctor_finding all[DOCTOR_MAX];
    struct doctor_facts f = well();
    (void)state;

    size_t n = doctor_judge(&f, all);
    assert_true(n >= 15);
    for (size_t ix = 0; ix < n; ix++) {
        assert_string_equal(doctor_verdict_name(all[ix].verdict), "ok");
        assert_string_equal(all[ix].mend, "");
        assert_true(all[ix].text[0] != 0);
    }
}

/* With |broken|, |what| alone is not well, and there is something to do about it. */
static void only(const struct doctor_facts *broken, const char *what, enum doctor_verdict verdict)
{
    static struct doctor_finding all[DOCTOR_MAX];
    size_t n = doctor_judge(broken, all);
    const struct doctor_finding *f = find(all, n, what);

    if (f == NULL || f->verdict != verdict) {
        fail_msg("%s: %s", what, f == NULL ? "nothing" : doctor_verdict_name(f->verdict));
    }
    assert_true(f->mend[0] != 0 && f->text[0] != 0);
    for (size_t ix = 0; ix < n; ix++) {
        if (&all[ix] != f && all[ix].verdict != DOCTOR_OK) {
            fail_msg("%s, because of %s: %s", all[ix].what, what, all[ix].text);
        }
    }
}

#define SET(field, text) (void)snprintf((field), sizeof(field), "%s", (text))
#define BROKEN(what, verdict, ...)                                                                 \
    do {                                                                                           \
        struct doctor_facts f = well();                                                            \
        __VA_ARGS__;                                                                               \
        only(&f, what, verdict);                                                                   \
    } while (0)

static void each_thing_that_is_broken_is_found(void **state)
{
    (void)state;
    BROKEN("clock", DOCTOR_BAD, f.clock_before_build = true);
    BROKEN("clock", DOCTOR_BAD, f.clock_suspect = true);
    BROKEN("clock", DOCTOR_NOTE, f.clock_synced = false);
    BROKEN("entropy", DOCTOR_BAD, f.entropy_errno = EAGAIN);
    BROKEN("udp-buffers", DOCTOR_NOTE, f.rmem_max = 212992);
    BROKEN("udp-buffers", DOCTOR_NOTE, f.wmem_max = DOCTOR_UDP_BUFFER - 1);
    BROKEN("disk", DOCTOR_NOTE, f.disk_free = 63 << 20);
    BROKEN("disk", DOCTOR_BAD, f.disk_free = 0);
    BROKEN("permissions", DOCTOR_BAD, f.folder_mode = 0770);
    BROKEN("permissions", DOCTOR_BAD, f.folder_mode = 0702);
    BROKEN("permissions", DOCTOR_BAD, f.identity_mode = 0640);
    BROKEN("permissions", DOCTOR_BAD, f.folder_ours = false);
    BROKEN("permissions", DOCTOR_BAD, f.identity_ours = false);
    BROKEN("configuration", DOCTOR_BAD, SET(f.conf_fault, "line 3"));
    BROKEN("daemon", DOCTOR_BAD, f.running = false);
    BROKEN("daemon", DOCTOR_BAD, f.answers = false);
    BROKEN("version", DOCTOR_NOTE, SET(f.daemon_version, "0"));
    BROKEN("sockets", DOCTOR_BAD, f.listens = 0);
    BROKEN("bootstrap", DOCTOR_BAD, SET(f.health, "failed"));
    BROKEN("bootstrap", DOCTOR_BAD, SET(f.health, "isolated"));
    BROKEN("bootstrap", DOCTOR_NOTE, SET(f.health, "alone"));
    BROKEN("bootstrap", DOCTOR_NOTE, SET(f.health, "starting"));
    BROKEN("reachability", DOCTOR_NOTE, f.announces = false);
    BROKEN("descriptor", DOCTOR_BAD, f.descriptor_stored = 0);
    BROKEN("store", DOCTOR_BAD, SET(f.disk, "no room"));
    BROKEN("copy", DOCTOR_NOTE, f.copied = true);
    BROKEN("links", DOCTOR_NOTE, f.links = 1000);
    BROKEN("links", DOCTOR_BAD, f.links = 1024);
    BROKEN("circuits", DOCTOR_BAD, f.circuits = 4096);
    BROKEN("descriptors", DOCTOR_NOTE, f.files = 1000);
}

#define HOME                                                                                       \
    f.reach_wanted = true, f.ports = true, SET(f.reach4, "private"), SET(f.port_mapping, "upnp")

/* The verdict on |what|; -1: it was not looked at. */
static int verdict(const struct doctor_facts *of, const char *what)
{
    static struct doctor_finding all[DOCTOR_MAX];
    size_t n = doctor_judge(of, all);
    const struct doctor_finding *got = find(all, n, what);

    assert_true(n < DOCTOR_MAX); /* none was left out for lack of room */
    return got != NULL ? (int)got->verdict : -1;
}

static void what_keeps_peers_out_is_found(void **state)
{
    struct doctor_facts home = well();
    (void)state;

    BROKEN("udp", DOCTOR_BAD, HOME; f.udp_blocked = true);
    BROKEN("nat", DOCTOR_NOTE, HOME; f.double_nat = true);
    BROKEN("nat", DOCTOR_NOTE, HOME; SET(f.mapping4, "dependent"));
    BROKEN("port-mapping", DOCTOR_NOTE, HOME; SET(f.port_mapping, "none");
           SET(f.port_why, "UPnP: no router answers"));
    BROKEN("places", DOCTOR_NOTE, HOME; f.places_needed = true);
    home.reach_wanted = home.ports = home.places_needed = true;
    home.uptime_s = 10; /* they are being asked */
    assert_int_equal(verdict(&home, "places"), DOCTOR_OK);
    SET(home.port_mapping, "none");
    SET(home.reach4, "private"); /* nothing is to be changed in the router before it has answered */
    assert_int_equal(verdict(&home, "port-mapping"), DOCTOR_OK);
    SET(home.port_why, "UPnP: no router answers");
    assert_int_equal(verdict(&home, "port-mapping"), DOCTOR_NOTE);
    SET(home.reach4, "public"); /* none is needed */
    assert_int_equal(verdict(&home, "port-mapping"), DOCTOR_OK);
    home.announces = false;
    assert_int_equal(verdict(&home, "reachability"), DOCTOR_NOTE);
    home.places = 2; /* peers reach it through those */
    assert_int_equal(verdict(&home, "reachability"), DOCTOR_OK);
    home.lab = true;
    assert_int_equal(verdict(&home, "nat"), -1);
    home = well(); /* it does not want to be reached, and needs circuits all the same */
    home.udp_blocked = true;
    assert_int_equal(verdict(&home, "udp"), DOCTOR_BAD);
    assert_int_equal(verdict(&home, "nat"), -1);
    home.announces = false; /* and what needs circuits does not work */
    struct doctor_finding found[DOCTOR_MAX];
    for (size_t i = doctor_judge(&home, found); i-- > 0;) {
        assert_null(strstr(found[i].text, "calls and browsing work"));
    }
    home.links = 0; /* nothing is known of the network */
    assert_int_equal(verdict(&home, "udp"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_that_is_well_has_no_finding),
        cmocka_unit_test(each_thing_that_is_broken_is_found),
        cmocka_unit_test(what_keeps_peers_out_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
