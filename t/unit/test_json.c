
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_json.h"
#include "unit.h"


static void
test_int64(void)
{
    size_t     i;
    int64_t    v;
    ngx_str_t  s;

    static const struct {
        const char  *text;
        ngx_int_t    rc;
        int64_t      value;
    } rows[] = {
        { "0", NGX_OK, 0 },
        { "-0", NGX_OK, 0 },
        { "7", NGX_OK, 7 },
        { "-1001367429635", NGX_OK, -1001367429635LL },
        { "9223372036854775807", NGX_OK, INT64_MAX },
        { "-9223372036854775808", NGX_OK, INT64_MIN },
        { "9223372036854775808", NGX_DECLINED, 5 },
        { "-9223372036854775809", NGX_DECLINED, 5 },
        { "18446744073709551617", NGX_DECLINED, 5 },
        { "99999999999999999999999999", NGX_DECLINED, 5 },
        { "1e3", NGX_DECLINED, 5 },
        { "1.0", NGX_DECLINED, 5 },
        { "-", NGX_DECLINED, 5 },
        { "", NGX_DECLINED, 5 },
        { "--1", NGX_DECLINED, 5 },
        { "1 ", NGX_DECLINED, 5 },
    };

    for (i = 0; i < unit_n(rows); i++) {
        unit_context("%s", rows[i].text);

        s = unit_str(unit_pool(), rows[i].text);
        v = 5;

        is_int(ngx_http_tgbot_json_int64(&s, &v), rows[i].rc);
        is_int(v, rows[i].value);
    }
}


int
main(void)
{
    static unit_case_t  cases[] = {
        { "integers of 64 bits", test_int64 },
    };

    return unit_main(cases, unit_n(cases));
}
