
/*
 * A job as bytes that outlive the worker: the "data" of an item or of a dead
 * letter, and the calls that are its "answer".
 */

#ifndef _NGX_HTTP_TGBOT_JOB_RECORD_H_INCLUDED_
#define _NGX_HTTP_TGBOT_JOB_RECORD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tgbot_cache.h"
#include "ngx_http_tgbot_detached.h"


typedef struct {
    ngx_http_tgbot_client_t   client;
    ngx_str_t                 body;      /* the Update as it came */
    ngx_str_t                 parsed;    /* see update.h; len 0: none */

    /* the key that the program's answer is stored under */
    u_char                    cache_key[NGX_HTTP_TGBOT_CACHE_KEY];

    unsigned                  cached:1;  /* cache_key is set */
} ngx_http_tgbot_job_record_t;


/* makes the bytes, in pool; NGX_ERROR: no memory */
ngx_int_t ngx_http_tgbot_job_record_write(ngx_http_tgbot_job_record_t *record,
    ngx_str_t *data, ngx_pool_t *pool);

/*
 * Reads the bytes.  The record's strings point into "data", which must live as
 * long as the record; addresses are copied into pool.  NGX_DECLINED: the bytes
 * are damaged, or of another version of the module.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_tgbot_job_record_read(ngx_http_tgbot_job_record_t *record,
    ngx_str_t *data, ngx_pool_t *pool);

/*
 * The same for an array of ngx_http_tgbot_method_t, with the same errors.
 * read_calls initializes the array; its strings point into "data".
 */
ngx_int_t ngx_http_tgbot_job_record_write_calls(ngx_array_t *calls,
    ngx_str_t *data, ngx_pool_t *pool);
ngx_int_t ngx_http_tgbot_job_record_read_calls(ngx_array_t *calls,
    ngx_str_t *data, ngx_pool_t *pool);


#endif /* _NGX_HTTP_TGBOT_JOB_RECORD_H_INCLUDED_ */
