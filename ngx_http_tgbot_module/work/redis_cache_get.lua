#!lua
-- Looks an answer of tgbot_cache up.  If there is none, takes the lock of the
-- one that asks the program.
--
-- KEYS  1 cache:<key>   2 cache:<key>:lock
-- ARGV  1 token of the caller   2 life of the lock, ms
--
-- Replies
--   {answer, ms}  there is an answer, for so long; "": answers of this key are
--                 not kept
--   1             the caller has the lock, and fills the key
--   0             another one has it
--
-- Twice: as once.  Refused with OOM at maxmemory.

local answer = redis.call('GET', KEYS[1])

if answer then
  return {answer, redis.call('PTTL', KEYS[1])}
end

if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return 1
end

return redis.call('GET', KEYS[2]) == ARGV[1] and 1 or 0
