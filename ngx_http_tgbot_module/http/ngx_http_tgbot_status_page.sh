#!/bin/sh
#
# Makes a header for C of the page of tgbot_status: its bytes, and a
# Content-Security-Policy that allows its style and its script and no others.
#
#   ngx_http_tgbot_status_page.sh page.html header.h

set -eu

LC_ALL=C
export LC_ALL

html=$1
header=$2


# hash tag: of what stands between the lines <tag> and </tag>, as base64

hash() {
    for line in "<$1>" "</$1>"; do
        if [ "$(grep -cxF "$line" "$html")" != 1 ]; then
            echo "$0: $html: expected one line \"$line\"" >&2
            return 1
        fi
    done

    digest=$({
        echo
        sed -n "/^<$1>\$/,/^<\/$1>\$/p" "$html" | sed -e 1d -e '$d'
    } | sha256sum)

    for byte in $(echo "${digest%% *}" | sed 's/../& /g'); do
        # shellcheck disable=SC2059
        printf "\\$(printf %03o "0x$byte")"
    done | base64
}


style=$(hash style)
script=$(hash script)

# by rename: half a header is none

cat > "$header.new" << END

/* made of ${html##*/} */

#define NGX_HTTP_TGBOT_STATUS_PAGE_POLICY                                     \\
    "default-src 'none'; "                                                    \\
    "style-src 'sha256-$style'; "       \\
    "script-src 'sha256-$script'; "      \\
    "connect-src 'self'; base-uri 'none'; form-action 'none'; "               \\
    "frame-ancestors 'none'"


static const u_char  ngx_http_tgbot_status_page_html[] = {
END

od -An -v -tx1 "$html" | sed 's/ \([0-9a-f][0-9a-f]\)/ 0x\1,/g' \
    >> "$header.new"
echo "};" >> "$header.new"

mv "$header.new" "$header"
