
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_secret.h"


#define NGX_HTTP_TGBOT_SECRET_FILE_SIZE  4096


typedef struct {
    size_t                    digits;    /* and a colon before the rest */
    size_t                    max;
    const char               *expected;
} ngx_http_tgbot_secret_shape_t;


typedef struct {
    ngx_conf_t               *cf;
    ngx_http_tgbot_bot_t     *bot;
    const char               *directive;
    ngx_str_t                 path;
    ngx_uint_t                shape;
} ngx_http_tgbot_secret_file_t;


static size_t ngx_http_tgbot_secret_span(ngx_str_t *text, size_t from,
    size_t max, ngx_uint_t digits);
static ngx_int_t ngx_http_tgbot_secret_token(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);
static ngx_http_tgbot_bot_t *ngx_http_tgbot_secret_known(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot);
static ngx_int_t ngx_http_tgbot_secret_file(ngx_http_tgbot_secret_file_t *f,
    ngx_str_t *path, ngx_str_t *lines, ngx_uint_t max);
static ngx_int_t ngx_http_tgbot_secret_load(ngx_http_tgbot_secret_file_t *f,
    u_char *buf, size_t *len);
static ngx_int_t ngx_http_tgbot_secret_access(ngx_http_tgbot_secret_file_t *f,
    ngx_fd_t fd);
static ngx_int_t ngx_http_tgbot_secret_line(ngx_http_tgbot_secret_file_t *f,
    ngx_str_t *text, ngx_uint_t n, ngx_str_t *line);
static ngx_int_t ngx_http_tgbot_secret_refuse(ngx_http_tgbot_secret_file_t *f,
    ngx_err_t err, const char *why);


/* in the order of ngx_http_tgbot_secret_shape_e */

static ngx_http_tgbot_secret_shape_t  ngx_http_tgbot_secret_shapes[] = {
    { 20, 128, "1 to 20 digits, \":\" and 1 to 128 of [A-Za-z0-9_-]" },
    { 0, 256, "1 to 256 of [A-Za-z0-9_-]" },
    { 0, 32, "1 to 32 of [A-Za-z0-9_-]" }
};


static ngx_str_t  ngx_http_tgbot_secret_variable = ngx_string("tgbot_bot");


ngx_int_t
ngx_http_tgbot_secret_check(ngx_str_t *text, ngx_uint_t shape,
    ngx_str_t *fault)
{
    u_char                         *p, *last;
    size_t                          pos, from;
    ngx_http_tgbot_secret_shape_t  *sp;

    sp = &ngx_http_tgbot_secret_shapes[shape];

    pos = ngx_http_tgbot_secret_span(text, 0, sp->digits, 1);
    from = 0;

    if (pos > 0 && pos < text->len && text->data[pos] == ':') {
        from = pos + 1;
    }

    if (from > 0 || sp->digits == 0) {
        pos = ngx_http_tgbot_secret_span(text, from, sp->max, 0);

        if (pos == text->len && pos > from) {
            return NGX_OK;
        }
    }

    p = fault->data;
    last = p + NGX_HTTP_TGBOT_SECRET_FAULT_LEN;

    if (text->len == 0) {
        p = ngx_slprintf(p, last, "it is empty");

    } else if (pos == text->len) {
        p = ngx_slprintf(p, last, "it ends after %uz characters", pos);

    } else {
        p = ngx_slprintf(p, last, "character %uz of %uz is wrong",
                         pos + 1, text->len);
    }

    p = ngx_slprintf(p, last, ", expected %s", sp->expected);

    fault->len = p - fault->data;

    return NGX_DECLINED;
}


/* where a run of at most max digits, or of [A-Za-z0-9_-], ends */

static size_t
ngx_http_tgbot_secret_span(ngx_str_t *text, size_t from, size_t max,
    ngx_uint_t digits)
{
    u_char  c;
    size_t  i;

    for (i = from; i < text->len && i < from + max; i++) {
        c = text->data[i];

        if (c >= '0' && c <= '9') {
            continue;
        }

        if (digits) {
            break;
        }

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || c == '_' || c == '-')
        {
            continue;
        }

        break;
    }

    return i;
}


