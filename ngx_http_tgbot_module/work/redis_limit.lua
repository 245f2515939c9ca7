#!lua
-- Takes a token from each bucket, or from none.
--
-- KEYS  1 meta   2 ... the buckets; for an album, what was decided about it
-- ARGV  for each bucket: microseconds a token, burst, and "1" for action=reject
--
-- Reply: {bucket, wait, first}
--   bucket  0: all had a token; else the number of the one that had none, from
--           1 on
--   wait    ms until its next token
--   first   1: its first refusal since it was full
--
-- Twice: two tokens are taken, but one for an album.  A bucket of all bots has
-- a key without the bot's tag, which a cluster does not allow.

--include redis_part_meta.lua
--include redis_part_buckets.lua

local err = meta_read()
if err then
  return err
end

local number, wait, first = bucket_look(2, 1)

if number > 0 then
  bucket_notice(number)

else
  bucket_take()
end

return {number, wait, first}
