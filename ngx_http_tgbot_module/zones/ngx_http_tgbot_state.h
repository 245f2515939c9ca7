
/*
 * Files that queues, dead letters and the newest accepted ids outlive nginx
 * in: written by a master whose workers are gone, loaded by one that starts,
 * or by the workers of one that took over.
 */

#ifndef _NGX_HTTP_TGBOT_STATE_H_INCLUDED_
#define _NGX_HTTP_TGBOT_STATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_zone.h"


/* of a bot, the newest */
#define NGX_HTTP_TGBOT_STATE_IDS  4096


typedef struct ngx_http_tgbot_state_file_s  ngx_http_tgbot_state_file_t;


/* a file and what belongs in it; made by the caller, zeroed */

typedef struct {
    ngx_str_t                     path;    /* with a NUL behind it */

    /*
     * of ngx_http_tgbot_zone_t *: queues, dead letters, dedup; zones of
     * other kinds are passed over
     */
    ngx_array_t                   zones;

    /*
     * Letters and ids of all bots of these zones, also of those that use
     * none of these queues.  To be set for one of several files only.
     */
    ngx_flag_t                    all;

    /*
     * the user of workers, to whom the file belongs if root writes it, as
     * those of another master may have to load it; 0: there is none
     */
    ngx_uid_t                     uid;

    /* private: the file that is being loaded, and what became of it */

    ngx_http_tgbot_state_file_t  *file;
    ngx_uint_t                    left;
} ngx_http_tgbot_state_t;


/*
 * Writes the file, of mode 0600, in place of one that is there.  Makes
 * path.tmp, which is gone afterwards, and path.lock, which stays.  No
 * other process may work in the zones: leases are not looked at.
 * ngx_current_msec must be up to date.
 *
 * NGX_ERROR: logged; a file that was there before is as it was.
 */
ngx_int_t ngx_http_tgbot_state_write(ngx_http_tgbot_state_t *state,
    ngx_log_t *log);

/*
 * Loads the file.  With "n" 0 at once and as a whole or not at all, for a
 * start: the zones are as new, and die with this process and the file does
 * not; else about n records at a time, for workers, and the file notes how
 * many, so that another worker goes on where one died.
 *
 * Nothing is put before all of the file was found to be right, and to fit.
 * A file that is not is refused, and kept aside as path.bad, or with a time
 * behind that if there is one.  Records of a bot that has no zone any
 * more, or no room in it, are not loaded.  The file, or at a start a copy of
 * it, is then kept as path.bad, too.
 *
 * NGX_OK        all is loaded: ngx_http_tgbot_state_remove() is to follow, as
 *               soon as nginx is sure to run; until then no other process
 *               loads it
 * NGX_AGAIN     with n only: there is more, or no room for the next one
 *               just now; to be called again after a while
 * NGX_DECLINED  there is no file, or an empty one
 * NGX_BUSY      another process loads it
 * NGX_ERROR     logged: nothing is, or nothing more will be, loaded; not to
 *               be called again
 */
ngx_int_t ngx_http_tgbot_state_load(ngx_http_tgbot_state_t *state,
    ngx_uint_t n, ngx_log_t *log);

/*
 * Gives up a file of which ngx_http_tgbot_state_load() said NGX_AGAIN or
 * NGX_OK: others may go on.  Does nothing otherwise.
 */
void ngx_http_tgbot_state_close(ngx_http_tgbot_state_t *state);

/*
 * The file that was loaded is gone, or kept aside if something of it was
 * not; one that must stay in its directory is emptied.  Another file that is
 * there by now stays.  NGX_ERROR: logged.
 */
ngx_int_t ngx_http_tgbot_state_remove(ngx_http_tgbot_state_t *state,
    ngx_log_t *log);


#endif /* _NGX_HTTP_TGBOT_STATE_H_INCLUDED_ */
