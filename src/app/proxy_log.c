/* proxy_log.c - what the proxy says in the log of requests that came to nothing. */
#include "app/proxy_int.h"

void proxy_say(struct proxy *p, enum proxy_why why, const char *host)
{
    const struct proxy_answer *a = proxy_answer_of(why);
    enum log_level level = proxy_is_refusal(why) ? LOG_INFO : LOG_DEBUG;

    if (!limiter_take(&p->words, 1, api_now())) {
        p->quiet++;
        return;
    }
    log_event(api_logger(p->n), level, proxy_is_refusal(why) ? "proxy.refused" : "proxy.failed",
              LOG_STR("why", a->title), LOG_STR("do", a->advice),
              ((struct log_field){"host", LOG_SENSITIVE, host, 0}), LOG_NUM("others", p->quiet));
    p->quiet = 0;
}
