
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_secret.h"


#define NGX_HTTP_TGBOT_SECRET_FILE_SIZE  4096

/* kinds of characters: [A-Za-z0-9_-], digits, all that can be printed */
#define NGX_HTTP_TGBOT_SECRET_WORD       0
#define NGX_HTTP_TGBOT_SECRET_DIGITS     1
#define NGX_HTTP_TGBOT_SECRET_PRINT      2


static size_t ngx_http_tgbot_secret_span(ngx_str_t *text, size_t from,
    size_t max, ngx_uint_t kind);
static ngx_uint_t ngx_http_tgbot_secret_is(u_char c, ngx_uint_t kind);
static ngx_int_t ngx_http_tgbot_secret_lines(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, ngx_http_tgbot_secret_t *secret,
    ngx_http_tgbot_secret_shape_t *shape, ngx_uint_t max, ngx_str_t *lines);
static ngx_int_t ngx_http_tgbot_secret_access(ngx_conf_t *cf,
    ngx_http_tgbot_bot_t *bot, ngx_http_tgbot_secret_t *secret,
    ngx_str_t *path, ngx_file_info_t *fi);
static const char *ngx_http_tgbot_secret_split(ngx_str_t *text,
    ngx_http_tgbot_secret_shape_t *shape, ngx_uint_t max, ngx_str_t *lines,
    ngx_uint_t *n);


ngx_http_tgbot_secret_shape_t  ngx_http_tgbot_secret_token_shape = {
    20, 128, 0, "1 to 20 digits, \":\" and 1 to 128 of [A-Za-z0-9_-]"
};

ngx_http_tgbot_secret_shape_t  ngx_http_tgbot_secret_shape = {
    0, 256, 0, "1 to 256 of [A-Za-z0-9_-]"
};

ngx_http_tgbot_secret_shape_t  ngx_http_tgbot_secret_name_shape = {
    0, 32, 0, "1 to 32 of [A-Za-z0-9_-]"
};


static ngx_http_tgbot_secret_shape_t  ngx_http_tgbot_secret_password_shape = {
    0, 512, 1, "1 to 512 characters, none of them a control character"
};


static ngx_str_t  ngx_http_tgbot_secret_variable = ngx_string("tgbot_bot");


const char *
ngx_http_tgbot_secret_fault(ngx_str_t *text,
    ngx_http_tgbot_secret_shape_t *shape)
{
    u_char         *p, *last;
    size_t          pos, from;

    static u_char   fault[128];

    pos = ngx_http_tgbot_secret_span(text, 0, shape->digits,
                                     NGX_HTTP_TGBOT_SECRET_DIGITS);
    from = 0;

    if (pos > 0 && pos < text->len && text->data[pos] == ':') {
        from = pos + 1;
    }

    if (from > 0 || shape->digits == 0) {
        pos = ngx_http_tgbot_secret_span(text, from, shape->max,
                                         shape->print
                                         ? NGX_HTTP_TGBOT_SECRET_PRINT
                                         : NGX_HTTP_TGBOT_SECRET_WORD);

        if (pos == text->len && pos > from) {
            return NULL;
        }
    }

    p = fault;
    last = fault + sizeof(fault) - 1;

    if (text->len == 0) {
        p = ngx_slprintf(p, last, "it is empty");

    } else if (pos == text->len) {
        p = ngx_slprintf(p, last, "it ends after %uz characters", pos);

    } else {
        p = ngx_slprintf(p, last, "character %uz of %uz is wrong",
                         pos + 1, text->len);
    }

    p = ngx_slprintf(p, last, ", expected %s", shape->expected);

    *p = '\0';

    return (char *) fault;
}


/* returns the end of a run of up to max characters of this kind */

static size_t
ngx_http_tgbot_secret_span(ngx_str_t *text, size_t from, size_t max,
    ngx_uint_t kind)
{
    size_t  i;

    for (i = from; i < text->len && i < from + max; i++) {
        if (!ngx_http_tgbot_secret_is(text->data[i], kind)) {
            break;
        }
    }

    return i;
}


