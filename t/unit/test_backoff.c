
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_backoff.h"
#include "unit.h"


static ngx_uint_t  test_randoms[] = {
    0, 1, 2, 3, 250, 499, 500, 501, 0x7fffffff, (ngx_uint_t) -1
};


static void
test_delay_doubles(void)
{
    size_t      i;
    ngx_msec_t  d;

    static const struct {
        ngx_uint_t  attempt;
        ngx_msec_t  base;
        ngx_msec_t  max;
        ngx_msec_t  want;
    } rows[] = {
        { 0, 500, 30000, 500 },
        { 1, 500, 30000, 500 },
        { 2, 500, 30000, 1000 },
        { 3, 500, 30000, 2000 },
        { 6, 500, 30000, 16000 },
        { 7, 500, 30000, 30000 },
        { 8, 500, 30000, 30000 },
        { 1, 5000, 3000, 3000 },
        { 2147483647, 1, 300000, 300000 },
        { 2147483648U, 1, (ngx_msec_t) -1, (ngx_msec_t) -1 },
        { 64, 1, (ngx_msec_t) -1, (ngx_msec_t) 1 << 63 },
        { 3, 0, 30000, 4 },
        { 1, 0, 0, 1 },
        { 9, 500, 0, 1 },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("row %d", (int) i);

        /* without jitter the result is the whole delay */

        d = ngx_http_tgbot_backoff_delay(rows[i].attempt, rows[i].base,
                                         rows[i].max, 0);
        is_int(d, rows[i].want);
    }
}


static void
test_delay_jitter(void)
{
    size_t      i;
    ngx_msec_t  d, lo, hi;

    for (i = 0; i < unit_n(test_randoms); i++) {
        unit_context("random %lu", (unsigned long) test_randoms[i]);

        d = ngx_http_tgbot_backoff_delay(2, 500, 30000, test_randoms[i]);
        ok(d >= 500);
        ok(d <= 1000);

        d = ngx_http_tgbot_backoff_delay(1, 1, 1, test_randoms[i]);
        is_int(d, 1);

        d = ngx_http_tgbot_backoff_delay(1, 3, 10, test_randoms[i]);
        ok(d == 2 || d == 3);

        d = ngx_http_tgbot_backoff_delay(99, 1, (ngx_msec_t) -1,
                                         test_randoms[i]);
        ok(d >= (ngx_msec_t) -1 / 2);
    }

    /* both ends are reached */

    lo = (ngx_msec_t) -1;
    hi = 0;

    for (i = 0; i < 1000; i++) {
        d = ngx_http_tgbot_backoff_delay(1, 100, 100, i);
        lo = ngx_min(lo, d);
        hi = ngx_max(hi, d);
    }

    is_int(lo, 50);
    is_int(hi, 100);
}


static void
test_retry_after_bounds(void)
{
    size_t      i, j;
    ngx_uint_t  n;

    static const struct {
        ngx_uint_t  lo;
        ngx_uint_t  hi;
        ngx_uint_t  life;
        ngx_uint_t  elapsed;
        ngx_uint_t  min;
        ngx_uint_t  max;
    } rows[] = {
        { 1, 5, 86400, 0, 1, 5 },
        { 1, 5, 600, 0, 1, 5 },
        { 1, 5, 151, 0, 1, 5 },
        { 1, 50, 151, 0, 1, 50 },
        { 1, 50, 150, 0, 1, 5 },
        { 9, 50, 150, 0, 5, 5 },
        { 1, 5, 30, 0, 1, 2 },
        { 5, 5, 30, 0, 2, 2 },
        { 5, 5, 29, 0, 2, 2 },
        { 5, 5, 0, 0, 1, 1 },
        { 60, 60, 86400, 0, 60, 60 },
        { 60, 900, 86400, 0, 60, 60 },
        { 400, 900, 86400, 0, 60, 60 },
        { 40, 50, 600, 560, 20, 20 },
        { 10, 50, 600, 540, 10, 30 },
        { 10, 50, 600, 597, 1, 1 },
        { 10, 50, 600, 598, 1, 1 },
        { 10, 50, 600, 599, 1, 1 },
        { 10, 50, 600, 600, 1, 1 },
        { 10, 50, 600, 601, 1, 1 },
        { 10, 50, 600, (ngx_uint_t) -1, 1, 1 },
        { 4, 4, 30, 27, 1, 1 },
        { 4, 4, 150, 144, 3, 3 },
        { 0, 0, 86400, 0, 1, 1 },
        { 5, 1, 86400, 0, 1, 1 },
        { 0, (ngx_uint_t) -1, 86400, 0, 1, 60 },
        { (ngx_uint_t) -1, (ngx_uint_t) -1, (ngx_uint_t) -1, 0, 60, 60 },
    };

    for (i = 0; i < unit_n(rows); i++) {

        for (j = 0; j < unit_n(test_randoms); j++) {
            unit_context("row %d, random %lu", (int) i,
                         (unsigned long) test_randoms[j]);

            n = ngx_http_tgbot_backoff_retry_after(rows[i].lo, rows[i].hi,
                                                rows[i].life, rows[i].elapsed,
                                                test_randoms[j]);
            ok(n >= rows[i].min);
            ok(n <= rows[i].max);
        }
    }
}


static void
test_retry_after_spread(void)
{
    ngx_uint_t  i, n, seen;

    seen = 0;

    for (i = 0; i < 100; i++) {
        n = ngx_http_tgbot_backoff_retry_after(1, 5, 86400, 0, i);
        seen |= 1 << n;
    }

    is_int(seen, 0x3e);

    /* the limit shortens the range; larger values do not become the limit */

    seen = 0;

    for (i = 0; i < 100; i++) {
        n = ngx_http_tgbot_backoff_retry_after(1, 60, 30, 0, i);
        seen |= 1 << n;
    }

    is_int(seen, 0x06);

    n = 0;

    for (i = 0; i < 100; i++) {
        n += (ngx_http_tgbot_backoff_retry_after(1, 60, 30, 0, i) == 1);
    }

    is_int(n, 50);
}


int
main(void)
{
    static unit_case_t  cases[] = {
        { "delays double up to a maximum", test_delay_doubles },
        { "the upper half of a delay is jitter", test_delay_jitter },
        { "Retry-After within an update's life", test_retry_after_bounds },
        { "Retry-After is spread", test_retry_after_spread },
    };

    return unit_main(cases, unit_n(cases));
}
