/* proxy_rules.c - decisions of the proxy. */
#include "app/proxy_rules.h"

#include "app/tunnel.h"
#include "base/assert.h"
#include "base/wr.h"
#include "crypto/hash.h"

#include <string.h>

/* ------------------------------------------------------------------ names */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool qudag_petname_valid(const char *name)
{
    size_t n = name == NULL ? 0 : strlen(name);

    for (size_t i = 0; i < n; i++) {
        if (!is_letter(name[i]) && !is_digit(name[i]) && name[i] != '-') {
            return false;
        }
    }
    if (n == 0 || n > QUDAG_PETNAME_MAX || name[0] == '-' || name[n - 1] == '-') {
        return false;
    }
    return n < 4 || name[2] != '-' || name[3] != '-'; /* RFC 5890: xn-- and what may come */
}

/* The lower-case copy without a last dot; false: there is something in it that no name has. */
static bool plain(struct slice host, char out[PROXY_HOST_MAX + 1])
{
    if (host.len > 1 && host.base[host.len - 1] == '.') {
        host.len--;
    }
    out[0] = 0;
    if (host.len == 0 || host.len > PROXY_HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < host.len; i++) {
        char c = (char)host.base[i];
        if (!is_letter(c) && !is_digit(c) && c != '-' && c != '.' && c != '_' && c != ':') {
            out[0] = 0;
            return false;
        }
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    out[host.len] = 0;
    return true;
}

/* The label behind the last dot of |text| is a number: so inet_aton() and URLs tell an address (127.1, 0x7f000001). */
static bool is_ip(const char *text)
{
    const char *dot = strrchr(text, '.'), *last = dot == NULL ? text : dot + 1;

    if (strchr(text, ':') != NULL) {
        return true;
    }
    if (last[0] == '0' && last[1] == 'x') {
        return strspn(last + 2, "0123456789abcdef") == strlen(last + 2);
    }
    return last[0] != 0 && strspn(last, "0123456789") == strlen(last);
}

static bool has_empty_label(const char *text)
{
    return text[0] == '.' || strstr(text, "..") != NULL;
}

enum proxy_host proxy_host_read(struct slice host, char out[PROXY_HOST_MAX + 1])
{
    static const char suffix[] = ".dark";
    const size_t end = sizeof(suffix) - 1;

    if (!plain(host, out)) {
        return PROXY_NO_NAME;
    }
    size_t n = strlen(out);
    enum proxy_host kind = is_ip(out)                                       ? PROXY_IP
                           : has_empty_label(out)                           ? PROXY_NO_NAME
                           : n <= end || strcmp(out + n - end, suffix) != 0 ? PROXY_OUTSIDE
                                                                            : PROXY_PETNAME;
    if (kind != PROXY_PETNAME) {
        out[0] = 0;
        return kind;
    }
    size_t dots = 0, from = n - end;
    while (from > 0 && dots < 2) {
        from--;
        dots += out[from] == '.';
    }
    if (dots == 0) {
        out[n - end] = 0;
        kind = qudag_petname_valid(out) ? PROXY_PETNAME : PROXY_NO_NAME;
        if (kind == PROXY_NO_NAME) {
            out[0] = 0;
        }
        return kind;
    }
    from += dots == 2;
    memmove(out, out + from, n - from + 1);
    return PROXY_ADDRESS;
}

/* ------------------------------------------------------------------ who shares a circuit */

void proxy_isolation(uint8_t key[QUDAG_ISOLATION_MAX], const struct proxy_user *u)
{
    struct blake3_ctx c;
    uint8_t head[8 + 1 + 8], hash[BLAKE3_LEN];
    struct wr w = wr_init(head, sizeof(head));

    _Static_assert(BLAKE3_LEN == QUDAG_ISOLATION_MAX, "a hash is a key");
    wr_u64(&w, u->uid);
    wr_u8(&w, (uint8_t)u->login);
    wr_u64(&w, u->name.len);
    ASSERT(wr_ok(&w));
    blake3_init(&c);
    blake3_update(&c, (struct slice){(const uint8_t *)"qudag proxy isolation v1", 24});
    blake3_update(&c, wr_done(&w));
    blake3_update(&c, u->name);
    blake3_update(&c, u->password);
    blake3_final(&c, hash);
    memcpy(key, hash, QUDAG_ISOLATION_MAX);
}

/* ------------------------------------------------------------------ limits */

bool proxy_may_begin(uint32_t own, uint32_t all, uint32_t users, uint32_t max)
{
    if (all >= max) {
        return false;
    }
    return own < max / (users == 0 ? 1 : users) / 2 || own < (max - all) / 2 + 1;
}

/* ------------------------------------------------------------------ failures */

static const struct proxy_answer answers[PROXY_WHYS] = {
    [PROXY_FINE] = {SOCKS_OK, 200, "", "", ""},
    [PROXY_BAD_REQUEST] = {SOCKS_FAILED, 400, "http_request_error",
                           "The request is neither SOCKS5 nor HTTP/1.1 as the standards have it",
                           "Set the program to SOCKS5 or to an HTTP proxy."},
    [PROXY_NOT_A_PROXY] = {SOCKS_FAILED, 400, "http_request_error",
                           "This is a proxy of QuDAG, not a web site",
                           "Enter this address and port as SOCKS5 proxy (with names looked up by "
                           "the proxy) in the browser's settings, then open a .dark address."},
    [PROXY_NO_METHOD] = {SOCKS_NO_COMMAND, 501, "http_protocol_error", "The proxy does not do that",
                         "It serves CONNECT of SOCKS5 and of HTTP, and HTTP/1.1 requests for "
                         "http:// URLs; no UDP, no BIND."},
    [PROXY_HEAD_TOO_BIG] = {SOCKS_FAILED, 431, "http_request_error",
                            "The head of the request is larger than 32 KiB",
                            "Delete the cookies of this site."},
    [PROXY_IS_IP] = {SOCKS_NO_ADDRESS, 403, "http_request_denied",
                     "An IP address was refused: nothing leaves the QuDAG network",
                     "Have names looked up by the proxy (socks5h://, remote DNS), and use this "
                     "proxy for .dark addresses only."},
    [PROXY_IS_OUTSIDE] = {SOCKS_NOT_ALLOWED, 403, "http_request_denied",
                          "A name outside .dark was refused: nothing leaves the QuDAG network",
                          "Use this proxy for .dark addresses only."},
    [PROXY_BAD_NAME] = {SOCKS_BAD_NAME, 400, "http_request_error", "That is no name under .dark",
                        "A petname has one label of letters, digits and '-'; an address has two, "
                        "of 56 and 55 characters: copy it whole."},
    [PROXY_NAME_UNKNOWN] = {SOCKS_NO_RECORD, 404, "destination_not_found",
                            "There is no such petname on this machine",
                            "qudag name list shows them; qudag name add NAME ADDRESS makes one."},
    [PROXY_TYPO] = {SOCKS_BAD_NAME, 400, "http_request_error", "The address has a mistake in it",
                    "At least one character is wrong or missing: copy it once more."},
    [PROXY_OTHER_NETWORK] = {SOCKS_BAD_NAME, 400, "http_request_denied",
                             "The address belongs to another network",
                             "Addresses of a lab are reached from nodes of that lab."},
    [PROXY_NOT_FOUND] = {SOCKS_NO_RECORD, 404, "destination_not_found",
                         "Nobody publishes this address now",
                         "Its service may be down or gone for good; check the address."},
    [PROXY_OFFLINE] = {SOCKS_OFFLINE, 502, "destination_unavailable", "The service is offline",
                       "It was there lately and does not answer now; try again later."},
    [PROXY_NEEDS_AUTH] = {SOCKS_NEEDS_AUTH, 403, "http_request_denied",
                          "The service lets only those in who have a key for it",
                          "Ask whoever runs it for a key; then: qudag dark authorize ADDRESS KEY."},
    [PROXY_TIMED_OUT] = {SOCKS_TIMED_OUT, 504, "connection_timeout",
                         "No circuit reached the service, or it did not answer in time",
                         "Try again."},
    [PROXY_NOT_READY] = {SOCKS_NO_NETWORK, 503, "proxy_internal_response",
                         "This node has not joined the network yet",
                         "qudag status shows how far it is; try again in a few seconds."},
    [PROXY_NO_GUARD] = {SOCKS_NO_NETWORK, 503, "proxy_internal_response",
                        "The entry guards of this node do not answer",
                        "Is this machine's own network up?  They are tried again by themselves."},
    [PROXY_SMALL_NETWORK] = {SOCKS_NOT_ALLOWED, 503, "proxy_internal_response",
                             "The network is too small to hide anybody",
                             "qudag circuit build --small-network accepts that, for good."},
    [PROXY_NO_TUNNEL] = {SOCKS_REFUSED, 502, "connection_refused",
                         "Nothing at this address serves programs",
                         "It may be for messages only; whoever runs it: qudag expose."},
    [PROXY_NO_PORT] = {SOCKS_REFUSED, 502, "connection_refused", "The service has no such port",
                       "Web sites are at port 80; whoever runs it knows the others."},
    [PROXY_TARGET_REFUSED] = {SOCKS_REFUSED, 502, "connection_refused",
                              "The program behind the service refuses connections",
                              "The address is up, but its program is not: try again later."},
    [PROXY_TARGET_FAILED] = {SOCKS_NO_HOST, 502, "destination_unavailable",
                             "The program behind the service cannot be reached",
                             "The address is up, but its program is not: try again later."},
    [PROXY_SERVICE_FULL] = {SOCKS_FAILED, 503, "connection_limit_reached",
                            "The service has too many connections", "Try again later."},
    [PROXY_BUSY] = {SOCKS_FAILED, 503, "connection_limit_reached",
                    "The proxy has too many connections, or this service was called too often",
                    "Close some, or wait a minute."},
    [PROXY_BROKEN] = {SOCKS_FAILED, 502, "http_protocol_error",
                      "The service answers something that is no HTTP",
                      "Is the port right?  Other protocols go through SOCKS5 or CONNECT."},
    [PROXY_FAILED] = {SOCKS_FAILED, 500, "proxy_internal_error", "The connection could not be made",
                      "The log of qudagd says why."},
};

const struct proxy_answer *proxy_answer_of(enum proxy_why why)
{
    ASSERT(why < PROXY_WHYS);
    return &answers[why];
}

enum proxy_why proxy_why_of(qudag_err err)
{
    switch (err) {
    case QUDAG_EMALFORMED:
        return PROXY_BAD_NAME;
    case QUDAG_ECHECKSUM:
        return PROXY_TYPO;
    case QUDAG_ENOTFOUND:
        return PROXY_NOT_FOUND;
    case QUDAG_EUNREACHABLE:
    case QUDAG_ECLOSED:
    case QUDAG_ERESET:
    case QUDAG_EEXPIRED:
        return PROXY_OFFLINE;
    case QUDAG_ENEEDAUTH:
        return PROXY_NEEDS_AUTH;
    case QUDAG_EAUTH:    /* somebody answered in its place: relays, or who keeps its record */
    case QUDAG_ECIRCUIT: /* it was not even asked */
    case QUDAG_ETIMEOUT:
        return PROXY_TIMED_OUT;
    case QUDAG_ENORELAYS:
    case QUDAG_EBOOTSTRAP:
        return PROXY_NOT_READY;
    case QUDAG_ENOGUARD:
        return PROXY_NO_GUARD;
    case QUDAG_ESMALLNET:
        return PROXY_SMALL_NETWORK;
    case QUDAG_EUNSUPPORTED:
    case QUDAG_EREFUSED:
        return PROXY_NO_TUNNEL;
    case QUDAG_ELIMIT:
        return PROXY_BUSY;
    default:
        return PROXY_FAILED;
    }
}

enum proxy_why proxy_why_of_status(uint8_t status)
{
    static const enum proxy_why whys[TUNNEL_STATUS_END] = {[TUNNEL_CONNECTED] = PROXY_FINE,
                                                           [TUNNEL_NO_PORT] = PROXY_NO_PORT,
                                                           [TUNNEL_REFUSED] = PROXY_TARGET_REFUSED,
                                                           [TUNNEL_UNREACHED] = PROXY_TARGET_FAILED,
                                                           [TUNNEL_FULL] = PROXY_SERVICE_FULL};

    return status < ARRAY_LEN(whys) ? whys[status] : PROXY_BROKEN;
}

bool proxy_is_refusal(enum proxy_why why)
{
    return why >= PROXY_BAD_REQUEST && why <= PROXY_OTHER_NETWORK;
}
