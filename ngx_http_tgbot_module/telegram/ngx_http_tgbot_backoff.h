
/*
 * The delay after a failed attempt, and the Retry-After sent to Telegram.
 * There is no clock and no random source here: the caller passes elapsed
 * times and a random number.
 */

#ifndef _NGX_HTTP_TGBOT_BACKOFF_H_INCLUDED_
#define _NGX_HTTP_TGBOT_BACKOFF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Milliseconds to wait after failure number "attempt" (the first is 1): base
 * is doubled for each earlier failure, up to max, which gives a delay d; the
 * result is random in [d/2, d], never 0.
 */
ngx_msec_t ngx_http_tgbot_backoff_delay(ngx_uint_t attempt, ngx_msec_t base,
    ngx_msec_t max, ngx_uint_t random);

/*
 * Whole seconds for the Retry-After header: a random number between lo and
 * hi, within what the update's life (seconds) allows: at least 1, at most 60,
 * at most half of the life that is left after "elapsed" seconds.
 * It is at most 2 if the life is 30 s or less, and at most 5 if it is 150 s
 * or less: Telegram drops an update whose next delivery would be too late
 * (WebhookActor.cpp).
 */
ngx_uint_t ngx_http_tgbot_backoff_retry_after(ngx_uint_t lo, ngx_uint_t hi,
    ngx_uint_t life, ngx_uint_t elapsed, ngx_uint_t random);


#endif /* _NGX_HTTP_TGBOT_BACKOFF_H_INCLUDED_ */
