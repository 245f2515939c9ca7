#!lua
-- Puts the item of a dead letter into the queue.  The letter is one of Redis,
-- and deleted here, or one of a zone, and dropped by the caller afterwards.
--
-- KEYS  1 meta   2 lanes   3 ready   4 lane:<name>
--       5 letters: the letter is one of Redis; else put:<letter>, a key that
--         no other letter has, and that remembers for a day that this was done
--       6 dead, 7 replays, 8 workers: only with a letter of Redis
-- ARGV  1 name of the lane   2 payload   3 limit, items   4 limit_size, bytes
--       5 id of the letter
--
-- Replies
--   {0}       done before, or another worker has replayed or dropped it
--   {1, seq}  the item is in the queue
--   {2}       a living worker replays the letter by a lease
--   {3, age}, {4}  as accept
--
-- Twice: the second run finds that it is done.  Refused with OOM at maxmemory.

--include redis_part_meta.lua
--include redis_part_lives.lua
--include redis_part_ready.lua
--include redis_part_put.lua

local err = meta_read('seq', 'items', 'bytes', 'replayed')
if err then
  return err
end

local letter = KEYS[6] and true or false

if letter then
  if redis.call('HEXISTS', KEYS[5], ARGV[5]) == 0 then
    return {0}
  end

  if is_held(KEYS[8], redis.call('HGET', KEYS[7], ARGV[5])) then
    return {2}
  end

elseif redis.call('EXISTS', KEYS[5]) == 1 then
  return {0}
end

local full = put_full(#ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), KEYS[2])
if full then
  return full
end

local seq = put_item('replayed', KEYS[2], KEYS[3], KEYS[4], ARGV[1], ARGV[2])

if letter then
  redis.call('HDEL', KEYS[5], ARGV[5], ARGV[5] .. 'd')
  redis.call('ZREM', KEYS[6], ARGV[5])
  redis.call('HDEL', KEYS[7], ARGV[5])

else
  redis.call('SET', KEYS[5], '', 'PX', 86400000)
end

meta_write()

return {1, seq}
