/* clients.c - clients of hidden addresses (qudag/dark.h): the owner's side and the caller's. */
#include "clients.h"

#include "report.h"

#include <string.h>

static bool own_info(const qudag_node *n, const char *addr, qudag_dark_info *info)
{
    for (size_t it = 0; qudag_dark_next(n, &it, info);) {
        if (strcmp(info->addr, addr) == 0) {
            return true;
        }
    }
    return false;
}

/* The own address that is meant; NULL: the request has ended with what is wrong. */
static const char *own_of(struct request *rq, char buf[QUDAG_DARK_TEXT_MAX], qudag_dark_info *info)
{
    const char *addr = command_address(rq, buf);
    if (addr != NULL && !own_info(rq->d->node, addr, info)) {
        request_end(rq, TOOL_NOT_FOUND, "QUDAG_ENOTFOUND", "this node does not own that address",
                    "qudag dark list shows those it owns");
        return NULL;
    }
    return addr;
}

/* Ends a request about the client |name|. */
static void client_end(struct request *rq, qudag_err err, const char *name)
{
    char message[200];
    switch (err) {
    case QUDAG_EUNSUPPORTED:
        request_end(rq, TOOL_USAGE, qudag_err_name(err),
                    "an address of the direct kind cannot be for clients only: whoever has it "
                    "knows its node",
                    "qudag dark new, and qudag expose, make addresses of the hidden kind");
        return;
    case QUDAG_EINVAL:
        request_end(rq, TOOL_USAGE, qudag_err_name(err),
                    "the name of a client is 1 to 32 bytes of printable UTF-8 text",
                    "it is known on this node only");
        return;
    case QUDAG_EEXISTS:
        (void)snprintf(message, sizeof(message), "%.100s is a client already", name);
        request_end(rq, TOOL_USAGE, qudag_err_name(err), message,
                    "a lost key cannot be shown again: remove the client, then add him");
        return;
    case QUDAG_ELIMIT:
        request_end(rq, TOOL_FAILED, qudag_err_name(err), "an address has 48 clients at most",
                    "qudag dark client remove takes one away");
        return;
    case QUDAG_ENOTFOUND:
        (void)snprintf(message, sizeof(message), "the address has no client %.100s", name);
        request_end(rq, TOOL_NOT_FOUND, qudag_err_name(err), message,
                    "qudag dark client list shows them");
        return;
    default:
        request_end_err(rq, err, err == QUDAG_OK ? "" : name);
        return;
    }
}

void clients_add(struct request *rq)
{
    qudag_dark_info info = QUDAG_INIT(qudag_dark_info);
    const char *name = rec_get_str(&rq->args, "name");
    char own[QUDAG_DARK_TEXT_MAX], key[QUDAG_DARK_SECRET_MAX] = "";
    const char *addr = own_of(rq, own, &info);
    if (addr == NULL) {
        return;
    }
    name = name == NULL ? "" : name;
    qudag_err err = qudag_dark_client_add(rq->d->node, addr, name, key);
    if (err == QUDAG_OK) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_str(r, "address", addr);
        rec_str(r, "name", name);
        rec_str(r, "key", key);
        request_send(rq);
    }
    explicit_bzero(key, sizeof(key));
    client_end(rq, err, name);
}

void clients_list(struct request *rq)
{
    qudag_dark_info info = QUDAG_INIT(qudag_dark_info);
    char own[QUDAG_DARK_TEXT_MAX], name[QUDAG_DARK_LABEL_MAX + 1];
    const char *addr = own_of(rq, own, &info);
    if (addr == NULL) {
        return;
    }
    for (size_t it = 0; qudag_dark_client_next(rq->d->node, addr, &it, name);) {
        rec_str(request_rec(rq, REC_ROW), "name", name);
        request_send(rq);
    }
    request_end_err(rq, QUDAG_OK, "");
}

void clients_remove(struct request *rq)
{
    qudag_dark_info info = QUDAG_INIT(qudag_dark_info);
    const char *name = rec_get_str(&rq->args, "name");
    bool all = rec_get_bool(&rq->args, "all");
    char own[QUDAG_DARK_TEXT_MAX];
    const char *addr = own_of(rq, own, &info);
    if (addr == NULL) {
        return;
    }
    name = name == NULL ? "" : name;
    qudag_err err = qudag_dark_client_remove(rq->d->node, addr, all ? NULL : name);
    if (err == QUDAG_OK && own_info(rq->d->node, addr, &info)) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_str(r, "address", addr);
        rec_str(r, "who", info.clients_only ? "clients only" : "anybody who has the address");
        request_send(rq);
    }
    client_end(rq, err, name);
}

void clients_authorize(struct request *rq)
{
    const char *key = rec_get_str(&rq->args, "key");
    bool forget = rec_get_bool(&rq->args, "remove");
    char own[QUDAG_DARK_TEXT_MAX];
    const char *addr = command_address(rq, own);
    if (addr == NULL) {
        return;
    }
    qudag_err err = qudag_dark_authorize(rq->d->node, addr, forget ? NULL : key == NULL ? "" : key);
    switch (err) {
    case QUDAG_ECHECKSUM:
    case QUDAG_EMALFORMED:
        request_end(rq, TOOL_USAGE, qudag_err_name(err),
                    "this is no key for an address, or one with a typing error",
                    "a key has 56 letters and digits: copy it whole");
        return;
    case QUDAG_EUNSUPPORTED:
        request_end(rq, TOOL_USAGE, qudag_err_name(err), DARK_OTHER_NETWORK,
                    DARK_OTHER_NETWORK_HINT);
        return;
    case QUDAG_ENOTFOUND:
        request_end(rq, TOOL_NOT_FOUND, qudag_err_name(err),
                    "this node has no key for that address", "");
        return;
    case QUDAG_ELIMIT:
        request_end(rq, TOOL_FAILED, qudag_err_name(err),
                    "this node has keys for 256 addresses, and no more fit",
                    "qudag dark authorize ADDRESS --remove takes one away");
        return;
    default:
        request_end_err(rq, err, err == QUDAG_OK ? "" : "the key could not be kept");
        return;
    }
}
