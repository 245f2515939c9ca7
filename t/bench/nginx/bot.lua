-- What the module does with an update, as one would write it in Lua: the
-- limits are token buckets stored as those of resty.limit are.

local cjson = require "cjson.safe"
local ffi = require "ffi"

local decode = cjson.decode
local encode = cjson.encode
local match = string.match
local min = math.min
local max = math.max
local now = ngx.now
local req = ngx.req
local var = ngx.var
local header = ngx.header
local shared = ngx.shared

local RATE = 100000
local BURST = 100000
local REMEMBERED = 3600

ffi.cdef [[
    typedef struct {
        double  tokens;
        double  last;
    } bench_bucket_t;
]]

local bucket_type = ffi.typeof("bench_bucket_t")
local bucket_ptr = ffi.typeof("const bench_bucket_t *")
local bucket_size = ffi.sizeof("bench_bucket_t")
local bucket = bucket_type()

local _M = {}

local replies = {
    ["/start"] = function(message)
        return "Hello " .. message.from.first_name
               .. "!  Tell me what you look for."
    end,

    ["/help"] = function()
        return "Ask for /hours, or /order and a number."
    end,

    ["/hours"] = function()
        return "We are open from 9 to 18."
    end,

    ["/order"] = function(message, args)
        return "Order " .. args .. " is on its way."
    end,
}


-- compares all of both, whatever they have in common

local function same(a, b)
    if #a ~= #b then
        return false
    end

    local differ = 0

    for i = 1, #a do
        differ = bit.bor(differ, bit.bxor(a:byte(i), b:byte(i)))
    end

    return differ == 0
end


local function take(dict, key)
    local time = now()
    local tokens = BURST
    local stored = dict:get(key)

    if stored then
        local old = ffi.cast(bucket_ptr, stored)
        tokens = min(BURST, old.tokens + max(0, time - old.last) * RATE)
    end

    if tokens < 1 then
        return false
    end

    bucket.tokens = tokens - 1
    bucket.last = time

    dict:set(key, ffi.string(bucket, bucket_size))

    return true
end


local function answer(status)
    ngx.status = status
    header["Content-Length"] = 0
    return ngx.exit(status)
end


function _M.update()
    local secret = var.http_x_telegram_bot_api_secret_token

    if not secret or not same(secret, _M.secret) then
        return answer(401)
    end

    req.read_body()

    local update = decode(req.get_body_data() or "")

    if type(update) ~= "table" or type(update.update_id) ~= "number" then
        return answer(400)
    end

    if not shared.seen:add(update.update_id, true, REMEMBERED) then
        return answer(200)
    end

    local message = update.message

    if not message then
        return answer(200)
    end

    if not take(shared.users, message.from.id)
       or not take(shared.chats, message.chat.id)
    then
        return answer(200)
    end

    local command, args = match(message.text or "", "^(/[%w_]+)%S*%s*(.*)$")
    local reply = command and replies[command]

    if not reply then
        return answer(200)
    end

    local body = encode({
        method = "sendMessage",
        chat_id = message.chat.id,
        text = reply(message, args),
    })

    header["Content-Type"] = "application/json"
    header["Content-Length"] = #body

    ngx.print(body)
end


return _M
