#!lua flags=allow-oom
-- Settles a claim (held mode).
--
-- KEYS  1 meta   2 seen:0   3 seen:1   4 held   5 records   6 firsts
--       7 ride:<update_id modulo 4096>
-- ARGV  1 update_id   2 window, update_ids
--       3 token, "worker/number"
--       4 "accept": the update has been or will be answered 2xx;
--         "release": it will be delivered again; "forget": its record goes
--       5 release: "1", an attempt failed
--       6 release: "1", limits have taken their tokens
--       7 accept: the ride: content type, a newline and the call, the two of
--         at most 4096 bytes, or ""; kept for five minutes, unless an update
--         with the same remainder takes its place
--
-- Reply
--   0  the claim is lost, another worker handles the update: nothing was done
--   1  done
--   2  nothing was done, and the update is accepted: after an unknown outcome
--      of an accept this is most likely its own work
--
-- Twice: the second run does nothing.

--include redis_part_meta.lua
--include redis_part_rings.lua

local err = meta_read('window', 'top1', 'top2', 'last')
if err then
  return err
end

local name, id = ARGV[1], tonumber(ARGV[1])
local dedup = math.abs(id) < 2^53

ring_init(tonumber(ARGV[2]))

if redis.call('HGET', KEYS[4], name) ~= ARGV[3] then
  return dedup and ring_has(id) and 2 or 0
end

if ARGV[4] == 'release' then
  if ARGV[5] == '1' then
    redis.call('HINCRBY', KEYS[5], name, 1)
  end

  if ARGV[6] == '1' then
    redis.call('HSET', KEYS[5], name .. 'c', 1)
  end

  redis.call('HDEL', KEYS[4], name)
  return 1
end

if ARGV[4] == 'accept' then
  if ARGV[7] ~= '' and #ARGV[7] <= 4097 then
    redis.call('SET', KEYS[7], name .. ' ' .. ARGV[7], 'PX', 300000)
  end

  if dedup then
    ring_reach(id)
    ring_mark(id)
    meta_write()
  end
end

redis.call('HDEL', KEYS[4], name)
redis.call('ZREM', KEYS[6], name)
redis.call('HDEL', KEYS[5], name, name .. 'c')

return 1
