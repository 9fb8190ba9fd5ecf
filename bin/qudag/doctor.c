/* doctor.c - a verdict on each thing, and what mends it. */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct list {
    struct doctor_finding *out;
    size_t n;
};

const char *doctor_verdict_name(enum doctor_verdict verdict)
{
    static const char *const name[] = {"ok", "note", "bad"};

    return (unsigned)verdict < 3 ? name[verdict] : "?";
}

/* Another finding; its sentence follows. */
__attribute__((format(printf, 5, 6))) static void add(struct list *l, const char *what,
                                                      enum doctor_verdict verdict, const char *mend,
                                                      const char *fmt, ...)
{
    va_list ap;

    if (l->n == DOCTOR_MAX) {
        return;
    }
    struct doctor_finding *f = &l->out[l->n++];
    *f = (struct doctor_finding){.what = what, .verdict = verdict};
    (void)snprintf(f->mend, sizeof(f->mend), "%s", mend);
    va_start(ap, fmt);
    (void)vsnprintf(f->text, sizeof(f->text), fmt, ap);
    va_end(ap);
}

static void judge_clock(struct list *l, const struct doctor_facts *f)
{
    if (f->clock_before_build) {
        add(l, "clock", DOCTOR_BAD, "timedatectl set-ntp true",
            "this machine's clock shows a time before this program was made: every certificate "
            "and record looks as if it were not valid yet");
    } else if (f->clock_suspect) {
        add(l, "clock", DOCTOR_BAD, "timedatectl set-ntp true",
            "more peers find this machine's clock wrong than agree with it");
    } else if (!f->clock_synced) {
        add(l, "clock", DOCTOR_NOTE, "timedatectl set-ntp true",
            "nothing keeps this machine's clock right; it may be off by at most 10 minutes");
    } else {
        add(l, "clock", DOCTOR_OK, "", "it is kept in step");
    }
}

static void judge_machine(struct list *l, const struct doctor_facts *f)
{
    if (f->entropy_errno != 0) {
        add(l, "entropy", DOCTOR_BAD, "wait, or give the virtual machine a virtio-rng device",
            "the kernel gives no random numbers yet: %s", strerror(f->entropy_errno));
    } else {
        add(l, "entropy", DOCTOR_OK, "", "the kernel gives random numbers");
    }
    uint64_t least = f->rmem_max < f->wmem_max ? f->rmem_max : f->wmem_max;
    if (least < DOCTOR_UDP_BUFFER) {
        char mend[128];
        (void)snprintf(mend, sizeof(mend), "sysctl -w net.core.rmem_max=%u net.core.wmem_max=%u",
                       DOCTOR_UDP_BUFFER, DOCTOR_UDP_BUFFER);
        add(l, "udp-buffers", DOCTOR_NOTE, mend,
            "the kernel allows %llu KiB of the %u KiB that sockets ask for: bursts are lost and "
            "sent again",
            (unsigned long long)least / 1024, DOCTOR_UDP_BUFFER / 1024);
    } else {
        add(l, "udp-buffers", DOCTOR_OK, "", "%llu KiB", (unsigned long long)least / 1024);
    }
    if (f->disk_free < (64u << 20)) {
        add(l, "disk", f->disk_free < (8u << 20) ? DOCTOR_BAD : DOCTOR_NOTE,
            "make room on that file system", "%llu MiB are free where the state folder is",
            (unsigned long long)f->disk_free >> 20);
    } else {
        add(l, "disk", DOCTOR_OK, "", "%llu MiB are free", (unsigned long long)f->disk_free >> 20);
    }
}

static void judge_folder(struct list *l, const struct doctor_facts *f)
{
    if (!f->folder) {
        add(l, "permissions", DOCTOR_NOTE, "qudag up", "there is no state folder yet");
        return;
    }
    if (!f->folder_ours || (f->identity && !f->identity_ours)) {
        add(l, "permissions", DOCTOR_BAD, "run as the user that owns the folder, or chown -R it",
            "the state folder or its identity belongs to another user");
    } else if ((f->folder_mode & 022) != 0) {
        add(l, "permissions", DOCTOR_BAD, "chmod 700 the folder",
            "others can write to the state folder (mode %04o)", f->folder_mode);
    } else if (f->identity && (f->identity_mode & 077) != 0) {
        add(l, "permissions", DOCTOR_BAD, "chmod 600 the file identity in the folder",
            "others can read the identity (mode %04o)", f->identity_mode);
    } else {
        add(l, "permissions", DOCTOR_OK, "", "folder and identity are for their owner alone");
    }
    if (f->conf_fault[0] != 0) {
        add(l, "configuration", DOCTOR_BAD, "qudag config check", "%.400s", f->conf_fault);
    } else {
        add(l, "configuration", DOCTOR_OK, "", "qudag.conf can be read");
    }
}