ngx_int_t
ngx_http_tgbot_secret_path(ngx_conf_t *cf, ngx_str_t *path, ngx_str_t *name,
    ngx_str_t *expanded)
{
    u_char      *p, *src, *last;
    ngx_str_t   *var;
    ngx_uint_t   brace;

    var = &ngx_http_tgbot_secret_variable;

    /* every variable takes at least a byte and becomes one name */

    p = ngx_pnalloc(cf->pool, path->len * (1 + name->len) + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    expanded->data = p;

    src = path->data;
    last = src + path->len;

    while (src < last) {

        if (*src != '$') {
            *p++ = *src++;
            continue;
        }

        src++;

        brace = (src < last && *src == '{');
        src += brace;

        if ((size_t) (last - src) < var->len + brace
            || ngx_strncmp(src, var->data, var->len) != 0)
        {
            return NGX_DECLINED;
        }

        src += var->len;

        if (brace) {
            if (*src++ != '}') {
                return NGX_DECLINED;
            }

        } else if (src < last
                   && (*src == '_' || (*src >= '0' && *src <= '9')
                       || (ngx_tolower(*src) >= 'a'
                           && ngx_tolower(*src) <= 'z')))
        {
            return NGX_DECLINED;
        }

        p = ngx_cpymem(p, name->data, name->len);
    }

    *p = '\0';

    expanded->len = p - expanded->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_tgbot_secret_read(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    ngx_str_t                      lines[2];
    ngx_http_tgbot_bot_t          *known;
    ngx_http_tgbot_loc_conf_t     *conf;
    ngx_http_tgbot_secret_file_t   f;

    if (ngx_http_tgbot_secret_token(cf, bot) != NGX_OK) {
        return NGX_ERROR;
    }

    conf = bot->conf;

    if (conf->secret_file.len == 0) {
        bot->secret = conf->secret;
        bot->old_secret = conf->old_secret;

        return NGX_OK;
    }

    known = ngx_http_tgbot_secret_known(cf, bot);

    if (known) {
        bot->secret = known->secret;
        bot->old_secret = known->old_secret;

        return NGX_OK;
    }

    f.cf = cf;
    f.bot = bot;
    f.directive = "tgbot_secret_token_file";
    f.shape = NGX_HTTP_TGBOT_SECRET_WORD;

    if (ngx_http_tgbot_secret_file(&f, &conf->secret_file, lines, 2)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    bot->secret = lines[0];
    bot->old_secret = lines[1];

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_secret_token(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    ngx_http_tgbot_loc_conf_t     *conf;
    ngx_http_tgbot_secret_file_t   f;

    conf = bot->conf;

    if (conf->token_file.len == 0) {
        bot->token = conf->token;
        return NGX_OK;
    }

    f.cf = cf;
    f.bot = bot;
    f.directive = "tgbot_token_file";
    f.shape = NGX_HTTP_TGBOT_SECRET_TOKEN;

    return ngx_http_tgbot_secret_file(&f, &conf->token_file, &bot->token, 1);
}


/*
 * a bot that has read the same directive without a variable: so that a file
 * of a hundred bots is read, and warned of, once
 */

static ngx_http_tgbot_bot_t *
ngx_http_tgbot_secret_known(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot)
{
    ngx_str_t                    *path;
    ngx_uint_t                    i;
    ngx_http_tgbot_bot_t        **bots;
    ngx_http_tgbot_main_conf_t   *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tgbot_module);

    path = &bot->conf->secret_file;

    if (ngx_strlchr(path->data, path->data + path->len, '$')) {
        return NULL;
    }

    bots = mcf->bots.elts;

    for (i = 0; i < mcf->bots.nelts; i++) {
        if (bots[i]->secret.len
            && bots[i]->conf->secret_file.data == path->data)
        {
            return bots[i];
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_tgbot_secret_file(ngx_http_tgbot_secret_file_t *f, ngx_str_t *path,
    ngx_str_t *lines, ngx_uint_t max)
{
    u_char      *p, *last, *end;
    size_t       len;
    ngx_str_t    text;
    ngx_uint_t   n;
    u_char       buf[NGX_HTTP_TGBOT_SECRET_FILE_SIZE + 1];

    ngx_memzero(lines, max * sizeof(ngx_str_t));
    len = 0;

    /* other variables were refused when the directive was read */

    if (ngx_http_tgbot_secret_path(f->cf, path, &f->bot->name, &f->path)
        != NGX_OK
        || ngx_conf_full_name(f->cf->cycle, &f->path, 1) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_secret_load(f, buf, &len) != NGX_OK) {
        return NGX_ERROR;
    }

    p = buf;
    end = buf + len;

    while (end > p && (end[-1] == LF || end[-1] == CR)) {
        end--;
    }

    if (p == end) {
        return ngx_http_tgbot_secret_refuse(f, 0, "is empty");
    }

    for (n = 0; p < end; n++) {

        if (n == max) {
            return ngx_http_tgbot_secret_refuse(f, 0,
                               (max == 1) ? "has more than one line"
                                          : "has more than two lines");
        }

        last = ngx_strlchr(p, end, LF);
        if (last == NULL) {
            last = end;
        }

        text.data = p;
        text.len = last - p;

        if (text.len && last[-1] == CR) {
            text.len--;
        }

        if (ngx_http_tgbot_secret_line(f, &text, n, &lines[n]) != NGX_OK) {
            return NGX_ERROR;
        }

        p = last + 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_secret_load(ngx_http_tgbot_secret_file_t *f, u_char *buf,
    size_t *len)
{
    ssize_t    n;
    ngx_fd_t   fd;
    ngx_err_t  err;
    ngx_int_t  rc;

    /* a FIFO must not block: it is refused below */

    fd = ngx_open_file(f->path.data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return ngx_http_tgbot_secret_refuse(f, ngx_errno,
                                         "is expected to be a readable file, "
                                         ngx_open_file_n " failed");
    }

    rc = ngx_http_tgbot_secret_access(f, fd);

    n = 0;
    err = 0;

    if (rc == NGX_OK) {
        n = ngx_read_fd(fd, buf, NGX_HTTP_TGBOT_SECRET_FILE_SIZE + 1);
        err = ngx_errno;
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, f->cf->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", &f->path);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (n == -1) {
        return ngx_http_tgbot_secret_refuse(f, err,
                                         "is expected to be a readable file, "
                                         ngx_read_fd_n " failed");
    }

    if (n > NGX_HTTP_TGBOT_SECRET_FILE_SIZE) {
        return ngx_http_tgbot_secret_refuse(f, 0,
                                            "is larger than 4096 bytes");
    }

    *len = n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_secret_access(ngx_http_tgbot_secret_file_t *f, ngx_fd_t fd)
{
    ngx_file_info_t  fi;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        return ngx_http_tgbot_secret_refuse(f, ngx_errno,
                                            "is expected to be a regular "
                                            "file, " ngx_fd_info_n " failed");
    }

    if (!ngx_is_file(&fi)) {
        return ngx_http_tgbot_secret_refuse(f, 0, "is not a regular file");
    }

    if (ngx_file_access(&fi) & S_IWOTH) {
        return ngx_http_tgbot_secret_refuse(f, 0,
                                            "is world-writable, expected "
                                            "that only its owner can write "
                                            "to it");
    }

    if (ngx_file_access(&fi) & S_IROTH) {
        ngx_log_error(NGX_LOG_WARN, f->cf->log, 0,
                      "file \"%V\" of \"%s\" directive is world-readable "
                      "in %s:%ui",
                      &f->path, f->directive, f->bot->file, f->bot->line);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_secret_line(ngx_http_tgbot_secret_file_t *f, ngx_str_t *text,
    ngx_uint_t n, ngx_str_t *line)
{
    ngx_str_t  fault;
    u_char     buf[NGX_HTTP_TGBOT_SECRET_FAULT_LEN];

    fault.data = buf;

    if (ngx_http_tgbot_secret_check(text, f->shape, &fault) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, f->cf->log, 0,
                      "invalid line %ui of file \"%V\" of \"%s\" directive: "
                      "%V in %s:%ui",
                      n + 1, &f->path, f->directive, &fault,
                      f->bot->file, f->bot->line);
        return NGX_ERROR;
    }

    line->data = ngx_pstrdup(f->cf->pool, text);
    if (line->data == NULL) {
        return NGX_ERROR;
    }

    line->len = text->len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tgbot_secret_refuse(ngx_http_tgbot_secret_file_t *f, ngx_err_t err,
    const char *why)
{
    ngx_log_error(NGX_LOG_EMERG, f->cf->log, err,
                  "file \"%V\" of \"%s\" directive %s in %s:%ui",
                  &f->path, f->directive, why, f->bot->file, f->bot->line);

    return NGX_ERROR;
}
