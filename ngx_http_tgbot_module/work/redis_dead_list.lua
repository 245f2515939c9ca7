#!lua flags=no-writes
-- Lists dead letters, the lowest id first.
--
-- KEYS  1 meta   2 dead   3 letters   4 replays   5 workers
-- ARGV  1 only ids above this one   2 letters at most
--
-- Reply: number of all letters, then for each that is listed: id, head, length
-- of its data, and 1 if a living worker replays it.

--include redis_part_meta.lua
--include redis_part_lives.lua

local err = meta_read()
if err then
  return err
end

local reply = {redis.call('ZCARD', KEYS[2])}

for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[1],
                               '+inf', 'LIMIT', 0, ARGV[2]))
do
  local head = redis.call('HGET', KEYS[3], id)
  local by = redis.call('HGET', KEYS[4], id)

  if head then
    reply[#reply + 1] = tonumber(id)
    reply[#reply + 1] = head
    reply[#reply + 1] = redis.call('HSTRLEN', KEYS[3], id .. 'd')
    reply[#reply + 1] = is_held(KEYS[5], by) and 1 or 0
  end
end

return reply