static void judge_bootstrap(struct list *l, const struct doctor_facts *f)
{
    if (strcmp(f->health, "failed") == 0) {
        add(l, "bootstrap", DOCTOR_BAD, "qudag connect MULTIADDR dials one now",
            "no bootstrap peer answers: %.400s", f->reason);
    } else if (strcmp(f->health, "isolated") == 0) {
        add(l, "bootstrap", DOCTOR_BAD, "qudag connect MULTIADDR dials one now",
            "all links are lost: %.400s", f->reason[0] != 0 ? f->reason : "is there a network?");
    } else if (strcmp(f->health, "alone") == 0) {
        add(l, "bootstrap", DOCTOR_NOTE,
            "bootstrap = MULTIADDR under [node] in qudag.conf, or let others join here",
            "no bootstrap peers are configured, and nobody has joined here");
    } else if (strcmp(f->health, "starting") == 0) {
        add(l, "bootstrap", DOCTOR_NOTE, "qudag status shows how far it is",
            "the node has not joined yet%s%.400s", f->reason[0] != 0 ? ": " : "", f->reason);
    } else {
        add(l, "bootstrap", DOCTOR_OK, "", "joined, with %llu links", (unsigned long long)f->links);
    }
}

static void judge_reachable(struct list *l, const struct doctor_facts *f)
{
    if (f->lab) {
        add(l, "reachability", DOCTOR_OK, "", "a lab: peers are on this machine");
    } else if (!f->announces && f->places > 0) {
        add(l, "reachability", DOCTOR_OK, "",
            "peers reach it by its peer id, through circuit relays; it cannot be a relay itself");
    } else if (!f->announces && f->udp_blocked) {
        add(l, "reachability", DOCTOR_NOTE, "see udp",
            "others cannot reach this node first, and nothing at dark addresses works");
    } else if (!f->announces) {
        add(l, "reachability", DOCTOR_NOTE,
            "forward a UDP port, and name it by announce = MULTIADDR under [node]",
            "others cannot reach this node first: no relay, and of dark addresses only hidden "
            "ones%s",
            f->links == 0 ? "" : " (calls and browsing work)");
    } else {
        add(l, "reachability", DOCTOR_OK, "", "it announces an address%s%.400s",
            f->reachability[0] != 0 ? ": " : "", f->reachability);
    }
    if (!f->relay || !f->announces) {
        add(l, "descriptor", DOCTOR_OK, "", "none is needed: this node is no relay");
    } else if (f->descriptor_stored == 0 && f->uptime_s > 120 && f->links > 0) {
        add(l, "descriptor", DOCTOR_BAD, "qudag dht store; qudag down, qudag up publishes it again",
            "no node holds the descriptor of this relay");
    } else {
        add(l, "descriptor", DOCTOR_OK, "", "%llu nodes hold the descriptor of this relay",
            (unsigned long long)f->descriptor_stored);
    }
}

static void judge_nat(struct list *l, const struct doctor_facts *f)
{
    if (f->double_nat) {
        add(l, "nat", DOCTOR_NOTE,
            "set the inner router to bridge mode; where the outer one is the provider's, ask for a "
            "public address, or for IPv6",
            "two NATs one behind the other: what the router opens leads nowhere");
    } else if (strcmp(f->mapping4, "dependent") == 0) {
        add(l, "nat", DOCTOR_NOTE,
            "look for cone, endpoint-independent or open NAT in the router, or forward a UDP port",
            "the router uses another port for each peer (symmetric): with peers behind such "
            "routers links stay relayed");
    } else {
        add(l, "nat", DOCTOR_OK, "", "%s",
            strcmp(f->mapping4, "independent") == 0 ? "one port outside for all peers"
            : strcmp(f->mapping4, "none") == 0
                ? "there is none"
                : "not yet known: few have said how they see this node");
    }
}

