/* reserve.c - qudag peer reserve waits for what the relay says. */
#include "reserve.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOOKS 60 /* at what the daemon knows, each a little later */
#define PAUSE_NS 400000000

/* A relay that was asked for a place. */
struct asked {
    const char *relay; /* as the user named it: an id, or an address that ends in one */
    bool held, failed;
    char address[QUDAG_ADDR_TEXT_MAX], error[64], why[256];
};

static void on_place(struct tool *t, const struct rec_view *v, void *user)
{
    struct asked *a = user;
    const char *relay = rec_get_str(v, "relay"), *address = rec_get_str(v, "address");
    const char *error = rec_get_str(v, "error"), *why = rec_get_str(v, "why");
    size_t all = strcspn(a->relay, "#"), len = relay == NULL ? 0 : strlen(relay);

    (void)t;
    if (len == 0 || len > all || memcmp(a->relay + all - len, relay, len) != 0) {
        return;
    }
    a->held = address != NULL;
    a->failed = address == NULL && rec_get_int(v, "failures", 0) > 0;
    (void)snprintf(a->address, sizeof(a->address), "%s", address != NULL ? address : "");
    (void)snprintf(a->error, sizeof(a->error), "%s", error != NULL ? error : "QUDAG_EREFUSED");
    (void)snprintf(a->why, sizeof(a->why), "%s", why != NULL ? why : "the relay keeps no place");
}

int reserve_wait(struct tool *t, const char *relay)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    struct asked a = {.relay = relay};
    struct outcome out;

    for (unsigned i = 0; i < LOOKS && !a.held && !a.failed; i++) {
        (void)nanosleep(&pause, NULL);
        (void)ask_begin(t, "peers.places");
        ask_dir(t, t->dir, -1, on_place, &a, &out);
        if (out.code != TOOL_OK) {
            return tool_error(t, (enum tool_exit)out.code, out.error, out.message, out.hint);
        }
    }
    if (a.held) {
        if (!t->json) {
            (void)printf("%-10s %s\n", "reached at", a.address);
        }
        return TOOL_OK;
    }
    const char *hint = "it is asked again: qudag peers --places shows what it says";
    if (!a.failed) {
        return tool_error(t, TOOL_UNREACHABLE, "QUDAG_ETIMEOUT", "the relay has not answered yet",
                          hint);
    }
    bool refused = strcmp(a.error, "QUDAG_EREFUSED") == 0;
    return tool_error(t, refused ? TOOL_REFUSED : TOOL_UNREACHABLE, a.error, a.why, hint);
}
