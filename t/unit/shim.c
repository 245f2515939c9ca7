
/*
 * The few functions of nginx that telegram/ calls, so that it runs without
 * nginx.  They behave as nginx's own do, with one exception: each allocation
 * from a pool is a block of its own, so that AddressSanitizer and valgrind
 * see every access outside of it.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <stdarg.h>

#include "unit.h"


typedef struct shim_block_s  shim_block_t;

struct shim_block_s {
    shim_block_t    *next;
    void            *unused;             /* keeps data aligned to 16 */
    u_char           data[];
};


typedef struct {
    ngx_pool_t       pool;
    shim_block_t    *blocks;
} shim_pool_t;


static void *shim_alloc(size_t size);
static u_char *shim_num(u_char *buf, u_char *last, uint64_t n, u_char zero,
    ngx_uint_t hex, ngx_uint_t width);
static u_char *shim_str(u_char *buf, u_char *last, u_char *src, size_t len);


static ngx_log_t     shim_log;
static ngx_cycle_t   shim_cycle = { .log = &shim_log };

volatile ngx_cycle_t  *ngx_cycle = &shim_cycle;

ngx_uint_t  ngx_pagesize = 4096;

ngx_uint_t  unit_fail_at;
ngx_int_t   unit_live;


static void *
shim_alloc(size_t size)
{
    if (unit_fail_at && --unit_fail_at == 0) {
        return NULL;
    }

    return malloc(size);
}


#ifdef UNIT_COUNT_FREE

/* the linker redirects every free() of the program here (ld --wrap) */

void __real_free(void *p);
void __wrap_free(void *p);


void
__wrap_free(void *p)
{
    if (p) {
        unit_live--;
    }

    __real_free(p);
}


#define shim_free   __real_free
#define shim_count  1

#else

#define shim_free   free
#define shim_count  0

#endif


void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    void  *p;

    p = shim_alloc(size);

    if (p) {
        unit_live += shim_count;
    }

    return p;
}


void *
ngx_calloc(size_t size, ngx_log_t *log)
{
    void  *p;

    p = ngx_alloc(size, log);

    if (p) {
        ngx_memzero(p, size);
    }

    return p;
}


ngx_pool_t *
ngx_create_pool(size_t size, ngx_log_t *log)
{
    shim_pool_t  *sp;

    sp = shim_alloc(sizeof(shim_pool_t));
    if (sp == NULL) {
        return NULL;
    }

    ngx_memzero(sp, sizeof(shim_pool_t));

    sp->pool.max = size;
    sp->pool.current = &sp->pool;
    sp->pool.log = log;

    return &sp->pool;
}


void
ngx_destroy_pool(ngx_pool_t *pool)
{
    shim_pool_t         *sp;
    shim_block_t        *b, *next;
    ngx_pool_cleanup_t  *cln;

    for (cln = pool->cleanup; cln; cln = cln->next) {
        if (cln->handler) {
            cln->handler(cln->data);
        }
    }

    sp = (shim_pool_t *) pool;

    for (b = sp->blocks; b; b = next) {
        next = b->next;
        shim_free(b);
    }

    shim_free(sp);
}


void *
ngx_palloc(ngx_pool_t *pool, size_t size)
{
    shim_pool_t   *sp;
    shim_block_t  *b;

    b = shim_alloc(sizeof(shim_block_t) + size);
    if (b == NULL) {
        return NULL;
    }

    sp = (shim_pool_t *) pool;

    b->next = sp->blocks;
    sp->blocks = b;

    return b->data;
}


void *
ngx_pnalloc(ngx_pool_t *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


void *
ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    void  *p;

    p = ngx_palloc(pool, size);

    if (p) {
        ngx_memzero(p, size);
    }

    return p;
}


/* nginx returns this for any block that is not a large allocation */

ngx_int_t
ngx_pfree(ngx_pool_t *pool, void *p)
{
    return NGX_DECLINED;
}


ngx_pool_cleanup_t *
ngx_pool_cleanup_add(ngx_pool_t *p, size_t size)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_palloc(p, sizeof(ngx_pool_cleanup_t));
    if (cln == NULL) {
        return NULL;
    }

    cln->data = NULL;

    if (size) {
        cln->data = ngx_palloc(p, size);
        if (cln->data == NULL) {
            return NULL;
        }
    }

    cln->handler = NULL;
    cln->next = p->cleanup;

    p->cleanup = cln;

    return cln;
}


ngx_array_t *
ngx_array_create(ngx_pool_t *p, ngx_uint_t n, size_t size)
{
    ngx_array_t  *a;

    a = ngx_palloc(p, sizeof(ngx_array_t));
    if (a == NULL) {
        return NULL;
    }

    if (ngx_array_init(a, p, n, size) != NGX_OK) {
        return NULL;
    }

    return a;
}


void *
ngx_array_push(ngx_array_t *a)
{
    return ngx_array_push_n(a, 1);
}