static ngx_uint_t
ngx_http_tgbot_secret_is(u_char c, ngx_uint_t kind)
{
    if (kind == NGX_HTTP_TGBOT_SECRET_PRINT) {
        return c >= ' ' && c != 0x7f;
    }

    if (c >= '0' && c <= '9') {
        return 1;
    }

    return kind == NGX_HTTP_TGBOT_SECRET_WORD
           && ((ngx_tolower(c) >= 'a' && ngx_tolower(c) <= 'z')
               || c == '_' || c == '-');
}


ngx_int_t
ngx_http_tgbot_secret_path(ngx_conf_t *cf, ngx_str_t *path, ngx_str_t *name,
    ngx_str_t *expanded)
{
    u_char      *p, *src, *last;
    ngx_str_t   *var;
    ngx_uint_t   brace;

    var = &ngx_http_tgbot_secret_variable;

    /* each byte of the path becomes at most one name and one byte */

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
    ngx_str_t  lines[2];

    if (bot->conf->token
        && ngx_http_tgbot_secret_lines(cf, bot, bot->conf->token,
                                       &ngx_http_tgbot_secret_token_shape, 1,
                                       &bot->token)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_tgbot_secret_lines(cf, bot, bot->conf->secret,
                                    &ngx_http_tgbot_secret_shape, 2, lines)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    bot->secret = lines[0];
    bot->old_secret = lines[1];

    return NGX_OK;
}


/* the checks of a bot's secret, for a file that is no bot's */

ngx_int_t
ngx_http_tgbot_secret_password(ngx_conf_t *cf, const char *directive,
    ngx_str_t *path, u_char *file, ngx_uint_t line, ngx_str_t *password)
{
    ngx_http_tgbot_bot_t     bot;
    ngx_http_tgbot_secret_t  secret;

    ngx_memzero(&bot, sizeof(ngx_http_tgbot_bot_t));
    ngx_memzero(&secret, sizeof(ngx_http_tgbot_secret_t));

    ngx_str_set(&bot.name, "");
    bot.file = file;
    bot.line = line;

    secret.directive.data = (u_char *) directive;
    secret.directive.len = ngx_strlen(directive);
    secret.file = *path;

    return ngx_http_tgbot_secret_lines(cf, &bot, &secret,
                                       &ngx_http_tgbot_secret_password_shape,
                                       1, password);
}


/* sets up to max lines from the file, or from the values of the directive */

static ngx_int_t
ngx_http_tgbot_secret_lines(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_secret_t *secret, ngx_http_tgbot_secret_shape_t *shape,
    ngx_uint_t max, ngx_str_t *lines)
{
    ngx_err_t         err;
    ngx_str_t         path, text;
    ngx_uint_t        n;
    const char       *why;
    ngx_file_info_t   fi;

    ngx_memcpy(lines, secret->lines, max * sizeof(ngx_str_t));

    if (secret->file.len == 0) {
        return NGX_OK;
    }

    /* the parser has refused all other variables */

    if (ngx_http_tgbot_secret_path(cf, &secret->file, &bot->name, &path)
        != NGX_OK
        || ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK)
    {
        return NGX_ERROR;
    }

    n = 0;

    why = ngx_http_tgbot_secret_file(cf, &path,
                                     NGX_HTTP_TGBOT_SECRET_FILE_SIZE, &text,
                                     &fi, &err);
    if (why == NULL) {

        if (ngx_http_tgbot_secret_access(cf, bot, secret, &path, &fi)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        why = ngx_http_tgbot_secret_split(&text, shape, max, lines, &n);
    }

    if (why == NULL) {

        /* a file that many bots share is read, and warned about, only once */

        if (ngx_strlchr(secret->file.data,
                        secret->file.data + secret->file.len, '$')
            == NULL)
        {
            ngx_memcpy(secret->lines, lines, max * sizeof(ngx_str_t));
            secret->file.len = 0;
        }

        return NGX_OK;
    }

    if (n) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "invalid line %ui of file \"%V\" of \"%V\" directive: "
                      "%s in %s:%ui",
                      n, &path, &secret->directive, why, bot->file, bot->line);

    } else {
        ngx_log_error(NGX_LOG_EMERG, cf->log, err,
                      "file \"%V\" of \"%V\" directive %s, expected a file "
                      "of %s in %s:%ui",
                      &path, &secret->directive, why,
                      max == 1 ? "one line" : "one or two lines",
                      bot->file, bot->line);
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_tgbot_secret_access(ngx_conf_t *cf, ngx_http_tgbot_bot_t *bot,
    ngx_http_tgbot_secret_t *secret, ngx_str_t *path, ngx_file_info_t *fi)
{
    if (ngx_file_access(fi) & S_IWOTH) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "file \"%V\" of \"%V\" directive is world-writable, "
                      "expected that only its owner can write to it in %s:%ui",
                      path, &secret->directive, bot->file, bot->line);
        return NGX_ERROR;
    }

    if (ngx_file_access(fi) & S_IROTH) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "file \"%V\" of \"%V\" directive is world-readable "
                      "in %s:%ui",
                      path, &secret->directive, bot->file, bot->line);
    }

    return NGX_OK;
}


