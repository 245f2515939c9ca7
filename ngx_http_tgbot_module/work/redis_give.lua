#!lua flags=allow-oom
-- Saves the progress and the answer of a lane's head, and gives the lane back:
-- it keeps its head and may be taken again after a delay.
--
-- KEYS  1 meta   2 ready   3 flight   4 delayed   5 progress
-- ARGV  1 name of the lane   2 token, "worker/number"
--       3 seq of the item, as it was read
--       4 delay, ms; "-": only save, the lease goes on
--       5 progress, opaque here; "": what is saved stays
--       6 answer, opaque here; "": none.  It is saved once: one that is saved
--         for this item stays
--       7 limit_size, bytes: what items and answers of the bot may take
--       8 "1": the caller does not take next, so the bell rings if nothing
--         was ready
--
-- Reply
--   0  the lane is not under this token: nothing was done; after an unknown
--      outcome this may be because it was done then
--   1  done
--   2  there is no room for the answer: nothing was done
--
-- Twice: the second run does nothing.  What is saved counts for nothing once
-- the item is settled, or if the head turns out to be another item.

--include redis_part_meta.lua
--include redis_part_ready.lua

local err = meta_read('seq', 'bytes')
if err then
  return err
end

if redis.call('HGET', KEYS[3], ARGV[1]) ~= ARGV[2] then
  return 0
end

local field = ARGV[1] .. 'a'

if ARGV[6] ~= '' then
  local saved = redis.call('HGET', KEYS[5], field)

  if not saved or string.match(saved, '^%d+') ~= ARGV[3] then
    local more = #ARGV[3] + 1 + #ARGV[6] - (saved and #saved or 0)

    if (meta.bytes or 0) + more > tonumber(ARGV[7]) then
      return 2
    end

    redis.call('HSET', KEYS[5], field, ARGV[3] .. ' ' .. ARGV[6])
    meta_set('bytes', (meta.bytes or 0) + more)
    meta_write()
  end
end

if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[5], ARGV[1], ARGV[3] .. ' ' .. ARGV[5])
end

if ARGV[4] == '-' then
  return 1
end

redis.call('HDEL', KEYS[3], ARGV[1])

local delay = tonumber(ARGV[4])

if delay > 0 then
  redis.call('ZADD', KEYS[4], int(now + delay), ARGV[1])

else
  ready_push(KEYS[2], {ARGV[1]}, ARGV[8] == '1')
end

return 1
