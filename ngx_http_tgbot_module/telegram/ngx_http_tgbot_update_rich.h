
/*
 * The plain text of a rich_message: what the strings in its blocks say.  Each
 * field of a block follows after a space; strings inside of a field, such as
 * bold words, follow one another.
 */

#ifndef _NGX_HTTP_TGBOT_UPDATE_RICH_H_INCLUDED_
#define _NGX_HTTP_TGBOT_UPDATE_RICH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_json.h"


/* zeroed at first; the caller sets "depth" at the start of the object */

typedef struct {
    ngx_uint_t    depth;      /* of keys in that object; 0: outside of it */
    ngx_uint_t    field;      /* depth of the key of a text, 0: in none */
    size_t        size;       /* of the memory of text */
    ngx_str_t     text;       /* cleaned when depth is 0 again */
    unsigned      space:1;    /* before the next string */
} ngx_http_tgbot_update_rich_t;


/*
 * Takes the next token while rich->depth is not 0; the text is in pool, and
 * is cut where a longer string of an Update would be.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_update_rich(ngx_http_tgbot_update_rich_t *rich,
    ngx_http_tgbot_json_token_t *token, ngx_pool_t *pool);


#endif /* _NGX_HTTP_TGBOT_UPDATE_RICH_H_INCLUDED_ */
