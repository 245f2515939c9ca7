#!lua
-- Ends the lock of the one that asked the program, and keeps the answer.
--
-- KEYS  1 cache:<key>   2 cache:<key>:lock
-- ARGV  1 token of the caller
--       2 answer; "": answers of this key are not kept
--       3 how long that holds, ms; 0: only the lock ends
--
-- Replies
--   1  done
--   0  another one has the lock: nothing was changed
--
-- Twice: the answer is kept for a little longer.  Refused with OOM at
-- maxmemory.

local holder = redis.call('GET', KEYS[2])

if holder and holder ~= ARGV[1] then
  return 0
end

redis.call('DEL', KEYS[2])

if ARGV[3] ~= '0' then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end

return 1
