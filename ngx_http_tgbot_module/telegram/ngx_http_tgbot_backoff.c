
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_backoff.h"


#define NGX_HTTP_TGBOT_BACKOFF_RETRY_MAX  60


ngx_msec_t
ngx_http_tgbot_backoff_delay(ngx_uint_t attempt, ngx_msec_t base,
    ngx_msec_t max, ngx_uint_t random)
{
    ngx_msec_t  delay, half;

    max = ngx_max(max, 1);
    delay = ngx_max(base, 1);

    /* doubling ends at max after as many steps as a delay has bits */

    while (attempt > 1 && delay < max) {
        delay = (delay > max / 2) ? max : delay * 2;
        attempt--;
    }

    delay = ngx_min(delay, max);
    half = delay / 2;

    return delay - random % (half + 1);
}


ngx_uint_t
ngx_http_tgbot_backoff_retry_after(ngx_uint_t lo, ngx_uint_t hi,
    ngx_uint_t life, ngx_uint_t elapsed, ngx_uint_t random)
{
    ngx_uint_t  max;

    if (life <= 30) {
        max = 2;

    } else if (life <= 150) {
        max = 5;

    } else {
        max = NGX_HTTP_TGBOT_BACKOFF_RETRY_MAX;
    }

    max = (elapsed < life) ? ngx_min(max, (life - elapsed) / 2) : 1;
    max = ngx_max(max, 1);

    /*
     * the range is limited, not the result: so the rest of the jitter is kept
     */

    hi = ngx_min(hi, max);
    hi = ngx_max(hi, 1);

    lo = ngx_max(lo, 1);
    lo = ngx_min(lo, hi);

    return lo + random % (hi - lo + 1);
}
