#!lua flags=allow-oom
-- Ends a lane's lease and removes its head; the next item makes the lane ready.
--
-- KEYS  1 meta   2 ready   3 flight   4 lanes   5 progress   6 lane:<name>
-- ARGV  1 name of the lane   2 token, "worker/number"
--       3 seq of the item, as it was read; 0 with "gone"
--       4 event: "done", "dead", "expired" or "dropped"; "gone": there was no
--         head to read
--       5 "1": the caller does not take next, so the bell rings if nothing
--         was ready
--
-- Reply
--   0  the lane is not under this token: nothing was done; after an unknown
--      outcome this may be because it was done then
--   1  the item is removed and counted
--   2  the head is another item, or "gone": nothing is removed, the lease ends
--
-- Twice: the second run does nothing.

--include redis_part_meta.lua
--include redis_part_ready.lua

local event = ARGV[4]
local err = meta_read('seq', 'items', 'bytes', 'loaded', 'gone',
                      event)
if err then
  return err
end

if redis.call('HGET', KEYS[3], ARGV[1]) ~= ARGV[2] then
  return 0
end

-- All that is read of a list or hash is read before it is changed: one that has
-- become empty is gone, and while a cluster moves the bot to another node the
-- script would fail there, half done.

local items = redis.call('LRANGE', KEYS[6], 0, 1)
local item = items[1]

if event == 'gone' or item and string.match(item, '^%d+') ~= ARGV[3] then
  item = nil
end

local head = items[item and 2 or 1]
local size = item and #item or 0

if item then
  redis.call('LPOP', KEYS[6])
end

redis.call('HDEL', KEYS[3], ARGV[1])

-- what is saved belongs to the item; of one that is lost it is of no use

if item or not head then
  size = size + redis.call('HSTRLEN', KEYS[5], ARGV[1] .. 'a')
  redis.call('HDEL', KEYS[5], ARGV[1], ARGV[1] .. 'a')
end

local bytes = math.max(0, (meta.bytes or 0) - size)

meta_set('bytes', bytes)

if not item then
  event = 'gone'

elseif (meta.items or 0) > 0 then
  meta_set('items', meta.items - 1)

else

  -- not counted: meta was deleted since the item was accepted

  meta_set('loaded', (meta.loaded or 0) + 1)
end

meta_set(event, (meta[event] or 0) + 1)
meta_write()

if head then
  redis.call('ZADD', KEYS[4], string.match(head, '^%d+ (%d+)'), ARGV[1])
  ready_push(KEYS[2], {ARGV[1]}, ARGV[5] == '1')

else
  redis.call('ZREM', KEYS[4], ARGV[1])
end

return item and 1 or 2