void *
ngx_array_push_n(ngx_array_t *a, ngx_uint_t n)
{
    void        *elt, *new;
    ngx_uint_t   nalloc;

    if (a->nelts + n > a->nalloc) {
        nalloc = 2 * ((n >= a->nalloc) ? n : a->nalloc);

        new = ngx_palloc(a->pool, nalloc * a->size);
        if (new == NULL) {
            return NULL;
        }

        ngx_memcpy(new, a->elts, a->nelts * a->size);
        a->elts = new;
        a->nalloc = nalloc;
    }

    elt = (u_char *) a->elts + a->size * a->nelts;
    a->nelts += n;

    return elt;
}


u_char *
ngx_cpystrn(u_char *dst, u_char *src, size_t n)
{
    if (n == 0) {
        return dst;
    }

    while (--n) {
        *dst = *src;

        if (*dst == '\0') {
            return dst;
        }

        dst++;
        src++;
    }

    *dst = '\0';

    return dst;
}


u_char *
ngx_pstrdup(ngx_pool_t *pool, ngx_str_t *src)
{
    u_char  *dst;

    dst = ngx_pnalloc(pool, src->len);
    if (dst == NULL) {
        return NULL;
    }

    if (src->len) {
        ngx_memcpy(dst, src->data, src->len);
    }

    return dst;
}


ngx_int_t
ngx_strcasecmp(u_char *s1, u_char *s2)
{
    ngx_uint_t  c1, c2;

    for ( ;; ) {
        c1 = ngx_tolower(*s1);
        c2 = ngx_tolower(*s2);

        if (c1 != c2) {
            return (ngx_int_t) c1 - (ngx_int_t) c2;
        }

        if (c1 == 0) {
            return 0;
        }

        s1++;
        s2++;
    }
}


ngx_int_t
ngx_strncasecmp(u_char *s1, u_char *s2, size_t n)
{
    ngx_uint_t  c1, c2;

    for ( /* void */ ; n; n--) {
        c1 = ngx_tolower(*s1);
        c2 = ngx_tolower(*s2);

        if (c1 != c2) {
            return (ngx_int_t) c1 - (ngx_int_t) c2;
        }

        if (c1 == 0) {
            return 0;
        }

        s1++;
        s2++;
    }

    return 0;
}


u_char *
ngx_strnstr(u_char *s1, char *s2, size_t len)
{
    size_t  n;

    n = ngx_strlen(s2);

    for ( /* void */ ; len >= n && *s1; s1++, len--) {
        if (ngx_strncmp(s1, s2, n) == 0) {
            return s1;
        }
    }

    return NULL;
}


/* n is the length of s2 minus one; the text ends at last */

u_char *
ngx_strlcasestrn(u_char *s1, u_char *last, u_char *s2, size_t n)
{
    for ( /* void */ ; s1 < last && (size_t) (last - s1) > n; s1++) {
        if (ngx_strncasecmp(s1, s2, n + 1) == 0) {
            return s1;
        }
    }

    return NULL;
}


ngx_int_t
ngx_atoi(u_char *line, size_t n)
{
    ngx_int_t  value, cutoff, cutlim;

    if (n == 0) {
        return NGX_ERROR;
    }

    cutoff = NGX_MAX_INT_T_VALUE / 10;
    cutlim = NGX_MAX_INT_T_VALUE % 10;

    for (value = 0; n--; line++) {
        if (*line < '0' || *line > '9') {
            return NGX_ERROR;
        }

        if (value >= cutoff && (value > cutoff || *line - '0' > cutlim)) {
            return NGX_ERROR;
        }

        value = value * 10 + (*line - '0');
    }

    return value;
}


uintptr_t
ngx_escape_json(u_char *dst, u_char *src, size_t size)
{
    u_char       ch, *p;
    uintptr_t    len;

    static u_char  hex[] = "0123456789ABCDEF";
    static u_char  plain[] = "\"\\\n\r\t\b\f";
    static u_char  letter[] = "\"\\nrtbf";

    for (len = 0; size; size--) {
        ch = *src++;
        p = ch ? (u_char *) ngx_strchr(plain, ch) : NULL;

        if (p) {
            if (dst) {
                *dst++ = '\\';
                *dst++ = letter[p - plain];
            }

            len++;

        } else if (ch <= 0x1f) {
            if (dst) {
                dst = ngx_cpymem(dst, "\\u00", 4);
                *dst++ = hex[ch >> 4];
                *dst++ = hex[ch & 0xf];
            }

            len += sizeof("\\u001F") - 2;

        } else if (dst) {
            *dst++ = ch;
        }
    }

    return dst ? (uintptr_t) dst : len;
}


u_char *
ngx_sprintf(u_char *buf, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    va_start(args, fmt);
    p = ngx_vslprintf(buf, (void *) -1, fmt, args);
    va_end(args);

    return p;
}


u_char *
ngx_snprintf(u_char *buf, size_t max, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    va_start(args, fmt);
    p = ngx_vslprintf(buf, buf + max, fmt, args);
    va_end(args);

    return p;
}


u_char *
ngx_slprintf(u_char *buf, u_char *last, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    va_start(args, fmt);
    p = ngx_vslprintf(buf, last, fmt, args);
    va_end(args);

    return p;
}


