/*
 * doctor.h - what qudag doctor makes of what it found; cmd_doctor.c finds it.
 *
 * Pure: no files, no clock; doctor_test.c breaks each thing.
 */
#ifndef QUDAG_BIN_DOCTOR_H
#define QUDAG_BIN_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOCTOR_UDP_BUFFER (4u << 20) /* bytes of a socket's buffers that the node asks for */
#define DOCTOR_TEXT_MAX 512
#define DOCTOR_MAX 24

/* What was found.  Where no daemon runs, what only it knows is not looked at. */
struct doctor_facts {
    /* the machine */
    bool clock_synced, clock_before_build;
    int entropy_errno; /* of getrandom(); 0: it works */
    uint64_t rmem_max, wmem_max;
    uint64_t disk_free;
    /* the folder */
    bool folder, folder_ours, identity;
    unsigned folder_mode, identity_mode; /* permission bits */
    bool identity_ours;
    char conf_fault[DOCTOR_TEXT_MAX]; /* what is wrong with qudag.conf; empty: nothing */
    /* the daemon */
    bool running, answers;
    char tool_version[32], daemon_version[32];
    char health[16], reason[DOCTOR_TEXT_MAX], disk[DOCTOR_TEXT_MAX];
    bool clock_suspect, announces, lab, relay, copied;
    uint64_t listens;    /* addresses that sockets are bound to */
    char links_from[40]; /* where links_max comes from; empty: not told */
    uint64_t bootstrap_peers, links, links_max, circuits, circuits_max, files, files_max;
    uint64_t descriptor_stored, uptime_s;
    /* being reached by peers, as status tells it */
    bool reach_wanted, looked_for, udp_blocked, double_nat, places_needed;
    char reach4[16], reach6[16], mapping4[16], reachability[DOCTOR_TEXT_MAX];
    char port_mapping[16], port_why[DOCTOR_TEXT_MAX];
    bool ports; /* the router was asked */
    uint64_t places;
};

enum doctor_verdict { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_BAD };

struct doctor_finding {
    const char *what; /* "clock" */
    enum doctor_verdict verdict;
    char text[DOCTOR_TEXT_MAX]; /* a sentence */
    char mend[DOCTOR_TEXT_MAX]; /* a command, or what else to do; empty: nothing */
};

/* Fills |out|, at least one for each thing that can be looked at; how many. */
size_t doctor_judge(const struct doctor_facts *f, struct doctor_finding out[DOCTOR_MAX]);
struct tool;
/* Finds all of it (cmd_doctor.c). */
void doctor_look(struct tool *t, struct doctor_facts *f);
/* "ok", "note" or "bad" */
const char *doctor_verdict_name(enum doctor_verdict verdict);

#endif
