
/*
 * The delay after an attempt; Retry-After for Telegram.  No clock and no
 * random source: the caller brings elapsed times and a random number.
 */

#ifndef _NGX_HTTP_TGBOT_BACKOFF_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BACKOFF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Milliseconds to wait after failure number "attempt" (1 the first): base
 * doubled for each failure before, at most max, of which the upper half is
 * jitter: the result is in [d/2, d], never 0.
 */
ngx_msec_t ngx_http_tgbot_backoff_delay(ngx_uint_t attempt, ngx_msec_t base,
    ngx_msec_t max, ngx_uint_t random);

/*
 * Whole seconds for the Retry-After header, picked at random between lo and
 * hi and held within what the update's life allows: at least 1, at most 60,
 * at most half of what is left of life after "elapsed" seconds; at most 2
 * for a life of 30 s and 5 for one of 150 s or less, as Telegram drops an
 * update whose next try would be too late (WebhookActor.cpp).
 */
ngx_uint_t ngx_http_tgbot_backoff_retry_after(ngx_uint_t lo, ngx_uint_t hi,
    ngx_uint_t life, ngx_uint_t elapsed, ngx_uint_t random);


#endif /* _NGX_HTTP_TGBOT_BACKOFF_H_INCLUDED_ */
