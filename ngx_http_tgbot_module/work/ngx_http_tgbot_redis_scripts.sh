#!/bin/sh
#
# Makes a header for C of the scripts for Redis, redis_*.lua: their text without
# comments, parts put in, and its SHA1.
#
#   ngx_http_tgbot_redis_scripts.sh directory header.h

set -eu

LC_ALL=C
export LC_ALL

dir=$1
header=$2


# text file: with the parts it names, but without what only people read; a line
# "#!lua ..." stays

text() {
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
            "--include "*)  text "$dir/${line#--include }" ;;
            "--"* | "")     ;;
            *)              printf '%s\n' "$line" ;;
        esac
    done < "$1"
}


# by rename: half a header is none

echo "/* made of redis_*.lua */" > "$header.new"

for file in "$dir"/redis_*.lua; do

    name=${file##*/redis_}
    name=${name%.lua}

    case $name in
        part_*)  continue ;;
    esac

    text "$file" > "$header.text"

    digest=$(sha1sum < "$header.text")

    cat >> "$header.new" << END

const ngx_http_tgbot_redis_script_t  ngx_http_tgbot_redis_script_$name = {
    ngx_string("$name"),
    ngx_string(
$(sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/        "&\\n"/' "$header.text")
    ),
    { $(echo "${digest%% *}" | sed "s/./'&', /g") }
};
END
done

rm "$header.text"
mv "$header.new" "$header"
