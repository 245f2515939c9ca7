
# the page of tgbot_status, as bytes in a header

ngx_tgbot_http=$ngx_addon_dir/ngx_http_tgbot_module/http
ngx_tgbot_page=$ngx_tgbot_http/ngx_http_tgbot_status_page
ngx_tgbot_html=$NGX_OBJS/ngx_http_tgbot_status_page_html.h
ngx_tgbot_objs=$NGX_OBJS/addon/http

cat << END                                                    >> $NGX_MAKEFILE

$ngx_tgbot_html: $ngx_tgbot_page.sh $ngx_tgbot_page.html ; \\
    sh $ngx_tgbot_page.sh $ngx_tgbot_page.html $ngx_tgbot_html

$ngx_tgbot_objs/ngx_http_tgbot_status_page.$ngx_objext: $ngx_tgbot_html

END

# the scripts for Redis, as strings in a header

ngx_tgbot_work=$ngx_addon_dir/ngx_http_tgbot_module/work
ngx_tgbot_scripts=$ngx_tgbot_work/ngx_http_tgbot_redis_scripts
ngx_tgbot_lua=$NGX_OBJS/ngx_http_tgbot_redis_scripts_lua.h
ngx_tgbot_objs=$NGX_OBJS/addon/work

cat << END                                                    >> $NGX_MAKEFILE

$ngx_tgbot_lua: $ngx_tgbot_scripts.sh $(echo $ngx_tgbot_work/redis_*.lua) ; \\
    sh $ngx_tgbot_scripts.sh $ngx_tgbot_work $ngx_tgbot_lua

$ngx_tgbot_objs/ngx_http_tgbot_redis_scripts.$ngx_objext: $ngx_tgbot_lua

END