/* What lets peers in: the router's port, or circuit relays. */
static void judge_door(struct list *l, const struct doctor_facts *f)
{
    bool open = strcmp(f->reach4, "public") == 0;

    if (f->ports && !open && strcmp(f->port_mapping, "none") == 0 && f->port_why[0] == 0) {
        /* the methods have seconds each; what they say comes when the last has given up */
        add(l, "port-mapping", DOCTOR_OK, "", "the router is being asked to open a port");
    } else if (f->ports && !open && strcmp(f->port_mapping, "none") == 0) {
        add(l, "port-mapping", DOCTOR_NOTE,
            "switch UPnP, NAT-PMP or PCP on in the router; or forward a UDP port there, and name "
            "it by announce = MULTIADDR under [node]",
            "the router opens no port: %.300s", f->port_why);
    } else {
        add(l, "port-mapping", DOCTOR_OK, "", "%s%s",
            f->ports && !open ? "the router opened a port, by " : "none is needed",
            f->ports && !open ? f->port_mapping : "");
    }
    if (f->places_needed && f->places == 0 && f->uptime_s > 60) {
        add(l, "places", DOCTOR_NOTE,
            "qudag peers --places says why; qudag peer reserve RELAY asks one that you know",
            "no circuit relay keeps a place for this node: peers that look for it do not reach it");
    } else {
        add(l, "places", DOCTOR_OK, "", "%s",
            f->places > 0      ? "circuit relays keep a place"
            : f->places_needed ? "circuit relays are being asked"
                               : "none is needed");
    }
}

static void judge_udp(struct list *l, const struct doctor_facts *f)
{
    if (f->udp_blocked) {
        add(l, "udp", DOCTOR_BAD,
            "let UDP out of this network, to any port; or use another network",
            "nothing comes back by UDP: links go over TCP, and circuits cannot be built");
    } else {
        add(l, "udp", DOCTOR_OK, "", "nothing says that it does not get through");
    }
}

/* Being reached, where that is wanted. */
static void judge_being_reached(struct list *l, const struct doctor_facts *f)
{
    if (!f->lab && f->links > 0) { /* circuits need it too, of nodes that are not to be reached */
        judge_udp(l, f);
    }
    if (f->lab || !f->reach_wanted) {
        return;
    }
    judge_nat(l, f);
    judge_door(l, f);
}

/* |used| of |most|: full at the limit, near from 90 percent on. */
static void judge_limit(struct list *l, const char *what, uint64_t used, uint64_t most,
                        const char *from, const char *mend)
{
    enum doctor_verdict v = most == 0 || used < most - most / 10 ? DOCTOR_OK
                            : used < most                        ? DOCTOR_NOTE
                                                                 : DOCTOR_BAD;

    add(l, what, v, v == DOCTOR_OK ? "" : mend, "%llu of %llu are used%s%s",
        (unsigned long long)used, (unsigned long long)most,
        from[0] != 0 ? "; the limit is from " : "", from);
}

static void judge_daemon(struct list *l, const struct doctor_facts *f)
{
    if (!f->running) {
        add(l, "daemon", DOCTOR_BAD, "qudag up", "qudagd is not running");
        return;
    }
    if (!f->answers) {
        add(l, "daemon", DOCTOR_BAD, "end it with kill, and qudag up",
            "qudagd runs and does not answer");
        return;
    }
    add(l, "daemon", DOCTOR_OK, "", "it answers");
    if (strcmp(f->tool_version, f->daemon_version) != 0) {
        add(l, "version", DOCTOR_NOTE, "qudag down, qudag up",
            "the daemon is version %s, this tool %s", f->daemon_version, f->tool_version);
    } else {
        add(l, "version", DOCTOR_OK, "", "%s", f->tool_version);
    }
    if (f->listens == 0) {
        add(l, "sockets", DOCTOR_BAD, "listen = MULTIADDR under [node], then qudag down, qudag up",
            "no socket is bound to an address of this machine");
    } else {
        add(l, "sockets", DOCTOR_OK, "", "bound to %llu address%s", (unsigned long long)f->listens,
            f->listens == 1 ? "" : "es");
    }
    judge_bootstrap(l, f);
    judge_reachable(l, f);
    judge_being_reached(l, f);
    if (f->disk[0] != 0) {
        add(l, "store", DOCTOR_BAD, "make room, or give the folder back to the daemon's user",
            "%.400s", f->disk);
    } else {
        add(l, "store", DOCTOR_OK, "", "what must last is written");
    }
    if (f->copied) {
        add(l, "copy", DOCTOR_NOTE, "stop one of the two, or remove the copy's identity",
            "this folder was copied: if the first is in use, peers reach only one of the two");
    }
    judge_limit(l, "links", f->links, f->links_max, f->links_from, "links_max under [link]");
    judge_limit(l, "circuits", f->circuits, f->circuits_max, "", "circuits_max under [onion]");
    judge_limit(l, "descriptors", f->files, f->files_max, "",
                "LimitNOFILE= of the unit, or ulimit -n");
}

size_t doctor_judge(const struct doctor_facts *f, struct doctor_finding out[DOCTOR_MAX])
{
    struct list l = {out, 0};

    judge_clock(&l, f);
    judge_machine(&l, f);
    judge_folder(&l, f);
    judge_daemon(&l, f);
    return l.n;
}
