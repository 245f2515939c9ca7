#!lua flags=allow-oom
-- Ends the lease of a dead letter, or drops the letter.
--
-- KEYS  1 meta   2 dead   3 letters   4 replays   5 workers
-- ARGV  1 id
--       2 token, "worker/number"; "": an operator's drop; "*": whatever lease
--         there is, as the letter's update was taken from a queue
--       3 "1": the letter goes
--
-- Reply
--   0  there is no such letter (any more), or not under this token
--   1  done
--   2  a living worker replays it, only with "": nothing was done
--
-- Twice: the second run does nothing.

--include redis_part_meta.lua
--include redis_part_lives.lua

local err = meta_read()
if err then
  return err
end

local by = redis.call('HGET', KEYS[4], ARGV[1])

if ARGV[2] == '' then
  if is_held(KEYS[5], by) then
    return 2
  end

elseif ARGV[2] ~= '*' and by ~= ARGV[2] then
  return 0
end

redis.call('HDEL', KEYS[4], ARGV[1])

if ARGV[3] ~= '1' then
  return 1
end

redis.call('HDEL', KEYS[3], ARGV[1], ARGV[1] .. 'd')

return redis.call('ZREM', KEYS[2], ARGV[1])
