#!lua
-- Claims an Update for a worker (held mode).
--
-- KEYS  1 meta   2 seen:0   3 seen:1   4 held   5 records   6 firsts
--       7 workers   8 ride:<update_id modulo 4096>
-- ARGV  1 update_id   2 window, update_ids
--       3 worker   4 number of the token
--       5 records at most
--       6 "1": it runs on the connection of durable commands, where it only
--         says once more that the update is accepted
--
-- Replies
--   {0, ride}           accepted already; ride: the content type, a newline
--                       and the call that rode, or ""
--   {1, age, attempts, charged, rebased}
--                       claimed under the token "worker/number"; age: ms since
--                       the first receipt; attempts that failed so far;
--                       charged: 1, limits have taken their tokens
--   {2, age}            busy: a living worker has it, for so many ms since its
--                       first receipt
--   {3}                 living workers have claimed all records
--   {4}                 the worker has no lease (any more): beat first; or the
--                       update is not accepted and argument 6 is "1"
--
-- Twice: as once.  A claim whose reply is lost is given back by a beat that
-- does not name it.  Refused with OOM at maxmemory.

--include redis_part_meta.lua
--include redis_part_lives.lua
--include redis_part_rings.lua

local err = meta_read('window', 'top1', 'top2', 'last')
if err then
  return err
end

local name, id = ARGV[1], tonumber(ARGV[1])
local dedup = math.abs(id) < 2^53
local token = ARGV[3] .. '/' .. ARGV[4]

if dedup then
  ring_init(tonumber(ARGV[2]))

  if ring_has(id) then

    -- some Redis let WAIT wait for nothing but writes of the same connection

    if ARGV[6] == '1' then
      meta_set('window', meta.window)
      meta_write()
    end

    local ride = redis.call('GET', KEYS[8])

    if ride and string.sub(ride, 1, #name + 1) == name .. ' ' then
      return {0, string.sub(ride, #name + 2)}
    end

    return {0, ''}
  end
end

if ARGV[6] == '1' or not lives(KEYS[7], ARGV[3]) then
  return {4}
end

local holder = redis.call('HGET', KEYS[4], name)

if holder and holder ~= token then
  if is_held(KEYS[7], holder) then
    local first = redis.call('ZSCORE', KEYS[6], name)

    return {2, first and math.max(0, now - first) or 0}
  end

  -- its worker died in work: limits had let the update pass

  redis.call('HSET', KEYS[5], name .. 'c', 1)
end

local first = tonumber(redis.call('ZSCORE', KEYS[6], name) or nil)
local max = tonumber(ARGV[5])


-- Makes room for a record: the oldest without a claim goes.

local function evict()
  for from = 0, max, 64 do
    local ids = redis.call('ZRANGE', KEYS[6], from, from + 63)

    if #ids == 0 then
      return false
    end

    for i, by in ipairs(redis.call('HMGET', KEYS[4], unpack(ids))) do
      if not by then
        redis.call('ZREM', KEYS[6], ids[i])
        redis.call('HDEL', KEYS[5], ids[i], ids[i] .. 'c')
        return true
      end
    end
  end

  return false
end


if not first then
  if redis.call('ZCARD', KEYS[6]) >= max and not evict() then
    return {3}
  end

  redis.call('ZADD', KEYS[6], int(now), name)
  first = now
end

redis.call('HSET', KEYS[4], name, token)

local record = redis.call('HMGET', KEYS[5], name, name .. 'c')
local rebased = dedup and ring_reach(id) or 0

meta_write()

return {1, math.max(0, now - first), tonumber(record[1] or 0),
        record[2] and 1 or 0, rebased}