/* NULL, or a message: the fault of line *n, or of the file if *n is 0 */

static const char *
ngx_http_tgbot_secret_split(ngx_str_t *text,
    ngx_http_tgbot_secret_shape_t *shape, ngx_uint_t max, ngx_str_t *lines,
    ngx_uint_t *n)
{
    u_char      *p, *end, *last;
    ngx_str_t   *line;
    const char  *fault;

    if (text->len > NGX_HTTP_TGBOT_SECRET_FILE_SIZE) {
        return "is larger than 4096 bytes";
    }

    p = text->data;
    end = p + text->len;

    while (end > p && (end[-1] == LF || end[-1] == CR)) {
        end--;
    }

    if (p == end) {
        return "is empty";
    }

    for (line = lines; p < end; line++) {

        if (line == lines + max) {
            return max == 1 ? "has more than one line"
                            : "has more than two lines";
        }

        last = ngx_strlchr(p, end, LF);
        if (last == NULL) {
            last = end;
        }

        line->data = p;
        line->len = last - p;

        if (line->len && last[-1] == CR) {
            line->len--;
        }

        fault = ngx_http_tgbot_secret_fault(line, shape);

        if (fault) {
            *n = line - lines + 1;
            return fault;
        }

        p = last + 1;
    }

    return NULL;
}


const char *
ngx_http_tgbot_secret_file(ngx_conf_t *cf, ngx_str_t *path, size_t max,
    ngx_str_t *text, ngx_file_info_t *fi, ngx_err_t *err)
{
    size_t       size;
    ssize_t      n;
    ngx_fd_t     fd;
    const char  *why;

    /* opening a FIFO must not block */

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE || ngx_fd_info(fd, fi) == NGX_FILE_ERROR) {
        *err = ngx_errno;
        why = "cannot be read";
        goto done;
    }

    *err = 0;

    if (!ngx_is_file(fi)) {
        why = "is not a regular file";
        goto done;
    }

    /* some files have size 0 although they can be read, such as in /proc */

    size = ngx_file_size(fi);

    if (size == 0 || size > max) {
        size = max + 1;
    }

    text->data = ngx_pnalloc(cf->pool, size + 1);
    if (text->data == NULL) {
        *err = NGX_ENOMEM;
        why = "cannot be read";
        goto done;
    }

    n = ngx_read_fd(fd, text->data, size);

    if (n == -1) {
        *err = ngx_errno;
        why = "cannot be read";
        goto done;
    }

    text->data[n] = '\0';
    text->len = n;

    why = NULL;

done:

    if (fd != NGX_INVALID_FILE && ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cf->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", path);
    }

    return why;
}
