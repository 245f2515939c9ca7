#!lua flags=allow-oom
-- Leases a dead letter to a worker, for a replay outside of the queue of Redis.
--
-- KEYS  1 meta   2 letters   3 replays   4 workers
-- ARGV  1 id   2 worker   3 number of the token
--
-- Replies
--   {0}                     there is no such letter (any more)
--   {1, left, head, data}   leased under the token "worker/number"; left: 1, it
--                           was before: that worker may have died after it put
--                           the letter's update elsewhere
--   {2}                     a living worker replays it
--   {4}                     the worker has no lease (any more): beat first
--
-- Twice: as once, but for "left".  A lease whose reply is lost ends with a beat
-- that does not name it.

--include redis_part_meta.lua
--include redis_part_lives.lua

local err = meta_read()
if err then
  return err
end

local letter = redis.call('HMGET', KEYS[2], ARGV[1], ARGV[1] .. 'd')

if not letter[1] then
  return {0}
end

if not lives(KEYS[4], ARGV[2]) then
  return {4}
end

local token = ARGV[2] .. '/' .. ARGV[3]
local by = redis.call('HGET', KEYS[3], ARGV[1])

if by ~= token and is_held(KEYS[4], by) then
  return {2}
end

redis.call('HSET', KEYS[3], ARGV[1], token)

return {1, by and 1 or 0, letter[1], letter[2] or ''}
