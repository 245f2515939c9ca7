#!lua flags=allow-oom
-- Lets one machine at a time call the Bot API about the webhook of the bot, and
-- keeps what is known of the webhook.
--
-- KEYS  1 meta   2 register   3 register:lock
-- ARGV  1 token of the caller
--       2 life of its lock, ms; 0: the lock ends
--       3 what the caller knows now; "": nothing new
--
-- Replies
--   {1, known}  done: the caller has the lock, or has ended it
--   {0, known}  another one has the lock, or that of the caller was over before
--               it told what it knows: nothing was changed
--
-- "known" is what was told last, "" if nothing was.
--
-- Twice: as once, but that the lock lives for longer.

--include redis_part_meta.lua

local err = meta_read()
if err then
  return err
end

local holder = redis.call('GET', KEYS[3])
local known = redis.call('GET', KEYS[2]) or ''

if holder ~= ARGV[1] and (holder or ARGV[3] ~= '') then
  return {0, known}
end

if ARGV[3] ~= '' then
  known = ARGV[3]
  redis.call('SET', KEYS[2], known)
end

if ARGV[2] == '0' then
  redis.call('DEL', KEYS[3])

else
  redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
end

return {1, known}
