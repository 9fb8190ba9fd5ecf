/* rules.c - the decisions of the daemon on which safety rests; pure functions, each with a table in rules_test.c. */
#include "rules.h"

#include "common/vault.h"

#include <qudag/qudag.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ------------------------------------------------------------------ control socket */

bool rules_control_peer(uid_t peer, uid_t own)
{
    return peer == own || peer == 0;
}

size_t rules_control_places(uint64_t files, size_t max)
{
    uint64_t places = files < RULES_FILES_LEFT + 4 ? 4 : files - RULES_FILES_LEFT;
    return places < max ? (size_t)places : max;
}

bool rules_share_fits(size_t running, size_t places)
{
    return running == 0 || running < places / 5;
}

/* "share-" and |n| digits of base 16. */
static bool share_name(const char *text, size_t n)
{
    static const char head[] = "share-";
    size_t at = sizeof(head) - 1;
    return strncmp(text, head, at) == 0 && strlen(text) == at + n &&
           strspn(text + at, "0123456789abcdef") == n;
}

bool rules_share_label(const char *label)
{
    return share_name(label, 24);
}

bool rules_share_over(const char *label, bool served)
{
    return !served && rules_share_label(label);
}

bool rules_share_socket(const char *name)
{
    return share_name(name, 6);
}

enum rules_turn rules_command_turn(enum rules_command kind, const struct rules_load *load)
{
    if (kind == RULES_SHORT || (load->running < load->running_max && load->waiting == 0)) {
        return RULES_TURN_NOW;
    }
    if (load->own >= load->own_max) {
        return RULES_TURN_OWN;
    }
    return load->waiting < load->waiting_max ? RULES_TURN_WAIT : RULES_TURN_FULL;
}

size_t rules_next_turn(const struct rules_waiting *waiting, size_t n)
{
    size_t best = 0;
    for (size_t ix = 1; ix < n; ix++) {
        const struct rules_waiting *w = &waiting[ix], *b = &waiting[best];
        if (w->running < b->running || (w->running == b->running && w->since < b->since)) {
            best = ix;
        }
    }
    return best;
}

bool rules_failing(bool failing, int phase)
{
    bool trying = phase == QUDAG_PHASE_START || phase == QUDAG_PHASE_DIAL;
    return phase == QUDAG_PHASE_FAILED || (failing && trying);
}

const char *rules_health(int phase, bool failing, size_t links, size_t bootstrap_peers, bool saves,
                         bool udp_blocked)
{
    bool joined = phase != QUDAG_PHASE_START && phase != QUDAG_PHASE_DIAL;
    if (rules_failing(failing, phase)) {
        return "failed";
    }
    if (joined && links == 0 && bootstrap_peers > 0) {
        return "isolated";
    }
    if (!saves) {
        return "unsaved";
    }
    if (joined && udp_blocked) {
        return "no-udp";
    }
    if (links == 0 && bootstrap_peers == 0) {
        return "alone";
    }
    return phase == QUDAG_PHASE_READY ? "ok" : "starting";
}

void rules_anonymity(char *out, size_t cap, int state, uint32_t lookups, uint32_t lookups_min)
{
    static const char *const texts[] = {
        [QUDAG_ANONYMITY_YES] = "yes",
        [QUDAG_ANONYMITY_LAB] = "no: a test network (lab) hides nobody",
        [QUDAG_ANONYMITY_SMALL_NETWORK] = "no: the network is too small to hide anybody",
        [QUDAG_ANONYMITY_GUARDS_SPENT] =
            "no: the guards do not answer, and all new guards of this month are used",
        [QUDAG_ANONYMITY_GUARDS_SILENT] = "no: the guards do not answer",
    };
    if (state == QUDAG_ANONYMITY_NOT_YET) {
        (void)snprintf(out, cap,
                       "not yet: %u lookups (at least %u) have shown too little of the network",
                       (unsigned)lookups, (unsigned)lookups_min);
        return;
    }
    bool known = state >= 0 && (size_t)state < sizeof(texts) / sizeof(texts[0]);
    (void)snprintf(out, cap, "%s",
                   known ? texts[state] : "no: for a reason this program does not know");
}

void rules_relay(char *out, size_t cap, bool relay, bool announces, uint64_t stored)
{
    if (!relay || !announces) {
        (void)snprintf(out, cap, "no: %s",
                       !relay ? "switched off ([onion] relay)"
                              : "no address is known at which others can reach this node");
    } else if (stored == 0) {
        (void)snprintf(out, cap, "not yet: no other node holds its descriptor");
    } else {
        (void)snprintf(out, cap, "yes: %llu nodes hold its descriptor", (unsigned long long)stored);
    }
}

