#!lua flags=allow-oom
-- Keeps a dead letter.  One letter is got by "HMGET letters <id> <id>d".
--
-- KEYS  1 meta   2 dead   3 letters   4 replays
-- ARGV  1 id: seq of the item in the queue, or 0: the script draws one
--       2 head, 3 data: opaque here; a list shows heads
--       4 max, letters   5 "1": only if there is room, nothing is evicted
--       6 id of the letter that this one replaces, or 0
--       7 "1": a try before this one may have been executed
--
-- Reply: {id, evicted}; id 0: there was no room.  evicted: older letters that
-- went for it, those that are replayed come last.
--
-- Twice: with an id of the caller's as once.  Else the letter is looked for, by
-- its bytes, among the newest ones; if the first run comes after the second
-- one, there are two letters.

--include redis_part_meta.lua

local err = meta_read('seq', 'evicted')
if err then
  return err
end

if ARGV[6] ~= '0' then
  redis.call('ZREM', KEYS[2], ARGV[6])
  redis.call('HDEL', KEYS[3], ARGV[6], ARGV[6] .. 'd')
  redis.call('HDEL', KEYS[4], ARGV[6])
end

local id, max = ARGV[1], tonumber(ARGV[4])

if id == '0' and ARGV[7] == '1' then
  for _, other in ipairs(redis.call('ZRANGE', KEYS[2], 0, 63, 'REV')) do
    if redis.call('HGET', KEYS[3], other) == ARGV[2]
       and redis.call('HGET', KEYS[3], other .. 'd') == ARGV[3]
    then
      -- some Redis let WAIT wait for nothing but writes of the same connection

      redis.call('HSET', KEYS[3], other, ARGV[2])
      return {tonumber(other), 0}
    end
  end
end

local more = redis.call('ZCARD', KEYS[2]) + 1 - max

if redis.call('HEXISTS', KEYS[3], id) == 1 then
  more = more - 1
end

if more > 0 and ARGV[5] == '1' then
  return {0, 0}
end

if id == '0' then
  id = int((meta.seq or us) + 1)
  meta_set('seq', id)
end


-- n letters go, from the oldest on: those that are replayed, or the others

local function evict(n, replayed)
  local gone = 0

  local last = n + redis.call('HLEN', KEYS[4])

  for _, old in ipairs(redis.call('ZRANGE', KEYS[2], 0, last)) do
    if gone == n then
      break
    end

    local by = redis.call('HGET', KEYS[4], old)

    if old ~= id and (replayed or not by or by == '') then
      redis.call('ZREM', KEYS[2], old)
      redis.call('HDEL', KEYS[3], old, old .. 'd')
      redis.call('HDEL', KEYS[4], old)
      gone = gone + 1
    end
  end

  return gone
end


local evicted = 0

if more > 0 then
  evicted = evict(more, false)

  if evicted < more then
    evicted = evicted + evict(more - evicted, true)
  end

  meta_set('evicted', (meta.evicted or 0) + evicted)
end

meta_write()

redis.call('HSET', KEYS[3], id, ARGV[2], id .. 'd', ARGV[3])
redis.call('ZADD', KEYS[2], id, id)

return {tonumber(id), evicted}
