#!lua
-- Accepts an Update into the queue: duplicate? limited? full? else its item is
-- put at the end of its lane, then it is marked as accepted.
--
-- KEYS  1 meta   2 seen:0   3 seen:1   4 lanes   5 ready   6 lane:<name>
--       7 ... the buckets of the limits that apply; for an album, what was
--             decided about it
-- ARGV  1 update_id
--       2 window, update_ids; 0: no de-duplication
--       3 name of the lane, 16 hex digits
--       4 payload: what a job needs, opaque here
--       5 limit, items   6 limit_size, bytes
--       7 "1": tgbot_limit_dry_run
--       8 ... for each bucket: microseconds a token, burst, and "1" for
--             action=reject
--
-- Replies, numbers:
--   {0}                                    a duplicate
--   {1, bucket, wait, first, rebased, seq} accepted; bucket: 0, or in a dry run
--                                          the one that would have refused
--   {2, bucket, wait, first, rebased}      limited, by this bucket from 1 on;
--                                          wait: ms until its next token;
--                                          first: 1, the first refusal since
--                                          it was full
--   {3, age}                               full; age of the oldest item, ms
--   {4}                                    larger than the whole limit_size
-- rebased: 1, the id opened a ring while the other was in use.
--
-- A limited update is marked as accepted too, unless the bucket rejects.  No
-- bucket is charged unless the update is accepted.  If nothing was ready, a
-- message is published on the channel with the name of the key "ready".
--
-- Twice: the second run finds a duplicate.  Without de-duplication there are
-- two items.  Refused with OOM at maxmemory, before it did anything.

--include redis_part_meta.lua
--include redis_part_rings.lua
--include redis_part_buckets.lua
--include redis_part_ready.lua
--include redis_part_put.lua

local err = meta_read('seq', 'items', 'bytes', 'accepted', 'window', 'top1',
                      'top2', 'last')
if err then
  return err
end

local id = tonumber(ARGV[1])
local dedup = ARGV[2] ~= '0' and math.abs(id) < 2^53

if dedup then
  ring_init(tonumber(ARGV[2]))

  if ring_has(id) then
    return {0}
  end
end

local number, wait, first = bucket_look(7, 8)
local refused = number > 0
local rebased = 0

if refused then
  bucket_notice(number)
end

if refused and ARGV[7] ~= '1' then

  if dedup and ARGV[7 + 3 * number] ~= '1' then
    rebased = ring_reach(id)
    ring_mark(id)
    meta_write()
  end

  return {2, number, wait, first, rebased}
end

local full = put_full(#ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), KEYS[4])
if full then
  return full
end

local seq = put_item('accepted', KEYS[4], KEYS[5], KEYS[6], ARGV[3], ARGV[4])

if not refused then
  bucket_take()
end

if dedup then
  rebased = ring_reach(id)
  ring_mark(id)
end

meta_write()

return {1, number, wait, first, rebased, seq}