/* ------------------------------------------------------------------ files and folders */

enum rules_folder rules_state_folder(mode_t type_and_mode, uid_t owner, uid_t own,
                                     bool holds_identity)
{
    if (!S_ISDIR(type_and_mode)) {
        return RULES_FOLDER_NOT_ONE;
    }
    bool others_write = (type_and_mode & (S_IWGRP | S_IWOTH)) != 0;
    bool sticky = (type_and_mode & S_ISVTX) != 0;
    if (others_write && !(sticky && holds_identity)) {
        return RULES_FOLDER_WRITABLE;
    }
    return owner == own || owner == 0 || holds_identity ? RULES_FOLDER_OK : RULES_FOLDER_FOREIGN;
}

static enum rules_secret secret_of(mode_t mode, bool right_kind, uid_t owner, uid_t own)
{
    if (S_ISLNK(mode)) {
        return RULES_SECRET_LINK;
    }
    if (!right_kind) {
        return RULES_SECRET_NO_FILE;
    }
    if (owner != own) {
        return RULES_SECRET_FOREIGN;
    }
    return (mode & 077) == 0 ? RULES_SECRET_OK : RULES_SECRET_OPEN;
}

enum rules_secret rules_secret_file(mode_t type_and_mode, uid_t owner, uid_t own)
{
    return secret_of(type_and_mode, S_ISREG(type_and_mode), owner, own);
}

enum rules_secret rules_secret_folder(mode_t type_and_mode, uid_t owner, uid_t own)
{
    return secret_of(type_and_mode, S_ISDIR(type_and_mode), owner, own);
}

bool rules_state_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == len;
}

enum rules_item rules_state_item(const char *name, mode_t type_and_mode)
{
    if (name[0] == '.') {
        return RULES_ITEM_HIDDEN;
    }
    return S_ISREG(type_and_mode) && rules_state_name(name) ? RULES_ITEM_OURS : RULES_ITEM_FOREIGN;
}

bool rules_state_secret(const char *name)
{
    return vault_is_item(name) || vault_is_sealed_name(name);
}

enum rules_restore rules_restore(const char *name, int err)
{
    if (err == QUDAG_OK) {
        return RULES_RESTORE_OK;
    }
    bool foreign = err == QUDAG_EUNSUPPORTED || strchr(name, '.') != NULL;
    return foreign && !rules_state_secret(name) ? RULES_RESTORE_SKIP : RULES_RESTORE_REFUSE;
}

static const char *const network_text[] = {"", "normal\n", "lab\n"};

enum rules_network rules_network_read(const char *text, size_t len)
{
    for (size_t ix = RULES_NETWORK_NORMAL; ix <= RULES_NETWORK_LAB; ix++) {
        if (len == strlen(network_text[ix]) && memcmp(text, network_text[ix], len) == 0) {
            return (enum rules_network)ix;
        }
    }
    return RULES_NETWORK_UNKNOWN;
}

const char *rules_network_text(enum rules_network network)
{
    return network_text[network];
}

bool rules_network_fits(enum rules_network made, bool lab)
{
    return made == RULES_NETWORK_UNKNOWN || (made == RULES_NETWORK_LAB) == lab;
}

bool rules_may_be_clock(int err)
{
    return err == QUDAG_ENOTFOUND || err == QUDAG_EEXPIRED || err == QUDAG_ECLOCK ||
           err == QUDAG_ENORELAYS || err == QUDAG_EUNREACHABLE || err == QUDAG_ETIMEOUT;
}

const char *rules_place_why(int err)
{
    switch (err) {
    case QUDAG_OK:
        return "";
    case QUDAG_EUNSUPPORTED: /* it does not serve the protocol */
        return "this peer is no circuit relay";
    case QUDAG_EPROTO:
        return "this peer does not answer as a circuit relay does";
    case QUDAG_EREFUSED:
        return "no place left there, or none for this node";
    default:
        return qudag_strerror((qudag_err)err);
    }
}

const char *rules_relayed_hint(int err, bool linked)
{
    if (err == QUDAG_EREFUSED || err == QUDAG_ELIMIT) {
        return linked
                   ? "the circuit relay has no room for more circuits, or wants none of this node"
                   : NULL;
    }
    if (err != QUDAG_EUNREACHABLE && err != QUDAG_ETIMEOUT && err != QUDAG_ECLOSED &&
        err != QUDAG_ERESET) {
        return NULL;
    }
    return linked ? "the circuit relay answers, but the peer has no place there now, or is gone"
                  : "the circuit relay of that address is not reached: is it up?";
}
