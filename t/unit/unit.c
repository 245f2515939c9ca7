
#include <ngx_config.h>
#include <ngx_core.h>

#include <stdarg.h>
#include <stdio.h>

#include "unit.h"


#define UNIT_POOLS  64


static void unit_failed(const char *file, int line);
static void unit_print(u_char *data, size_t len);


static ngx_uint_t   unit_failures;
static ngx_uint_t   unit_checks;
static const char  *unit_skipped;
static char         unit_where[1024];
static ngx_uint_t   unit_npools;
static ngx_pool_t  *unit_pools[UNIT_POOLS];


int
unit_main(unit_case_t *cases, ngx_uint_t n)
{
    ngx_uint_t  i, bad;

    setvbuf(stdout, NULL, _IOLBF, 0);

    printf("1..%u\n", (unsigned) n);

    bad = 0;

    for (i = 0; i < n; i++) {
        unit_failures = 0;
        unit_checks = 0;
        unit_skipped = NULL;
        unit_where[0] = '\0';

        cases[i].run();

        unit_where[0] = '\0';

        if (unit_checks == 0 && unit_skipped == NULL) {
            fprintf(stderr, "# case without a check\n");
            unit_failures++;
        }

        is_int(unit_fail_at, 0);
        is_int(unit_live, 0);

        unit_fail_at = 0;
        unit_live = 0;

        while (unit_npools) {
            ngx_destroy_pool(unit_pools[--unit_npools]);
        }

        printf("%sok %u - %s%s%s\n", unit_failures ? "not " : "",
               (unsigned) (i + 1), cases[i].name,
               unit_skipped ? " # SKIP " : "",
               unit_skipped ? unit_skipped : "");

        bad += (unit_failures != 0);
    }

    return bad != 0;
}


void
unit_skip(const char *reason)
{
    unit_skipped = reason;
}


void
unit_context(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    vsnprintf(unit_where, sizeof(unit_where), fmt, args);
    va_end(args);
}


static void
unit_failed(const char *file, int line)
{
    unit_failures++;

    fprintf(stderr, "# %s:%d: ", file, line);

    if (unit_where[0]) {
        unit_print((u_char *) unit_where, ngx_strlen(unit_where));
        fprintf(stderr, ": ");
    }
}


/* prints text without control characters, and only its beginning */

static void
unit_print(u_char *data, size_t len)
{
    size_t  i;

    for (i = 0; i < len && i < 300; i++) {
        if (data[i] >= 0x20 && data[i] < 0x7f) {
            putc(data[i], stderr);

        } else {
            fprintf(stderr, "\\x%02x", data[i]);
        }
    }

    if (i < len) {
        fprintf(stderr, "... (%lu bytes)", (unsigned long) len);
    }
}


ngx_uint_t
unit_ok(const char *file, int line, ngx_uint_t held, const char *what)
{
    unit_checks++;

    if (!held) {
        unit_failed(file, line);
        fprintf(stderr, "%s does not hold\n", what);
    }

    return held;
}


ngx_uint_t
unit_int(const char *file, int line, const char *what, int64_t got,
    int64_t want)
{
    unit_checks++;

    if (got != want) {
        unit_failed(file, line);
        fprintf(stderr, "%s is %lld, expected %lld\n", what,
                (long long) got, (long long) want);
        return 0;
    }

    return 1;
}


ngx_uint_t
unit_mem(const char *file, int line, const char *what, u_char *got,
    size_t len, u_char *want, size_t want_len)
{
    unit_checks++;

    if (len != want_len || (len != 0 && ngx_memcmp(got, want, len) != 0)) {
        unit_failed(file, line);
        fprintf(stderr, "%s is \"", what);
        unit_print(got, len);
        fprintf(stderr, "\", expected \"");
        unit_print(want, want_len);
        fprintf(stderr, "\"\n");
        return 0;
    }

    return 1;
}


ngx_pool_t *
unit_pool(void)
{
    ngx_uint_t   fail_at;
    ngx_pool_t  *pool;

    /* failing allocations are for the tested code, not for this function */
    fail_at = unit_fail_at;
    unit_fail_at = 0;

    if (unit_npools == UNIT_POOLS) {
        ngx_destroy_pool(unit_pools[0]);
        ngx_memmove(unit_pools, unit_pools + 1,
                    --unit_npools * sizeof(ngx_pool_t *));
    }

    pool = ngx_create_pool(1024, ngx_cycle->log);
    unit_pools[unit_npools++] = pool;

    unit_fail_at = fail_at;

    return pool;
}


ngx_str_t
unit_bytes(ngx_pool_t *pool, const void *data, size_t len)
{
    ngx_str_t  s;

    s.len = len;
    s.data = ngx_pnalloc(pool, len);
    ngx_memcpy(s.data, data, len);

    return s;
}


ngx_str_t
unit_str(ngx_pool_t *pool, const char *text)
{
    return unit_bytes(pool, text, ngx_strlen(text));
}