/* %V %s %*s %c %Z %N %% and integers with [0][width][u|x|X]; others abort */

u_char *
ngx_vslprintf(u_char *buf, u_char *last, const char *fmt, va_list args)
{
    size_t       slen;
    u_char      *p, zero;
    int64_t      n;
    ngx_str_t   *v;
    ngx_uint_t   width, sign, hex;

    while (*fmt && buf < last) {

        if (*fmt != '%') {
            *buf++ = *fmt++;
            continue;
        }

        zero = (*++fmt == '0') ? '0' : ' ';
        width = 0;
        sign = 1;
        hex = 0;
        slen = (size_t) -1;

        while (*fmt >= '0' && *fmt <= '9') {
            width = width * 10 + (*fmt++ - '0');
        }

        for ( /* void */ ; ngx_strchr("uxX*", *fmt) && *fmt; fmt++) {
            if (*fmt == '*') {
                slen = va_arg(args, size_t);
                continue;
            }

            sign = 0;
            hex = (*fmt == 'x') ? 1 : (*fmt == 'X') ? 2 : hex;
        }

        switch (*fmt++) {

        case 'V':
            v = va_arg(args, ngx_str_t *);
            buf = shim_str(buf, last, v->data, v->len);
            continue;

        case 's':
            p = va_arg(args, u_char *);
            buf = shim_str(buf, last, p,
                           (slen == (size_t) -1) ? ngx_strlen(p) : slen);
            continue;

        case 'c':
            *buf++ = (u_char) va_arg(args, int);
            continue;

        case 'Z':
            *buf++ = '\0';
            continue;

        case 'N':
            *buf++ = LF;
            continue;

        case '%':
            *buf++ = '%';
            continue;

        case 'd':
            n = va_arg(args, int);
            n = sign ? n : (int64_t) (u_int) n;
            break;

        case 'D':
            n = va_arg(args, int32_t);
            n = sign ? n : (int64_t) (uint32_t) n;
            break;

        case 'M':
            n = va_arg(args, ngx_msec_t);
            break;

        case 'O':
            n = va_arg(args, off_t);
            break;

        case 'T':
            n = va_arg(args, time_t);
            break;

        case 'i':
        case 'l':
        case 'z':
            n = va_arg(args, ngx_int_t);
            break;

        case 'L':
            n = va_arg(args, int64_t);
            break;

        default:
            ngx_abort();
        }

        if (sign && n < 0) {
            *buf++ = '-';
            n = (int64_t) (0 - (uint64_t) n);
        }

        buf = shim_num(buf, last, (uint64_t) n, zero, hex, width);
    }

    return buf;
}


static u_char *
shim_num(u_char *buf, u_char *last, uint64_t n, u_char zero, ngx_uint_t hex,
    ngx_uint_t width)
{
    u_char      *p, tmp[NGX_INT64_LEN + 1];
    ngx_uint_t   base;

    static u_char  digits[][17] = { "0123456789", "0123456789abcdef",
                                    "0123456789ABCDEF" };

    p = tmp + NGX_INT64_LEN;
    base = hex ? 16 : 10;

    do {
        *--p = digits[hex][n % base];
        n /= base;
    } while (n);

    width -= ngx_min(width, (ngx_uint_t) (tmp + NGX_INT64_LEN - p));

    while (width-- && buf < last) {
        *buf++ = zero;
    }

    return shim_str(buf, last, p, tmp + NGX_INT64_LEN - p);
}


static u_char *
shim_str(u_char *buf, u_char *last, u_char *src, size_t len)
{
    len = ngx_min((size_t) (last - buf), len);

    return len ? ngx_cpymem(buf, src, len) : buf;
}


ngx_int_t
ngx_memn2cmp(u_char *s1, u_char *s2, size_t n1, size_t n2)
{
    int  rc;

    rc = memcmp(s1, s2, ngx_min(n1, n2));

    return rc ? rc : (ngx_int_t) n1 - (ngx_int_t) n2;
}


void
ngx_sort(void *base, size_t n, size_t size,
    ngx_int_t (*cmp)(const void *, const void *))
{
    u_char  *p, *q, *last, one[64];

    last = (u_char *) base + n * size;

    for (p = (u_char *) base + size; p < last; p += size) {

        for (q = p; q > (u_char *) base && cmp(q - size, q) > 0; q -= size) {
            memcpy(one, q, size);
            memcpy(q, q - size, size);
            memcpy(q - size, one, size);
        }
    }
}


/* as in nginx, without its special treatment of "?" */

void
ngx_unescape_uri(u_char **dst, u_char **src, size_t size, ngx_uint_t type)
{
    u_char  *d, *s, *last, hex[3], *end;

    d = *dst;
    s = *src;
    last = s + size;

    while (s < last) {

        if (*s == '%' && last - s > 2) {
            memcpy(hex, s + 1, 2);
            hex[2] = '\0';

            *d = (u_char) strtoul((char *) hex, (char **) &end, 16);

            if (end == &hex[2]) {
                d++;
                s += 3;
                continue;
            }
        }

        *d++ = *s++;
    }

    *dst = d;
    *src = s;
}
